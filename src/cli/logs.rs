//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Logs
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {}

pub(crate) fn run(_: &LogsArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
