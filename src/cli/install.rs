//! Placeholder while the verb is written.

use clap::Args;

use super::{Console, Exit, Failure};

/// Install
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {}

pub(crate) fn run(_: &InstallArgs, _: &mut Console) -> Result<Exit, Failure> {
    todo!("skeleton")
}
