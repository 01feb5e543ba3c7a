//! Compares the settings of two files. Of secrets it shows only whether they are equal.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::Finding;
use checks::env::side;
use checks::env_diff::{Change, Difference, diff};
use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure, findings};

/// The two files.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The first file
    left: PathBuf,

    /// The second file
    right: PathBuf,
}

#[derive(Serialize)]
struct DiffView<'d> {
    left: String,
    right: String,
    differences: &'d [Difference],
}

#[derive(Serialize)]
struct RefusedView<'d> {
    left: String,
    right: String,
    findings: &'d [Finding],
}

pub(crate) fn run(args: &DiffArgs, console: &mut Console) -> Result<Exit, Failure> {
    let read = |path: &Path| side(path, &super::env::environment);
    let paths = || (args.left.display().to_string(), args.right.display().to_string());
    let (left, right) = match (read(&args.left), read(&args.right)) {
        (Ok(left), Ok(right)) => (left, right),
        (left, right) => {
            let found: Vec<Finding> = [left.err(), right.err()].into_iter().flatten().flatten().collect();
            if console.is_json {
                let (left, right) = paths();
                console.json(&RefusedView { left, right, findings: &found })?;
            } else {
                findings::print(&found, console)?;
            }
            return Ok(Exit::ChecksFailed);
        }
    };
    let differences = diff(&left, &right);
    if console.is_json {
        let (left, right) = paths();
        console.json(&DiffView { left, right, differences: &differences })?;
        return Ok(Exit::Ok);
    }
    for difference in &differences {
        writeln!(console.out, "{}", line(difference))?;
    }
    Ok(Exit::Ok)
}

fn line(difference: &Difference) -> String {
    let name = &difference.name;
    let value = |value: &Option<String>| value.as_ref().map_or("(not shown)".to_owned(), |value| format!("`{value}`"));
    match difference.change {
        Change::Equal => format!("  {name}  equal"),
        Change::Differs if difference.is_secret => format!("~ {name}  differs"),
        Change::Differs => format!("~ {name}  {} -> {}", value(&difference.left), value(&difference.right)),
        Change::OnlyLeft => format!("- {name}  {}", value(&difference.left)),
        Change::OnlyRight => format!("+ {name}  {}", value(&difference.right)),
    }
}
