//! Takes a bundle to further hosts over ssh and has them load it: parses, verifies here first, hands over, prints a line for each host.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use airgap::bundle::push::{Arrived, Cargo, Push};
use airgap::bundle::push_error::PushError;
use airgap::bundle::ssh::{Host, Ssh};
use airgap::bundle::trust::Trust;
use airgap::bundle::{Bundle, BundleError, Hashes, Signature, Thoroughness, Verified};
use base::Hint;
use clap::Args;
use serde::{Serialize, Serializer};
use tempfile::NamedTempFile;
use vault::minisign::PublicKey;

use super::bundle_engine::progress;
use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle push --hosts app1,app2 gitgrit-v1.0.0-amd64.ggb --public-key release.pub\n  \
                        gitgrit-ops bundle push --hosts root@db1 gitgrit-v1.0.0-amd64.ggb --trust trust.json --dry-run";

/// The program's place in a bundle.
const PROGRAM: &str = "bin/gitgrit-ops";

/// Take a bundle to further hosts over ssh, and have them load it
///
/// The bundle is verified here first. Then its own program and the bundle are copied to each host (`~/.local/state/gitgrit/push`), as much of them as
/// is missing there; what arrived is compared by its SHA-256, and the host itself verifies and loads the bundle, trusting the same keys. A host
/// that fails stops no other. Never asks for a password: keys, ports and names belong into the configuration of ssh.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PushArgs {
    /// The hosts, as `ssh` takes them: HOST or USER@HOST
    #[arg(long, value_name = "HOST", required = true, value_delimiter = ',')]
    hosts: Vec<String>,

    /// The bundle
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// The program that loads it there [default: the one that the bundle carries and its signature covers]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// The configuration that ssh reads in place of its own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,

    /// How many hosts are served at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    at_once: u8,

    /// Let the hosts take a bundle that is older than their last one
    #[arg(long)]
    allow_older: bool,

    /// Leave program and bundle on the hosts
    #[arg(long)]
    keep: bool,

    /// Verify, ask the hosts what they have, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct HostView {
    host: String,
    is_done: bool,
    /// Bytes of program and bundle that were copied.
    copied: u64,
    /// Bytes of layers that its engine got, and of those that it had.
    sent: u64,
    spared: u64,
    /// What this program would have ended with for this host alone.
    #[serde(serialize_with = "number")]
    exit: Exit,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl HostView {
    fn new(host: &Host, result: Result<Arrived, PushError>) -> Self {
        let host = host.as_str().to_owned();
        match result {
            Ok(Arrived { copied, sent, spared }) => {
                Self { host, is_done: true, copied, sent, spared, exit: Exit::Ok, id: None, error: None, hint: None }
            }
            Err(error) => {
                let (id, mut words) = (Some(error.id()), error.to_string());
                let (exit, hint) = (exit(&error), error.hint());
                if let Some(source) = std::error::Error::source(&error) {
                    words = format!("{words}: {source}");
                }
                Self { host, is_done: false, copied: 0, sent: 0, spared: 0, exit, id, error: Some(words), hint }
            }
        }
    }
}

pub(crate) fn run(args: &PushArgs, console: &mut Console) -> Result<Exit, Failure> {
    let hosts: Result<Vec<Host>, PushError> = args.hosts.iter().map(|host| Host::parse(host)).collect();
    let mut hosts = hosts.map_err(|error| failed(Exit::Usage, error))?;
    hosts.sort();
    hosts.dedup();
    let trust = args.trust.read()?;
    let judge = |bytes: &[u8], signatures: &[Signature]| Ok(trust.judge(bytes, signatures)?);
    let (bundle, _) = Bundle::open(&args.file, judge).map_err(refused)?;
    let bar = progress(console, 2 * bundle.size(), "verifying");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Thoroughness { hashes: Hashes::Blake3, is_full: false, threads };
    let verified = bundle.verify(how, &|more| bar.inc(more)).map_err(refused)?;
    let here = |error| failed(Exit::Failure, error);
    let cargo = Cargo::bundle(&args.file, &|more| bar.inc(more)).map_err(here)?;
    drop(bar);
    // Lies there until all hosts have it.
    let held;
    let program = if let Some(program) = &args.program {
        program.as_path()
    } else {
        held = carried(&verified)?;
        held.path()
    };
    let named = |name| Some((name, std::env::var_os(name)?));
    let environment = ["HOME", "SSH_AUTH_SOCK"].into_iter().filter_map(named).collect();
    let push = Push {
        program: Cargo::program(program).map_err(here)?,
        arch: bundle.manifest().arch,
        bundle: cargo,
        options: options(&trust, args.allow_older),
        ssh: Ssh { config: args.ssh_config.clone(), environment },
        keeps: args.keep,
        is_dry: args.dry_run,
    };
    let views = all(&push, &hosts, usize::from(args.at_once), console);
    if console.is_json {
        console.json(&views)?;
    }
    Ok(common(&views))
}

