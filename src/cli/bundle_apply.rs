//! Makes a new bundle out of a delta and the old bundle.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::apply::Pair;
use airgap::bundle::delta_file::Delta;
use airgap::bundle::trust::TrustError;
use airgap::bundle::{Bundle, Signature};
use base::Clock;
use base::clock::SystemClock;
use clap::Args;
use serde::Serialize;

use super::bundle_engine::progress;
use super::bundle_load::{self, LoadArgs, oldest};
use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle apply gitgrit-v1.1.0-amd64.from-v1.0.0.ggd --base gitgrit-v1.0.0-amd64.ggb --trust trust.json\n  \
                        gitgrit-ops bundle apply upgrade.ggd --base /media/stick --out new.ggb --public-key release.pub\n  \
                        gitgrit-ops bundle apply upgrade.ggd --base gitgrit-v1.0.0-amd64.ggb --trust trust.json --load";

/// Make the new bundle out of a delta and the old bundle, byte for byte
///
/// The signatures of both are judged first, and a base that is not the one that the delta needs is refused by name (exit code 14) before
/// anything is written. Each frame that comes out is compared with the signed manifest; the file has its name only when all of them were.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApplyArgs {
    /// The delta
    delta: PathBuf,

    /// The old bundle
    #[arg(long, value_name = "BUNDLE")]
    base: Option<PathBuf>,

    /// The bundle to write [default: gitgrit-TAG-ARCH.ggb in the current folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    trust: TrustArgs,

    /// Where `bundle load` keeps the last bundle's sequence [default: as for load]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Make a bundle that is older than the last one that was loaded, or than the old bundle
    #[arg(long)]
    allow_older: bool,

    /// Load the new bundle into the engine as well, as `bundle load` does; it stays as the base of the next delta
    #[arg(long)]
    load: bool,

    /// Check whether it can be applied, and write nothing
    #[arg(long, conflicts_with = "load")]
    dry_run: bool,
}

#[derive(Serialize)]
struct ApplyView {
    file: String,
    version: String,
    size: u64,
    /// The trusted keys that signed the new bundle.
    signed_by: Vec<String>,
    base: String,
    base_manifest: String,
    dry_run: bool,
}

pub(crate) fn run(args: &ApplyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let trust = args.trust.read()?;
    let newer = trust.clone().not_before(oldest(args.state.as_deref(), args.allow_older)?);
    let judge = |bytes: &[u8], signatures: &[Signature]| Ok(trust.judge(bytes, signatures)?);
    let judge_new = |bytes: &[u8], signatures: &[Signature]| Ok(newer.judge(bytes, signatures)?);
    let (delta, signed) = Delta::open(&args.delta, judge_new).map_err(refused)?;
    if let Some(warning) = signed.warning(SystemClock.now()) {
        writeln!(console.err, "warning: {warning}")?;
    }
    let base = args.base.as_ref().map(|path| Bundle::open(path, judge)).transpose().map_err(refused)?;
    let pair = Pair::new(&delta, base.as_ref().map(|(bundle, _)| bundle)).map_err(refused)?;
    let manifest = delta.manifest();
    let least = base.as_ref().map_or(0, |(_, signed)| signed.sequence);
    if manifest.sequence < least && !args.allow_older {
        return Err(refused(TrustError::Replayed { found: manifest.sequence, least }.into()));
    }
    let name = || PathBuf::from(format!("gitgrit-{}-{}.ggb", manifest.version, manifest.arch.name()));
    let out = args.out.clone().unwrap_or_else(name);
    if !args.dry_run {
        let bar = progress(console, manifest.packed_size(), "applying");
        pair.write(&out, &|more| bar.inc(more)).map_err(refused)?;
    }
    if args.load && !args.dry_run {
        writeln!(console.err, "wrote {}, {} bytes", out.display(), pair.size())?;
        let load = LoadArgs::of(out, args.trust.clone(), args.state.clone(), args.allow_older);
        return bundle_load::run(&load, console);
    }
    let view = ApplyView {
        file: out.display().to_string(),
        version: manifest.version.clone(),
        size: pair.size(),
        signed_by: signed.by.iter().map(ToString::to_string).collect(),
        base: delta.base().version.clone(),
        base_manifest: delta.base().manifest.named(),
        dry_run: args.dry_run,
    };
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    let done = if args.dry_run { "would write" } else { "wrote" };
    let signers = view.signed_by.join(", ");
    writeln!(console.err, "{done} gitgrit {}, {} bytes, signed by {signers}", view.version, view.size)?;
    writeln!(console.out, "{}", view.file)?;
    Ok(Exit::Ok)
}
