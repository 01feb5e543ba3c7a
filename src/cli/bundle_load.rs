//! Loads a bundle's images into the engine: verified as a whole first, then only what is missing is sent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use airgap::bundle::load::{self, Told, check_room, fits, wanted};
use airgap::bundle::load_error::LoadError;
use airgap::bundle::load_plan::{Action, Plan};
use airgap::bundle::load_state::{self, State, least};
use airgap::bundle::load_stream;
use airgap::bundle::source::Source;
use airgap::bundle::stream::Passing;
use airgap::bundle::trust::{Signed, Trust};
use airgap::bundle::{Bundle, BundleError, Hashes, Manifest, Thoroughness, Verified};
use airgap::journal::JournalError;
use base::Clock;
use base::clock::SystemClock;
use base::file::FileError;
use base::site::SiteDir;
use clap::Args;
use docker::{Engine, EngineError};
use indicatif::ProgressBar;
use serde::Serialize;

use super::bundle_engine::{engine, engine_failure, progress};
use super::bundle_export::{self, ExportArgs};
use super::bundle_load_tgz;
use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle load gitgrit-v1.0.0-amd64.ggb --public-key release.pub\n  \
                        gitgrit-ops bundle load gitgrit-v1.0.0-amd64.ggb --trust /etc/gitgrit/trust.json --dry-run\n  \
                        ssh vault cat gitgrit-v1.0.0-amd64.ggb | gitgrit-ops bundle load - --public-key release.pub\n  \
                        gitgrit-ops bundle load gitgrit-v1.0.0-amd64.ggb --to registry:https://registry.site --ca site-ca.pem";

/// The state of an installation on this host, which root's loads share.
const SYSTEM_SITE: &str = "/var/lib/gitgrit";

/// Load a bundle's images into the engine, a registry, an archive or a folder
///
/// The bundle is verified as a whole before the engine gets anything of it. Then the engine (`DOCKER_HOST`) is asked what it has, and gets the
/// layers that it lacks, each image by itself: a run that was ended is run again, and goes on with the next image. Afterwards the engine's image
/// ids are compared with the bundle's. With `--stream` the bundle is read once, and the engine can make nothing of it until all of it held.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// The bundle; `-` is standard input, read as with --stream
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// Read the bundle once from its beginning to its end: for pipes, and media that cannot go back
    #[arg(long)]
    stream: bool,

    #[command(flatten)]
    export: ExportArgs,

    /// Where the journal and the last bundle's sequence are kept [default: /var/lib/gitgrit/state for root, else ~/.local/state/gitgrit]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Take a bundle that is older than the last one, or another one with its sequence
    #[arg(long)]
    allow_older: bool,

    /// Compare SHA-256 instead of BLAKE3, where only approved algorithms count
    #[arg(long)]
    sha256: bool,

    /// Load an installer's .tgz although nobody has signed it
    #[arg(long)]
    unsigned: bool,

    /// Verify, say what would be sent, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl LoadArgs {
    /// A load of this bundle into the engine.
    pub(crate) fn of(file: PathBuf, trust: TrustArgs, state: Option<PathBuf>, allow_older: bool) -> Self {
        let (export, stream, sha256) = (ExportArgs::default(), false, false);
        Self { file, trust, stream, export, state, allow_older, sha256, unsigned: false, dry_run: false }
    }
}

/// Verified content, or content that is verified while it passes.
pub(crate) enum Opened<'o> {
    File(Verified<'o>),
    Stream(Box<Passing<'o>>),
}

impl Opened<'_> {
    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Self::File(verified) => verified,
            Self::Stream(passing) => passing.as_ref(),
        }
    }
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
    // Looking at the first bytes would take them from a pipe.
    let is_plain = !args.stream && args.file.is_file();
    if is_plain && let Some(exit) = bundle_load_tgz::run(&args.file, args.unsigned, args.dry_run, console)? {
        return Ok(exit);
    }
    if let Some(target) = args.export.target() {
        let trust = args.trust.read()?;
        return with_content(args, &trust, console, &|_| Ok(()), &mut |opened, signed, bar, console| {
            let exported = bundle_export::Export { args: &args.export, target, is_dry: args.dry_run };
            exported.run(opened, signed, bar, console)
        });
    }
    let folder = state_folder(args.state.as_deref())?;
    let least = if args.allow_older { 0 } else { least(&folder).map_err(failed)? };
    let trust = args.trust.read()?.not_before(least);
    // While the bundle is verified the engine says which one it is; it gets nothing and is asked for nothing else.
    let mut connecting = Some(std::thread::spawn(engine));
    let admit = |manifest: &Manifest| {
        if args.allow_older { Ok(()) } else { load_state::admit(&folder, manifest).map_err(failed) }
    };
    with_content(args, &trust, console, &admit, &mut |opened, signed, bar, console| {
        let engine = connecting.take().and_then(|connecting| connecting.join().ok()).unwrap_or_else(engine)?;
        into_engine(args, &engine, &folder, (opened, signed, bar), console)
    })
}

/// What is done with content: whoever signed it, and a bar for its bytes, come along.
type Use<'u> = dyn FnMut(&Opened<'_>, &Signed, &ProgressBar, &mut Console) -> Result<Exit, Failure> + 'u;

/// Says whether a bundle that is signed may come now.
type Admit<'a> = dyn Fn(&Manifest) -> Result<(), Failure> + 'a;

