//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Down
#[derive(Debug, Args)]
pub(crate) struct DownArgs {}

pub(crate) fn run(_: &DownArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
