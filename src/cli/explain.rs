//! Prints the manual's words about one finding, without the manual and without a network.

use std::io::Write;

use checks::catalogue;
use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure};

/// Say what a finding means and what to do about it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops explain GG-ENV-052")]
pub(crate) struct ExplainArgs {
    /// The finding's id, as a report shows it
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Serialize)]
struct ExplainView {
    id: &'static str,
    meaning: &'static str,
    fix: &'static str,
    doc: String,
}

pub(crate) fn run(args: &ExplainArgs, console: &mut Console) -> Result<Exit, Failure> {
    let Some(known) = catalogue::find(&args.id) else {
        let failure = Failure::said(Exit::Usage, format!("no finding is called `{}`", base::name::shown(&args.id)));
        return Err(match catalogue::nearest(&args.id) {
            Some(near) => failure.hinted(format!("the nearest is {near}; docs/checks.md lists all")),
            None => failure,
        });
    };
    let view = ExplainView { id: known.id, meaning: known.meaning, fix: known.fix, doc: known.doc() };
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    writeln!(console.out, "{}\n\n  {}", view.id, view.meaning)?;
    if !view.fix.is_empty() {
        writeln!(console.out, "  fix: {}", view.fix)?;
    }
    writeln!(console.out, "  manual: docs/{}", view.doc)?;
    Ok(Exit::Ok)
}
