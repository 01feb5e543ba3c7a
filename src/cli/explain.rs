//! Prints the manual's words about one finding or one refusal of a bundle, without the manual and without a network.

use std::io::Write;

use airgap::bundle::refusals;
use checks::catalogue;
use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure};

/// Say what a finding or a refusal means and what to do about it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gitgrit-ops explain GG-ENV-052\n  gitgrit-ops explain GG-BUNDLE-017")]
pub(crate) struct ExplainArgs {
    /// The id, as a report or an error shows it
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Serialize)]
struct ExplainView {
    id: &'static str,
    meaning: &'static str,
    /// Why a refusal matters; `null` for a finding.
    why: Option<&'static str>,
    fix: &'static str,
    doc: String,
}

pub(crate) fn run(args: &ExplainArgs, console: &mut Console) -> Result<Exit, Failure> {
    let view = view(&args.id)?;
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    writeln!(console.out, "{}\n\n  {}", view.id, view.meaning)?;
    if let Some(why) = view.why {
        writeln!(console.out, "  why: {why}")?;
    }
    if !view.fix.is_empty() {
        writeln!(console.out, "  fix: {}", view.fix)?;
    }
    writeln!(console.out, "  manual: docs/{}", view.doc)?;
    Ok(Exit::Ok)
}

fn view(id: &str) -> Result<ExplainView, Failure> {
    if let Some(known) = catalogue::find(id) {
        return Ok(ExplainView { id: known.id, meaning: known.meaning, why: None, fix: known.fix, doc: known.doc() });
    }
    if let Some(known) = refusals::find(id) {
        let (why, doc) = (Some(known.why), known.doc());
        return Ok(ExplainView { id: known.id, meaning: known.meaning, why, fix: known.fix, doc });
    }
    let failure = Failure::said(Exit::Usage, format!("nothing is called `{}`", base::name::shown(id)));
    if id.trim().to_ascii_uppercase().starts_with(refusals::AREA) {
        return Err(failure.hinted("docs/refusals.md lists all refusals of bundles"));
    }
    Err(match catalogue::nearest(id) {
        Some(near) => failure.hinted(format!("the nearest is {near}; docs/checks.md lists all")),
        None => failure,
    })
}
