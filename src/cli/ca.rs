//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Ca
#[derive(Debug, Args)]
pub(crate) struct CaArgs {}

pub(crate) fn run(_: &CaArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
