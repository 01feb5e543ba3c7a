//! Compares the settings of two files. Of secrets it shows only whether they are equal.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::envfile::Values;
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

pub(crate) fn run(args: &DiffArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut read = |path: &Path| values(path, console);
    let (Some(left), Some(right)) = (read(&args.left)?, read(&args.right)?) else {
        return Ok(Exit::ChecksFailed);
    };
    let differences = diff(&left, &right);
    if console.is_json {
        let (left, right) = (args.left.display().to_string(), args.right.display().to_string());
        console.json(&DiffView { left, right, differences: &differences })?;
        return Ok(Exit::Ok);
    }
    for difference in &differences {
        writeln!(console.out, "{}", line(difference))?;
    }
    Ok(Exit::Ok)
}

/// The values of a file, or its findings printed in their place.
fn values(path: &Path, console: &mut Console) -> Result<Option<Values>, Failure> {
    match checks::env::values(path, &super::env::environment) {
        Ok(values) => Ok(Some(values)),
        Err(found) if console.is_json => {
            let said = found.first().map(|finding| format!("{}: {}", finding.id, finding.message));
            let message = format!("could not read `{}`: {}", path.display(), said.unwrap_or_default());
            Err(Failure::said(Exit::ChecksFailed, message))
        }
        Err(found) => {
            findings::print(&found, console)?;
            Ok(None)
        }
    }
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
