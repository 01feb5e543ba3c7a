//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Smoketest
#[derive(Debug, Args)]
pub(crate) struct SmoketestArgs {}

pub(crate) fn run(_: &SmoketestArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
