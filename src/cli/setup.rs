//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Setup
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {}

pub(crate) fn run(_: &SetupArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
