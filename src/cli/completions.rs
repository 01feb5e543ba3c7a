//! Shell completions, from the same types as the help.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use super::{Console, Exit, Failure};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops completions bash > /etc/bash_completion.d/gitgrit-ops")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, console: &mut Console) -> Result<Exit, Failure> {
    // Into memory first: the generator panics when a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "gitgrit-ops", &mut script);
    console.out.write_all(&script)?;
    Ok(Exit::Ok)
}
