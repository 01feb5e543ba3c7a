//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Serve
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {}

pub(crate) fn run(_: &ServeArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