/// Verifies the bundle, or as much of a stream as comes before the layers, and hands it on.
fn with_content(
    args: &LoadArgs,
    trust: &Trust,
    console: &mut Console,
    admit: &Admit<'_>,
    take: &mut Use<'_>,
) -> Result<Exit, Failure> {
    let judge = |bytes: &[u8], signatures: &[airgap::bundle::Signature]| Ok(trust.judge(bytes, signatures)?);
    let hashes = if args.sha256 { Hashes::Sha256 } else { Hashes::Blake3 };
    let is_stdin = args.file == Path::new("-");
    if args.stream || is_stdin {
        let medium: Box<dyn Read + Send> = if is_stdin {
            Box::new(io::stdin())
        } else {
            let unreadable = |source| refused(BundleError::Read { path: args.file.clone(), source });
            Box::new(File::open(&args.file).map_err(unreadable)?)
        };
        let bar = progress(console, 0, "reading");
        let tell = |more| bar.inc(more);
        let (passing, signed) = Passing::open(medium, &args.file, hashes, judge, &tell).map_err(refused)?;
        admit(passing.manifest())?;
        bar.set_length(passing.manifest().packed_size());
        warn(&signed, console)?;
        return take(&Opened::Stream(Box::new(passing)), &signed, &ProgressBar::hidden(), console);
    }
    let (bundle, signed) = Bundle::open(&args.file, judge).map_err(refused)?;
    admit(bundle.manifest())?;
    warn(&signed, console)?;
    bundle.warnings().iter().try_for_each(|warning| writeln!(console.err, "warning: {warning}"))?;
    let bar = progress(console, bundle.manifest().packed_size(), "verifying");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Thoroughness { hashes, is_full: false, threads };
    let verified = bundle.verify(how, &|more| bar.inc(more)).map_err(refused)?;
    drop(bar);
    let bar = progress(console, 0, "loading");
    take(&Opened::File(verified), &signed, &bar, console)
}

fn warn(signed: &Signed, console: &mut Console) -> io::Result<()> {
    match signed.warning(SystemClock.now()) {
        Some(warning) => writeln!(console.err, "warning: {warning}"),
        None => Ok(()),
    }
}

fn into_engine(
    args: &LoadArgs,
    engine: &Engine,
    folder: &Path,
    (opened, signed, bar): (&Opened<'_>, &Signed, &ProgressBar),
    console: &mut Console,
) -> Result<Exit, Failure> {
    let source = opened.source();
    let manifest = source.manifest();
    fits(manifest, engine).map_err(failed)?;
    let clock = SystemClock;
    // Held before the engine is asked what it has: a plan of before would be of another run's engine.
    let state = if args.dry_run { None } else { Some(State::open(folder, &clock).map_err(failed)?) };
    let (plan, store) = load::plan(wanted(manifest), engine).map_err(failed)?;
    let room = if matches!(opened, Opened::Stream(_)) { plan.room_at_once() } else { plan.room() };
    if let Some(store) = &store {
        check_room(room, store, engine.host()).map_err(failed)?;
    }
    if let Some(mut state) = state {
        // Another run may have come between the first look and the lock.
        if !args.allow_older {
            state.admit(manifest).map_err(failed)?;
        }
        // Every byte goes to the engine once, and once the engine unpacks it.
        bar.set_length(2 * plan.bytes().0);
        let tell = |told: Told| match told {
            Told::Sent(more) | Told::Unpacked(more) => bar.inc(more),
        };
        let done = match opened {
            Opened::File(_) => load::apply(&plan, engine, source, &mut state, &tell),
            Opened::Stream(_) => load_stream::apply(&plan, engine, source, &mut state, &tell),
        };
        done.map_err(failed)?;
        state.reached(manifest).map_err(failed)?;
    } else {
        source.hold().map_err(refused)?;
    }
    bar.finish_and_clear();
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
    if allow_older { Ok(0) } else { least(&state_folder(state)?).map_err(failed) }
}

/// Where loads leave what they did: one place for a host's engine, or, for whoever is not root, one in the user's home.
fn state_folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.into());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(SiteDir::new(SYSTEM_SITE).state());
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let homeless = || {
        let failure =
            Failure::said(Exit::Failure, "could not tell where the last bundle's sequence is kept: HOME is not set");
        failure.hinted("name the folder: --state DIR")
    };
    Ok(home.ok_or_else(homeless)?.join(".local/state/gitgrit"))
}

/// A load that stopped, with its exit code.
pub(crate) fn failed(error: LoadError) -> Failure {
    let id = error.id();
    let failure = match error {
        LoadError::Bundle(error) => return refused(error),
        LoadError::Engine(EngineError::Archive { source }) => return unread(source),
        LoadError::Engine(error @ EngineError::Refused { .. }) => Failure::new(Exit::Engine, LoadError::Engine(error)),
        LoadError::Engine(error) => engine_failure(error),
        LoadError::File(FileError::Write { ref source, .. })
        | LoadError::Journal(JournalError::File { ref source, .. })
        | LoadError::Write { ref source, .. }
            if is_full(source) =>
        {
            Failure::new(Exit::Space, error)
        }
        LoadError::File(error) => error.into(),
        LoadError::Space { .. } | LoadError::Full { .. } | LoadError::Room { .. } => Failure::new(Exit::Space, error),
        LoadError::Differs { .. } | LoadError::Sibling { .. } => Failure::new(Exit::Integrity, error),
        other => Failure::new(Exit::Failure, other),
    };
    match id {
        Some(id) => failure.identified(id),
        None => failure,
    }
}

/// A disk, or what its user may take of it, is used up.
fn is_full(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What was to be sent did not read: most often because it is not what was signed.
fn unread(source: io::Error) -> Failure {
    match source.downcast::<BundleError>() {
        Ok(error) => refused(error),
        Err(source) => Failure::new(Exit::Failure, EngineError::Archive { source }),
    }
}
