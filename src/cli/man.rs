//! Manual pages, from the same types as the help.

use std::io::Write;
use std::path::PathBuf;

use base::file::create_dir;
use clap::Args;

use super::{Console, Exit, Failure};

/// Write the manual pages into a directory
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The directory; made when it is not there
    directory: PathBuf,
}

pub(crate) fn run(args: &ManArgs, console: &mut Console) -> Result<Exit, Failure> {
    create_dir(&args.directory, 0o755)?;
    clap_mangen::generate_to(super::command(), &args.directory)?;
    if console.is_json {
        console.json(&args.directory)?;
    } else {
        writeln!(console.out, "{}", args.directory.display())?;
    }
    Ok(Exit::Ok)
}
