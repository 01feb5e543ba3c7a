//! What several verbs need of a site: its directory, its forge opened in this process, its server started and stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airgap::running::{self, Serving};
use base::clock::SystemClock;
use base::process::Program;
use base::settings::Settings;
use base::site::SiteDir;
use clap::Args;
use forge::Forge;
use tokio::runtime::Runtime;

use super::{Exit, Failure};

/// Where a site is when nobody says.
pub(crate) const DEFAULT_SITE: &str = "./gitgrit-site";
/// How long a server may take to become healthy.
const START: Duration = Duration::from_mins(1);
/// How long it may take to end: its own patience with what runs, and a little more.
const STOP: Duration = Duration::from_secs(45);
/// How long a server on this host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How the server's memory goes back to the kernel (mallopt(3)): one pool for all threads, which does not keep what was freed.
/// With glibc's own choice, a third more stays unused.
const MEMORY: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Which site a verb is about.
#[derive(Debug, Args)]
pub(crate) struct SiteArgs {
    /// The site's directory
    #[arg(value_name = "DIR", default_value = DEFAULT_SITE)]
    dir: PathBuf,
}

impl SiteArgs {
    /// The site, which must be installed. Fails with exit code 10.
    pub(crate) fn installed(&self) -> Result<SiteDir, Failure> {
        installed_at(&self.dir)
    }
}

/// The site at a path as the operator gave it, which must be installed. Fails with exit code 10.
pub(crate) fn installed_at(dir: &Path) -> Result<SiteDir, Failure> {
    let site = site_at(dir)?;
    if airgap::facts::is_installed(&site)? { Ok(site) } else { Err(not_installed(site.root())) }
}

/// The site at a path as the operator gave it.
pub(crate) fn site_at(dir: &Path) -> Result<SiteDir, Failure> {
    Ok(SiteDir::new(std::path::absolute(dir)?))
}

/// There is no site at `dir`.
pub(crate) fn not_installed(dir: &Path) -> Failure {
    let dir = dir.display();
    Failure::said(Exit::NotInstalled, format!("no site is installed in `{dir}`"))
        .hinted(format!("`gitgrit-ops install --embedded {dir}` makes one"))
}

/// A runtime for the verbs that wait.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Opens the site's forge in this process, migrating its database where needed.
pub(crate) async fn open_forge(site: &SiteDir, settings: Settings) -> Result<Forge, Failure> {
    Ok(Forge::open(forge_options(site, settings)).await?)
}

/// What the site's forge is opened with.
pub(crate) fn forge_options(site: &SiteDir, settings: Settings) -> forge::Options {
    forge::Options {
        settings,
        database: site.database(),
        repositories: site.repositories(),
        clock: Arc::new(SystemClock),
    }
}

/// This program as a child, to be given a verb.
pub(crate) fn this_program() -> Result<Program, Failure> {
    let path = std::env::current_exe()?;
    let name = path.to_str().ok_or_else(|| Failure::said(Exit::Failure, "this program's path is not UTF-8"))?;
    Ok(Program::new(name))
}

/// Starts the site's server in the background and waits until it is healthy.
pub(crate) fn start(site: &SiteDir) -> Result<Serving, Failure> {
    let runtime = runtime()?;
    let program = this_program()?.options(["serve", "--site"]).option(site.root());
    let program = MEMORY.iter().fold(program, |program, (name, value)| program.env(name, *value));
    Ok(running::start(site, program, START, &|serving| is_healthy(site, serving, &runtime))?)
}

/// Ends the site's server: `None` when none ran.
pub(crate) fn stop(site: &SiteDir) -> Result<Option<Serving>, Failure> {
    Ok(running::stop(site, STOP)?)
}

/// Asks the server for `/healthz` where it listens, under the site's own name. With a certificate of the operator's own,
/// whose authority this host may not know, that it accepts connections has to do.
fn is_healthy(site: &SiteDir, serving: &Serving, runtime: &Runtime) -> bool {
    let Ok(facts) = airgap::facts::look(site) else { return false };
    let Some(url) = facts.site_url else { return false };
    let mut address = serving.http;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
    }
    if !facts.certificate.is_some_and(|certificate| certificate.is_ours) {
        return std::net::TcpStream::connect_timeout(&address, CONNECT).is_ok();
    }
    let Ok(trust) = checks::trust::Trust::load(&site.ca_certificate()) else { return false };
    let base = format!("https://{}:{}", url.host(), address.port());
    let Ok(egress) = checks::egress::Egress::at(&base, url.host(), address.ip(), &trust) else { return false };
    runtime.block_on(egress.get("/healthz")).is_ok_and(|answer| answer.status == 200)
}
