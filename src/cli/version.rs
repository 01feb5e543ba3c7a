//! What this program is.

use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure};

/// Print the program's version
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops version --json")]
pub(crate) struct VersionArgs {}

#[derive(Serialize)]
struct VersionView {
    name: &'static str,
    version: &'static str,
}

pub(crate) fn run(_: &VersionArgs, console: &mut Console) -> Result<Exit, Failure> {
    let view = VersionView { name: "gitgrit-ops", version: env!("CARGO_PKG_VERSION") };
    if console.is_json {
        console.json(&view)?;
    } else {
        writeln!(console.out, "{} {}", view.name, view.version)?;
    }
    Ok(Exit::Ok)
}
