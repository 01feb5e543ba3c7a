//! Verifies a bundle: who signed it, and whether every byte of it is what they signed. Writes nothing, opens no socket.

use std::io::Write;
use std::path::{Path, PathBuf};

use airgap::bundle::trust::Signed;
use airgap::bundle::{Bundle, Hashes, Signature, Thoroughness};
use base::Clock;
use base::clock::SystemClock;
use clap::Args;
use serde::Serialize;

use super::bundle_engine::progress;
use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle verify gitgrit-v1.0.0-amd64.ggb --public-key release.pub\n  \
                        gitgrit-ops bundle verify gitgrit-v1.0.0-amd64.ggb --trust trust.json --full";

/// Verify a bundle: its signatures and every byte of it
///
/// The signatures are judged first; then the hash of each compressed frame is compared on all cores, and the archive's headers
/// and small files with the manifest. A refusal names its reason (docs/bundle.md) and ends with exit code 13.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The bundle
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// Refuse a bundle whose sequence is lower than this
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    not_before: u64,

    /// Compare SHA-256 instead of BLAKE3, where only approved algorithms count
    #[arg(long)]
    sha256: bool,

    /// Unpack everything as well, in memory, and compare the SHA-256 of each file
    #[arg(long)]
    full: bool,
}

#[derive(Serialize)]
struct VerifyView<'v> {
    file: String,
    version: &'v str,
    arch: &'v str,
    sequence: u64,
    commit: &'v str,
    is_dirty: bool,
    /// The trusted keys that signed.
    signed_by: Vec<String>,
    /// Other keys that say they did; nobody looked.
    strangers: Vec<String>,
    /// The hash that was compared: `blake3` or `sha256`.
    hashes: &'static str,
    is_full: bool,
    frames: usize,
    size: u64,
    warnings: Vec<String>,
}

pub(crate) fn run(args: &VerifyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let trust = args.trust.read()?.not_before(args.not_before);
    let judge = |bytes: &[u8], signatures: &[Signature]| Ok(trust.judge(bytes, signatures)?);
    let (bundle, signed) = Bundle::open(&args.file, judge).map_err(refused)?;
    let bar = progress(console, bundle.manifest().packed_size(), "verifying");
    let hashes = if args.sha256 { Hashes::Sha256 } else { Hashes::Blake3 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Thoroughness { hashes, is_full: args.full, threads };
    bundle.verify(how, &|more| bar.inc(more)).map_err(|error| {
        let failure = refused(error);
        let is_split = bundle.is_split();
        if is_split { failure.hinted("`bundle join` finds the damaged part, and mends one") } else { failure }
    })?;
    drop(bar);
    show(&args.file, &bundle, &signed, how, console)
}

fn show(
    file: &Path,
    bundle: &Bundle,
    signed: &Signed,
    how: Thoroughness,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let manifest = bundle.manifest();
    let keys = |keys: &[vault::minisign::KeyId]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut warnings: Vec<String> = signed.warning(SystemClock.now()).into_iter().collect();
    warnings.extend_from_slice(bundle.warnings());
    if manifest.commit.is_dirty {
        warnings.push("it was built from a tree with changes that no commit has".into());
    }
    let view = VerifyView {
        file: file.display().to_string(),
        version: &manifest.version,
        arch: manifest.arch.name(),
        sequence: manifest.sequence,
        commit: &manifest.commit.id,
        is_dirty: manifest.commit.is_dirty,
        signed_by: keys(&signed.by),
        strangers: keys(&signed.strangers),
        hashes: if how.hashes == Hashes::Sha256 { "sha256" } else { "blake3" },
        is_full: how.is_full,
        frames: manifest.frames.len(),
        size: bundle.size(),
        warnings,
    };
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    writeln!(console.out, "gitgrit {} for {}, sequence {}", view.version, view.arch, view.sequence)?;
    writeln!(console.out, "commit     {}", view.commit)?;
    writeln!(console.out, "signed by  {}", view.signed_by.join(", "))?;
    if !view.strangers.is_empty() {
        writeln!(console.out, "           and by keys that are not trusted: {}", view.strangers.join(", "))?;
    }
    let full = if how.is_full { ", everything unpacked" } else { "" };
    writeln!(console.out, "verified   {} bytes in {} frames, {}{full}", view.size, view.frames, view.hashes)?;
    for warning in &view.warnings {
        writeln!(console.err, "warning: {warning}")?;
    }
    Ok(Exit::Ok)
}