/// What a host's failure ends with. A load that failed there has said it itself.
fn exit(error: &PushError) -> Exit {
    match error {
        PushError::Name { .. } => Exit::Usage,
        PushError::Space { .. } | PushError::Full { .. } => Exit::Space,
        PushError::Damaged { .. } => Exit::Integrity,
        PushError::Load { code, .. } => {
            let told = [Exit::Locked, Exit::Integrity, Exit::Base, Exit::Space, Exit::Version, Exit::Engine];
            told.into_iter().find(|exit| i32::from(*exit as u8) == *code).unwrap_or(Exit::Failure)
        }
        PushError::Ssh { .. } | PushError::Processor { .. } | PushError::Here { .. } => Exit::Failure,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn number<S: Serializer>(exit: &Exit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(*exit as u8)
}

/// What all that failed agree on.
fn common(views: &[HostView]) -> Exit {
    let mut failed = views.iter().map(|view| view.exit).filter(|exit| *exit != Exit::Ok);
    let Some(first) = failed.next() else { return Exit::Ok };
    if failed.all(|exit| exit == first) { first } else { Exit::Failure }
}

/// The program that the bundle's signature covers, in a file as long as it is needed.
fn carried(bundle: &Verified<'_>) -> Result<NamedTempFile, Failure> {
    if bundle.manifest().program.is_none() {
        let failure = Failure::said(Exit::Usage, "the bundle carries no program");
        return Err(failure.hinted("name one: --program FILE"));
    }
    let mut content = bundle.content(PROGRAM).map_err(refused)?;
    let mut file = NamedTempFile::new()?;
    io::copy(&mut content, file.as_file_mut()).map_err(|source| refused(BundleError::within(source, file.path())))?;
    Ok(file)
}

/// Serves all hosts, some at a time, and prints each one's line as it ends. Gives all of them in the order of their names.
fn all(push: &Push, hosts: &[Host], at_once: usize, console: &mut Console) -> Vec<HostView> {
    let next = AtomicUsize::new(0);
    let total = (push.bundle.size() + push.program.size()) * hosts.len() as u64;
    let bar = progress(console, total, "copying");
    let (telling, told) = mpsc::channel();
    let mut views = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(hosts.len()) {
            let telling = telling.clone();
            let (next, bar) = (&next, &bar);
            scope.spawn(move || {
                while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _ = telling.send(HostView::new(host, push.run(host, &|more| bar.inc(more))));
                }
            });
        }
        drop(telling);
        for view in told {
            if !console.is_json {
                // The other hosts go on also when nobody reads this.
                let _ = writeln!(console.out, "{}", line(&view, push.is_dry));
                let _ = view.hint.iter().try_for_each(|hint| writeln!(console.err, "hint: {}: {hint}", view.host));
            }
            views.push(view);
        }
    });
    drop(bar);
    views.sort_by(|one, next| one.host.cmp(&next.host));
    views
}

fn line(view: &HostView, is_dry: bool) -> String {
    let HostView { host, copied, sent, spared, .. } = view;
    match (&view.error, view.id) {
        (Some(error), Some(id)) => format!("{host}  failed  [{id}] {error}"),
        _ if is_dry => format!("{host}  would copy {copied} bytes"),
        _ => format!("{host}  loaded  {copied} bytes copied, {sent} bytes of layers sent, {spared} spared"),
    }
}

/// Whom the hosts are to trust: the same keys.
fn options(trust: &Trust, allow_older: bool) -> Vec<String> {
    let keys = trust.keys().iter().map(PublicKey::line).flat_map(|line| ["--public-key".to_owned(), line]);
    let mut options: Vec<String> = keys.collect();
    options.extend(["--threshold".to_owned(), trust.threshold().to_string()]);
    if allow_older {
        options.push("--allow-older".into());
    }
    options
}

fn failed(exit: Exit, error: PushError) -> Failure {
    let id = error.id();
    Failure::new(exit, error).identified(id)
}
