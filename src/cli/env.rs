//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Env
#[derive(Debug, Args)]
pub(crate) struct EnvArgs {}

pub(crate) fn run(_: &EnvArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
