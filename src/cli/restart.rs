//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Restart
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {}

pub(crate) fn run(_: &RestartArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
