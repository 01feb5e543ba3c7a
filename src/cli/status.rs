//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Status
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

pub(crate) fn run(_: &StatusArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
