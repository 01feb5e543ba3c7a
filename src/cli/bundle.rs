//! Everything about the file that crosses the gap: one verb per file.

use clap::{Args, Subcommand};

use super::bundle_apply::{self, ApplyArgs};
use super::bundle_build::{self, BuildArgs};
use super::bundle_delta::{self, DeltaArgs};
use super::bundle_diff::{self, BundleDiffArgs};
use super::bundle_images::{self, ImagesArgs};
use super::bundle_inspect::{self, InspectArgs};
use super::bundle_inventory::{self, InventoryArgs};
use super::bundle_join::{self, JoinArgs};
use super::bundle_keygen::{self, KeygenArgs};
use super::bundle_load::{self, LoadArgs};
use super::bundle_push::{self, PushArgs};
use super::bundle_serve::{self, BundleServeArgs};
use super::bundle_sign::{self, SignArgs};
use super::bundle_split::{self, SplitArgs};
use super::bundle_tgz::{self, TgzArgs};
use super::bundle_trust::{self, TrustVerbArgs};
use super::bundle_verify::{self, VerifyArgs};
use super::{Console, Exit, Failure};

/// Build, sign, verify and load the file that crosses the gap
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    #[command(subcommand)]
    verb: BundleVerb,
}

#[derive(Debug, Subcommand)]
enum BundleVerb {
    Build(BuildArgs),
    Verify(VerifyArgs),
    Inspect(InspectArgs),
    Diff(BundleDiffArgs),
    Load(LoadArgs),
    Inventory(InventoryArgs),
    Delta(DeltaArgs),
    Apply(ApplyArgs),
    Split(SplitArgs),
    Join(JoinArgs),
    Serve(BundleServeArgs),
    Push(PushArgs),
    Keygen(KeygenArgs),
    Sign(SignArgs),
    Trust(TrustVerbArgs),
    Images(ImagesArgs),
    Tgz(TgzArgs),
}

pub(crate) fn run(args: &BundleArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        BundleVerb::Build(args) => bundle_build::run(args, console),
        BundleVerb::Verify(args) => bundle_verify::run(args, console),
        BundleVerb::Inspect(args) => bundle_inspect::run(args, console),
        BundleVerb::Diff(args) => bundle_diff::run(args, console),
        BundleVerb::Load(args) => bundle_load::run(args, console),
        BundleVerb::Inventory(args) => bundle_inventory::run(args, console),
        BundleVerb::Delta(args) => bundle_delta::run(args, console),
        BundleVerb::Apply(args) => bundle_apply::run(args, console),
        BundleVerb::Split(args) => bundle_split::run(args, console),
        BundleVerb::Join(args) => bundle_join::run(args, console),
        BundleVerb::Serve(args) => bundle_serve::run(args, console),
        BundleVerb::Push(args) => bundle_push::run(args, console),
        BundleVerb::Keygen(args) => bundle_keygen::run(args, console),
        BundleVerb::Sign(args) => bundle_sign::run(args, console),
        BundleVerb::Trust(args) => bundle_trust::run(args, console),
        BundleVerb::Images(args) => bundle_images::run(args, console),
        BundleVerb::Tgz(args) => bundle_tgz::run(args, console),
    }
}
