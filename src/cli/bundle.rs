//! Everything about the file that crosses the gap: one verb per file.

use clap::{Args, Subcommand};

use super::bundle_images::{self, ImagesArgs};
use super::{Console, Exit, Failure};

/// Build, sign, verify and load the file that crosses the gap
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    #[command(subcommand)]
    verb: BundleVerb,
}

#[derive(Debug, Subcommand)]
enum BundleVerb {
    Images(ImagesArgs),
}

pub(crate) fn run(args: &BundleArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        BundleVerb::Images(args) => bundle_images::run(args, console),
    }
}
