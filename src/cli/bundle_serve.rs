//! Serves a verified bundle as a registry that can be pulled from, for as long as this program runs. Writes nothing.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use airgap::bundle::serve::Shelf;
use airgap::bundle::{Bundle, Hashes, Signature, Thoroughness};
use base::Clock;
use base::clock::SystemClock;
use clap::Args;
use rustls::ServerConfig;
use serde::Serialize;
use serve::{TlsFiles, http1_config};

use super::bundle_engine::progress;
use super::bundle_load::failed;
use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle serve gitgrit-v1.0.0-amd64.ggb --public-key release.pub\n  \
                        docker pull 127.0.0.1:5000/gitgrit-app:v1.0.0\n  \
                        gitgrit-ops bundle serve X.ggb --trust trust.json --listen 10.0.0.5:5000 --tls-cert tls.pem --tls-key tls.key\n  \
                        skopeo inspect --tls-verify=false docker://127.0.0.1:5000/gitgrit-app:v1.0.0";

/// How many lines of questions wait to be printed; of what comes while so many do, nothing is said.
const WAITING: usize = 1024;

/// Serve a bundle as a registry to pull from
///
/// The bundle is verified as a whole first; then its images can be pulled (`/v2/`) straight out of the file, whose
/// frames are checked again on the way. Nothing can be pushed, and nothing is written. Speaks plain HTTP, which Docker takes from this
/// very host alone; for other hosts give a certificate and its key. Ends when it is told to (Ctrl-C).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BundleServeArgs {
    /// The bundle
    file: PathBuf,

    #[command(flatten)]
    trust: TrustArgs,

    /// Where to listen; the port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,

    /// Speak TLS with this certificate, which its intermediates follow (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's key (PEM), which nobody but its owner may read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Compare SHA-256 instead of BLAKE3, where only approved algorithms count
    #[arg(long)]
    sha256: bool,
}

/// What is printed before the first question is answered.
#[derive(Serialize)]
struct ServeView {
    listen: String,
    version: String,
    signed_by: Vec<String>,
    /// What `docker pull` takes.
    images: Vec<String>,
}

pub(crate) fn run(args: &BundleServeArgs, console: &mut Console) -> Result<Exit, Failure> {
    let trust = args.trust.read()?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(tls(certificate, key)?),
        _ => None,
    };
    let judge = |bytes: &[u8], signatures: &[Signature]| Ok(trust.judge(bytes, signatures)?);
    let (bundle, signed) = Bundle::open(&args.file, judge).map_err(refused)?;
    if let Some(warning) = signed.warning(SystemClock.now()) {
        writeln!(console.err, "warning: {warning}")?;
    }
    let bar = progress(console, bundle.manifest().packed_size(), "verifying");
    let hashes = if args.sha256 { Hashes::Sha256 } else { Hashes::Blake3 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Thoroughness { hashes, is_full: false, threads };
    let verified = bundle.verify(how, &|more| bar.inc(more)).map_err(refused)?;
    drop(bar);
    let shelf = Shelf::new(&verified).map_err(failed)?;
    let is_encrypted = tls.is_some();
    let shelf = match tls {
        Some(config) => shelf.over_tls(config),
        None => shelf,
    };
    let unheard = |error: std::io::Error| {
        let failure = Failure::said(Exit::Failure, format!("could not listen on `{}`: {error}", args.listen));
        failure.hinted("name another place: --listen ADDRESS:PORT")
    };
    let listener = TcpListener::bind(args.listen).map_err(unheard)?;
    let listen = listener.local_addr().map_err(unheard)?;
    if !listen.ip().is_loopback() {
        let open = if is_encrypted { "" } else { ", and nothing is encrypted on the way" };
        writeln!(console.err, "warning: whoever reaches {listen} can pull{open}")?;
    }
    let images = shelf.names().into_iter().map(|name| format!("{listen}/{name}")).collect();
    let signed_by = signed.by.iter().map(ToString::to_string).collect();
    let version = bundle.manifest().version.clone();
    show(&ServeView { listen: listen.to_string(), version, signed_by, images }, console)?;
    let (telling, told) = mpsc::sync_channel(WAITING);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whoever asks gets an answer also when nobody reads the list of questions.
            let tell = |asked: &str, status: u16| drop(telling.try_send(format!("{status} {asked}")));
            shelf.serve(&listener, &tell);
        });
        for line in &told {
            // Questions are answered also when nobody hears of them any more.
            let _ = writeln!(console.err, "{line}");
        }
        Ok(Exit::Ok)
    })
}

/// How TLS is spoken with these files.
fn tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Failure> {
    if let Ok(facts) = std::fs::metadata(key) {
        // What is root's its group may read: that is how somebody else reads it.
        let is_roots = facts.uid() == 0 && !rustix::process::geteuid().is_root();
        let others = if is_roots { 0o037 } else { 0o077 };
        if facts.mode() & others != 0 {
            let shown = key.display();
            let said = format!("others than its owner may use `{shown}` (mode {:04o})", facts.mode() & 0o7777);
            return Err(
                Failure::said(Exit::Failure, said).hinted(format!("chmod 0600 {shown}, and think of who has read it"))
            );
        }
    }
    let files = TlsFiles { certificate: certificate.into(), key: key.into() };
    http1_config(files).map_err(|error| Failure::new(Exit::Failure, error))
}

fn show(view: &ServeView, console: &mut Console) -> Result<(), Failure> {
    if console.is_json {
        console.json(view)?;
    } else {
        for image in &view.images {
            writeln!(console.out, "{image}")?;
        }
        writeln!(console.err, "signed by {}; listening on {}", view.signed_by.join(", "), view.listen)?;
    }
    Ok(console.out.flush()?)
}
