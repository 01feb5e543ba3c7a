//! Makes a delta: what a target with an old bundle needs for a new one.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::delta::{self, Base, Report, Sum};
use airgap::bundle::delta_error::DeltaError;
use airgap::bundle::inventory::{Inventory, LIMIT};
use airgap::bundle::{Bundle, BundleError};
use base::file::read_bytes;
use clap::Args;
use serde::Serialize;

use super::bundle_engine::progress;
use super::bundle_inspect::{self, HeadArgs};
use super::bundle_sign::refused;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle delta gitgrit-v1.1.0-amd64.ggb --base gitgrit-v1.0.0-amd64.ggb --public-key release.pub\n  \
                        gitgrit-ops bundle delta gitgrit-v1.1.0-amd64.ggb --inventory inventory.json --trust trust.json";

/// Make a delta: only what a target with an old bundle lacks
///
/// What the old bundle has is left out, what was changed goes as a patch where that is smaller. `bundle apply` makes the new bundle out of both, byte for
/// byte, and believes nothing of the delta but the new bundle's own signatures. With an inventory in place of the old bundle there are no
/// patches against it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeltaArgs {
    /// The new bundle
    new: PathBuf,

    /// The old bundle, which the target has
    #[arg(long, value_name = "BUNDLE", required_unless_present = "inventory", conflicts_with = "inventory")]
    base: Option<PathBuf>,

    /// What the target says that it has: a file of `bundle inventory`
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,

    /// The delta to write [default: gitgrit-TAG-ARCH.from-OLDTAG.ggd in the current folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    head: HeadArgs,

    /// Make the delta in memory, say how large it is, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct DeltaView {
    file: String,
    size: u64,
    /// The new bundle's size, in bytes.
    full: u64,
    /// The bundle that the delta is applied to.
    base: String,
    base_manifest: String,
    kept: SumView,
    patched: SumView,
    /// The bytes of the patches.
    patches: u64,
    whole: SumView,
    /// The zstd library that the target's program must have, when the base was not packed with it.
    zstd_needed: Option<String>,
    dry_run: bool,
}

/// Frames, and their bytes in the new bundle.
#[derive(Serialize)]
struct SumView {
    frames: usize,
    bytes: u64,
}

impl From<Sum> for SumView {
    fn from(sum: Sum) -> Self {
        Self { frames: sum.frames, bytes: sum.bytes }
    }
}

pub(crate) fn run(args: &DeltaArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (new, _) = bundle_inspect::open(&args.new, &args.head)?;
    let old = args.base.as_ref().map(|path| bundle_inspect::open(path, &args.head)).transpose()?;
    let base = match (&old, &args.inventory) {
        (Some((bundle, _)), _) => Base::of_bundle(bundle),
        (None, path) => {
            let bytes = read_bytes(path.as_deref().unwrap_or(std::path::Path::new("")), LIMIT)?;
            let inventory = Inventory::parse(&bytes).map_err(|error| refused(error.into()))?;
            let nearest = inventory.nearest(new.manifest());
            let none = || refused(DeltaError::Pair("the inventory has no bundle for its processor").into());
            Base::of_inventory(nearest.ok_or_else(none)?)
        }
    };
    let manifest = new.manifest();
    let name = format!("gitgrit-{}-{}.from-{}.ggd", manifest.version, manifest.arch.name(), base.needed().version);
    let out = args.out.clone().unwrap_or_else(|| name.into());
    let bar = progress(console, manifest.packed_size(), "comparing");
    let report = delta::write(&new, &base, (!args.dry_run).then_some(out.as_path()), &|more| bar.inc(more));
    let report = report.map_err(|error: BundleError| refused(error))?;
    drop(bar);
    show(&new, &out.display().to_string(), &report, args.dry_run, console)
}

fn show(new: &Bundle, file: &str, report: &Report, dry_run: bool, console: &mut Console) -> Result<Exit, Failure> {
    let full = new.size();
    if console.is_json {
        console.json(&DeltaView {
            file: file.to_owned(),
            size: report.size,
            full,
            base: report.base.version.clone(),
            base_manifest: report.base.manifest.named(),
            kept: report.kept.into(),
            patched: report.patched.into(),
            patches: report.patches,
            whole: report.whole.into(),
            zstd_needed: report.zstd_needed.clone(),
            dry_run,
        })?;
        return Ok(Exit::Ok);
    }
    let hundredths = report.size.saturating_mul(10_000) / full.max(1);
    let Report { base, size, kept, patched, patches, whole, zstd_needed } = report;
    let done = if dry_run { "would write" } else { "wrote" };
    writeln!(
        console.err,
        "{done} {size} bytes: {}.{:02} % of the bundle's {full}",
        hundredths / 100,
        hundredths % 100
    )?;
    writeln!(console.err, "from gitgrit {} (manifest {})", base.version, base.manifest.named())?;
    writeln!(console.err, "left out   {} frames of {} bytes", kept.frames, kept.bytes)?;
    writeln!(console.err, "patched    {} frames of {} bytes, in {patches}", patched.frames, patched.bytes)?;
    writeln!(console.err, "whole      {} frames of {} bytes", whole.frames, whole.bytes)?;
    if let Some(zstd) = zstd_needed {
        writeln!(
            console.err,
            "warning: only a program with zstd {zstd} can apply it, and the old bundle was packed with another: carry the new program beside it"
        )?;
    }
    writeln!(console.out, "{file}")?;
    Ok(Exit::Ok)
}
