//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Up
#[derive(Debug, Args)]
pub(crate) struct UpArgs {}

pub(crate) fn run(_: &UpArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
