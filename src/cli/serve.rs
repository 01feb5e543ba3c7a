//! Runs the forge in this process until it is asked to end.

use std::future::Future;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use airgap::facts::refuse_lost_database;
use airgap::running::{self, Held, Listen, Serving};
use base::clock::SystemClock;
use base::file::FileError;
use base::settings::{Settings, Sources};
use base::site::SiteDir;
use clap::Args;
use serve::{Server, TlsFiles};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::site::{DEFAULT_SITE, not_installed, open_forge, runtime, site_at};
use super::{Console, Exit, Failure};

/// What is logged. The SSH library tells of every peer that goes away.
const LOGGED: &str = "info,russh=warn";

/// Serve a site in the foreground
///
/// Logs go to standard error: one JSON object a line, or plain text on a terminal. SIGTERM or SIGINT ends it once what
/// runs has finished.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops serve --site /srv/gitgrit")]
pub(crate) struct ServeArgs {
    /// The site's directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SITE)]
    pub(crate) site: PathBuf,

    /// Further settings, which win over the site's .env
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// Where to listen for HTTP(S), as the installation was told when not given; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,

    /// Where to listen for SSH, as the installation was told when not given; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) ssh: Option<SocketAddr>,

    /// Serve plain HTTP, for a reverse proxy that ends TLS
    #[arg(long)]
    pub(crate) no_tls: bool,
}

pub(crate) fn run(args: &ServeArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = site_at(&args.site)?;
    if !site.state().try_exists().map_err(|source| FileError::Read { path: site.state(), source })? {
        return Err(not_installed(site.root()));
    }
    let sources =
        Sources { environment: console.environment.clone(), env_file: args.env_file.clone(), site: Some(site.clone()) };
    let settings = Settings::parse(&sources.values()?)?;
    refuse_lost_database(&site, &settings)?;
    let listen = listen(args, &site)?;
    let mut held = Held::take(&site)?;
    log();
    tracing::info!(open_files = base::process::raise_open_files(), "started");
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(&site, settings, args.no_tls, listen, &mut held));
    // What still blocks a thread has been cut off from its client and is rolled back at the next start.
    runtime.shutdown_background();
    ended.map(|()| Exit::Ok)
}

fn listen(args: &ServeArgs, site: &SiteDir) -> Result<Listen, Failure> {
    let known = running::listen(site)?;
    let everywhere = |port| SocketAddr::from(([0, 0, 0, 0], port));
    Ok(Listen {
        http: args.http.or(known.map(|known| known.http)).unwrap_or_else(|| everywhere(8828)),
        ssh: args.ssh.or(known.map(|known| known.ssh)).unwrap_or_else(|| everywhere(2424)),
    })
}

async fn serve(
    site: &SiteDir,
    settings: Settings,
    has_no_tls: bool,
    listen: Listen,
    held: &mut Held,
) -> Result<(), Failure> {
    let asked = asked_to_end()?;
    let is_https = settings.site_url.is_https() && !has_no_tls;
    let forge = open_forge(site, settings).await?;
    let options = serve::Options {
        http: listen.http,
        ssh: listen.ssh,
        tls: is_https.then(|| TlsFiles { certificate: site.server_certificate(), key: site.server_key() }),
        ca_certificate: Some(site.ca_certificate()).filter(|path| path.exists()),
        ssh_dir: site.ssh(),
        clock: Arc::new(SystemClock),
    };
    let server = Server::bind(forge.clone(), options)?;
    let bound = server.addresses();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    forge.start_work();
    held.announce(&Serving { pid: std::process::id(), http: bound.http, ssh: bound.ssh, version })?;
    server.run(asked).await;
    forge.close().await;
    Ok(())
}

/// Ends when SIGTERM or SIGINT comes; both are caught from here on.
fn asked_to_end() -> Result<impl Future<Output = ()> + Send, Failure> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn log() {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(LOGGED)).with_writer(std::io::stderr);
    // A second subscriber is refused; the first one is as good.
    let _ = if std::io::stderr().is_terminal() {
        subscriber.try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
}
