//! What this program is.

use airgap::bundle::program_mark::{BEGIN, BETWEEN, END, Mark};
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
    /// The commit that it was built from, with `-dirty` when the tree had changes; `null` when nobody said.
    commit: Option<String>,
}

/// The commit that the compiler was told of; `scripts/portable` tells it.
const COMMIT: &str = match option_env!("GITGRIT_BUILD_COMMIT") {
    Some(commit) => commit,
    None => "",
};
const PARTS: [&str; 5] = [BEGIN, env!("CARGO_PKG_VERSION"), BETWEEN, COMMIT, END];
const LENGTH: usize = PARTS[0].len() + PARTS[1].len() + PARTS[2].len() + PARTS[3].len() + PARTS[4].len();
/// What whoever has this file can read out of it without starting it.
static MARK: [u8; LENGTH] = joined();

const fn joined() -> [u8; LENGTH] {
    let mut joined = [0; LENGTH];
    let (mut part, mut to) = (0, 0);
    while part < PARTS.len() {
        let bytes = PARTS[part].as_bytes();
        let mut from = 0;
        while from < bytes.len() {
            joined[to] = bytes[from];
            (from, to) = (from + 1, to + 1);
        }
        part += 1;
    }
    joined
}

/// What this program says of itself, read as others read it.
pub(crate) fn mark() -> Mark {
    let unmarked = || Mark { version: env!("CARGO_PKG_VERSION").into(), commit: None };
    Mark::read(std::hint::black_box(&MARK)).unwrap_or_else(unmarked)
}

pub(crate) fn run(_: &VersionArgs, console: &mut Console) -> Result<Exit, Failure> {
    let view = VersionView { name: "gitgrit-ops", version: env!("CARGO_PKG_VERSION"), commit: mark().commit };
    if console.is_json {
        console.json(&view)?;
    } else {
        writeln!(console.out, "{} {}", view.name, view.version)?;
        if let Some(commit) = view.commit {
            writeln!(console.out, "commit {commit}")?;
        }
    }
    Ok(Exit::Ok)
}
