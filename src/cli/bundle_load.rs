//! Loads a bundle's images into the engine: verified as a whole first, then only what is missing is sent.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use airgap::bundle::load::{self, State, apply, check_room, least, wanted};
use airgap::bundle::load_error::LoadError;
use airgap::bundle::load_plan::{Action, Plan};
use airgap::bundle::{Bundle, BundleError, Digest, Hashes, Manifest, Thoroughness};
use base::Clock;
use base::clock::SystemClock;
use base::site::SiteDir;
use clap::Args;
use docker::EngineError;
use serde::Serialize;

use super::bundle_engine::{engine, engine_failure, progress};
use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::sources::found_site;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle load gitgrit-v1.0.0-amd64.ggb --public-key release.pub\n  \
                        gitgrit-ops bundle load gitgrit-v1.0.0-amd64.ggb --trust /etc/gitgrit/trust.json --dry-run";

/// Load a bundle's images into the engine
///
/// The bundle is verified as a whole before the engine hears of it. Then the engine (`DOCKER_HOST`) is asked what it has, and gets the
/// layers that it lacks, each image by itself: a run that was ended is run again, and goes on with the next image. Afterwards the engine's image
/// ids are compared with the bundle's.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// The bundle
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// Where the journal and the last bundle's sequence are kept [default: the site's state, or a folder of your own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Take a bundle that is older than the last one
    #[arg(long)]
    allow_older: bool,

    /// Compare SHA-256 instead of BLAKE3, where only approved algorithms count
    #[arg(long)]
    sha256: bool,

    /// Verify, say what would be sent, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct LoadView {
    version: String,
    sequence: u64,
    signed_by: Vec<String>,
    images: Vec<ImageView>,
    /// The bytes of layers that are sent, and of those that the engine has.
    sent: u64,
    spared: u64,
    dry_run: bool,
}

#[derive(Serialize)]
struct ImageView {
    reference: String,
    id: String,
    /// `present`, `name` or `send`.
    action: &'static str,
    layers: usize,
    /// How many layers of it are sent.
    sent: usize,
}

pub(crate) fn run(args: &LoadArgs, console: &mut Console) -> Result<Exit, Failure> {
    let folder = state_folder(args.state.as_deref());
    let least = if args.allow_older { 0 } else { least(&folder).map_err(failed)? };
    let trust = args.trust.read()?.not_before(least);
    let judge = |bytes: &[u8], signatures: &[airgap::bundle::Signature]| Ok(trust.judge(bytes, signatures)?);
    let (bundle, signed) = Bundle::open(&args.file, judge).map_err(refused)?;
    for warning in signed.warning(SystemClock.now()).iter().chain(bundle.warnings()) {
        writeln!(console.err, "warning: {warning}")?;
    }
    let manifest = bundle.manifest();
    fits(manifest)?;
    let bar = progress(console, manifest.packed_size(), "verifying");
    let hashes = if args.sha256 { Hashes::Sha256 } else { Hashes::Blake3 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let verified =
        bundle.verify(Thoroughness { hashes, is_full: false, threads }, &|more| bar.inc(more)).map_err(refused)?;
    drop(bar);
    let engine = engine()?;
    let (plan, store) = load::plan(wanted(manifest), &engine).map_err(failed)?;
    if let Some(store) = &store {
        check_room(&plan, store, engine.host()).map_err(failed)?;
    }
    if !args.dry_run {
        let open = |digest: &Digest| -> io::Result<Box<dyn io::Read + Send>> { Ok(Box::new(verified.layer(digest)?)) };
        let clock = SystemClock;
        let mut state = State::open(&folder, &clock).map_err(failed)?;
        let bar = progress(console, plan.bytes().0, "loading");
        apply(&plan, &engine, &open, &mut state, &|more| bar.inc(more)).map_err(failed)?;
        state.reached(manifest).map_err(failed)?;
    }
    let signers = signed.by.iter().map(ToString::to_string).collect();
    show(manifest, &plan, signers, args.dry_run, console)
}

fn show(
    manifest: &Manifest,
    plan: &Plan,
    signed_by: Vec<String>,
    dry_run: bool,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let (sent, spared) = plan.bytes();
    let images = plan.steps.iter().map(|(image, action)| {
        let (word, count) = match action {
            Action::Nothing => ("present", 0),
            Action::Name => ("name", 0),
            Action::Send { below } => ("send", image.layers.len() - below),
        };
        ImageView {
            reference: image.reference.clone(),
            id: image.id.clone(),
            action: word,
            layers: image.layers.len(),
            sent: count,
        }
    });
    let images: Vec<ImageView> = images.collect();
    if console.is_json {
        let (version, sequence) = (manifest.version.clone(), manifest.sequence);
        console.json(&LoadView { version, sequence, signed_by, images, sent, spared, dry_run })?;
        return Ok(Exit::Ok);
    }
    for image in &images {
        let what = match image.action {
            "present" => "was there".to_owned(),
            "name" => "was there under another name".to_owned(),
            _ => format!("{} of {} layers sent", image.sent, image.layers),
        };
        writeln!(console.out, "{}  {}  {what}", image.id, image.reference)?;
    }
    let done = if dry_run { "would send" } else { "sent" };
    writeln!(console.err, "signed by {}; {done} {sent} bytes of layers, spared {spared}", signed_by.join(", "))?;
    Ok(Exit::Ok)
}

/// The lowest sequence that is taken: that of the last bundle, unless an older one is wanted.
pub(crate) fn oldest(state: Option<&Path>, allow_older: bool) -> Result<u64, Failure> {
    if allow_older { Ok(0) } else { least(&state_folder(state)).map_err(failed) }
}

/// The bundle must be for this processor.
fn fits(manifest: &Manifest) -> Result<(), Failure> {
    let host = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let found = manifest.arch.name();
    if found == host { Ok(()) } else { Err(failed(LoadError::Arch { found, host: host.into() })) }
}

/// Where a site's operations leave what they did; without a site, in the home of whoever loads.
fn state_folder(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.into();
    }
    if let Some(site) = found_site() {
        return SiteDir::new(site).state();
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    home.join(".local/state/gitgrit")
}

fn failed(error: LoadError) -> Failure {
    let id = error.id();
    let failure = match error {
        LoadError::Bundle(error) => return refused(error),
        LoadError::Engine(EngineError::Archive { source }) if BundleError::of(&source).is_some() => {
            // The medium changed after it was verified.
            Failure::new(Exit::Integrity, LoadError::Engine(EngineError::Archive { source }))
        }
        LoadError::Engine(error) => engine_failure(error),
        LoadError::File(error) => error.into(),
        LoadError::Space { .. } => Failure::new(Exit::Space, error),
        LoadError::Differs { .. } => Failure::new(Exit::Integrity, error),
        other => Failure::new(Exit::Failure, other),
    };
    match id {
        Some(id) => failure.identified(id),
        None => failure,
    }
}
