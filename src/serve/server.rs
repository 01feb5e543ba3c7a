//! The server: binds both doors, runs them, and ends them in order. Reads no setting but those handed in.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base::file::{FileError, read_bytes};
use base::time_source;
use base::{Clock, Hint};
use bytes::Bytes;
use forge::Forge;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::connection::Web;
use crate::host_key::{self, HostKeyError};
use crate::limits::{
    HTTP_CONNECTIONS, HTTP_CONNECTIONS_EACH, SSH_CONNECTIONS, SSH_CONNECTIONS_EACH, STREAMS, STREAMS_EACH, Slots,
};
use crate::listen::{self, Ending};
use crate::metrics::Metrics;
use crate::proxy_protocol::Reception;
use crate::request::{RequestIds, chain};
use crate::state::{AppState, Doors};
use crate::tls::{Certificates, TlsError, TlsFiles};
use crate::turns::Transfers;
use crate::{http, ssh};

/// Time for a web client to say its first byte, and again for the TLS handshake.
const GREETING: Duration = Duration::from_secs(10);
/// Time for a proxy to say whom it speaks for: it says so at once.
const PROXY_HEADER: Duration = Duration::from_secs(5);
/// Time for what runs to finish after the server was asked to stop; then it is cut.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time for tasks to notice that they were cut.
const CUT: Duration = Duration::from_secs(5);
/// Time between two looks at the certificate's files.
const LOOK: Duration = Duration::from_secs(10);
/// Looks between two questions to the host's time service.
const LOOKS_BETWEEN_CLOCKS: u32 = 6;
/// The largest `ca.pem` that is served, in bytes.
const CA_LIMIT: u64 = 1 << 20;

/// What a server is bound with.
pub struct Options {
    /// Where the web door listens; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where the SSH door listens; port 0 takes a free one.
    pub ssh: SocketAddr,
    /// The certificate; plain HTTP when there is none (behind a reverse proxy).
    pub tls: Option<TlsFiles>,
    /// The site authority's certificate, which `/ca.pem` gives to clients.
    pub ca_certificate: Option<PathBuf>,
    /// Where the SSH host key is, or will be made.
    pub ssh_dir: PathBuf,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The web door.
    pub http: SocketAddr,
    /// The SSH door.
    pub ssh: SocketAddr,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address could not be bound.
    #[error("could not listen on {address} for {purpose}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `web` or `SSH`.
        purpose: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The certificate cannot be served.
    #[error("could not use the server's certificate")]
    Tls(#[from] TlsError),
    /// The authority's certificate did not read.
    #[error("could not read the site authority's certificate")]
    Authority(#[from] FileError),
    /// The SSH host key cannot be used.
    #[error("could not open the SSH door")]
    HostKey(#[from] HostKeyError),
    /// The counters could not be set up.
    #[error("could not set up the metrics")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for ServeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { address, source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => {
                    Some(format!("another program holds port {0}; `ss -ltnp 'sport = :{0}'` names it", address.port()))
                }
                io::ErrorKind::AddrNotAvailable => {
                    Some(format!("{} is not an address of this host; `ip address` lists them", address.ip()))
                }
                io::ErrorKind::PermissionDenied => Some("ports below 1024 need root; use a higher one".into()),
                _ => None,
            },
            Self::Tls(error) => error.hint(),
            Self::Authority(error) => error.hint(),
            Self::HostKey(error) => error.hint(),
            Self::Metrics(_) => None,
        }
    }
}

/// A bound server.
pub struct Server {
    state: AppState,
    web: Web,
    ssh_config: Arc<russh::server::Config>,
    http: TcpListener,
    ssh: TcpListener,
    addresses: Addresses,
}

impl Server {
    /// Reads certificate and keys and binds both addresses. Call it inside a Tokio runtime.
    pub fn bind(forge: Forge, options: Options) -> Result<Self, ServeError> {
        let certificates = options.tls.map(Certificates::load).transpose()?;
        let tls = certificates.as_ref().map(Certificates::server_config).transpose()?.map(TlsAcceptor::from);
        let ca_certificate = options.ca_certificate.map(|path| read_bytes(&path, CA_LIMIT)).transpose()?;
        let ssh_config = ssh::config(host_key::load_or_make(&options.ssh_dir)?);
        let metrics = Metrics::new().map_err(|error| ServeError::Metrics(Box::new(error)))?;
        let site_url = forge.settings().site_url.clone();
        let trusted_proxies = forge.settings().trusted_proxies.as_slice().into();
        let transfers = forge.settings().transfers;
        let state = AppState {
            forge,
            is_https: site_url.is_https(),
            is_local: site_url.is_local(),
            trusted_proxies,
            ca_certificate: ca_certificate.map(Bytes::from),
            doors: Arc::new(Doors {
                metrics,
                request_ids: RequestIds::new(options.clock.now()),
                transfers: Transfers::for_this_machine(&transfers),
                http: Slots::new(HTTP_CONNECTIONS, HTTP_CONNECTIONS_EACH),
                ssh: Slots::new(SSH_CONNECTIONS, SSH_CONNECTIONS_EACH),
                streams: Slots::new(STREAMS, STREAMS_EACH),
                stop: CancellationToken::new(),
                in_flight: AtomicUsize::new(0),
                certificates,
                clock_state: RwLock::default(),
                is_stopping: AtomicBool::new(false),
                tasks: TaskTracker::new(),
            }),
            clock: options.clock,
        };
        let (http, http_address) = bind(options.http, "web")?;
        let (ssh, ssh_address) = bind(options.ssh, "SSH")?;
        let web =
            Web { router: http::router(state.clone()), tls, site_url: site_url.as_str().into(), greeting: GREETING };
        let addresses = Addresses { http: http_address, ssh: ssh_address };
        Ok(Self { state, web, ssh_config, http, ssh, addresses })
    }

    /// Where it listens, with the ports that were found for port 0.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    #[cfg(test)]
    pub(crate) const fn state(&self) -> &AppState {
        &self.state
    }

    /// Serves until `shutdown` ends. Then nothing new is taken, what runs has 30 s to finish, and the rest is cut.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { state, web, ssh_config, http, ssh, addresses } = self;
        let doors = Arc::clone(&state.doors);
        let ending = Ending { stop: doors.stop.clone(), tasks: doors.tasks.clone(), ..Ending::default() };
        info!(http = %addresses.http, ssh = %addresses.ssh, has_tls = web.tls.is_some(), "serving");
        let reception = Reception {
            protocol: state.forge.settings().proxy_protocol,
            trusted: Arc::clone(&state.trusted_proxies),
            patience: PROXY_HEADER,
        };
        let web_door = listen::accept(http, doors.http.clone(), ending.clone(), |stream, peer, slot| {
            let (welcome, web, ending) = (reception.clone().welcome(stream, peer, slot), web.clone(), ending.clone());
            async move {
                if let Some((arrived, _slot)) = welcome.await {
                    web.serve(arrived, ending).await;
                }
            }
        });
        let ssh_door = listen::accept(ssh, doors.ssh.clone(), ending.clone(), |stream, peer, slot| {
            let (welcome, state, ending) =
                (reception.clone().welcome(stream, peer, slot), state.clone(), ending.clone());
            let config = Arc::clone(&ssh_config);
            async move {
                if let Some((arrived, _slot)) = welcome.await {
                    ssh::serve(state, config, arrived, ending).await;
                }
            }
        });
        tokio::select! {
            ((), ()) = async { tokio::join!(web_door, ssh_door) } => {}
            () = housekeeping(Arc::clone(&doors)) => {}
            () = shutdown => {}
        }
        doors.is_stopping.store(true, Ordering::Relaxed);
        end(&ending).await;
    }
}

fn bind(address: SocketAddr, purpose: &'static str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Bind { address, purpose, source };
    let listener = listen::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Waits for what runs, then cuts the rest.
async fn end(ending: &Ending) {
    info!(running = ending.tasks.len(), "stopping");
    ending.stop.cancel();
    ending.tasks.close();
    if tokio::time::timeout(PATIENCE, ending.tasks.wait()).await.is_ok() {
        return;
    }
    warn!(running = ending.tasks.len(), "cutting what still runs");
    ending.cut.cancel();
    // What does not even notice that is dropped with the runtime.
    let _ = tokio::time::timeout(CUT, ending.tasks.wait()).await;
}

/// Looks after the certificate, the counters and the clock, for as long as the server runs.
async fn housekeeping(doors: Arc<Doors>) {
    let mut looks = tokio::time::interval(LOOK);
    let mut count = 0_u32;
    loop {
        looks.tick().await;
        doors.metrics.fold();
        let looked = Arc::clone(&doors);
        let is_clock_due = count.is_multiple_of(LOOKS_BETWEEN_CLOCKS);
        count = count.wrapping_add(1);
        let look = tokio::task::spawn_blocking(move || look(&looked, is_clock_due));
        if let Err(error) = look.await {
            warn!(%error, "housekeeping failed");
        }
    }
}

/// One look at files and clock; blocks.
fn look(doors: &Doors, is_clock_due: bool) {
    if let Some(certificates) = &doors.certificates {
        match certificates.refresh() {
            Ok(true) => info!("the server's certificate was replaced"),
            Ok(false) => {}
            Err(error) => {
                warn!(error = chain(&error), "the server's new certificate cannot be used; the old one stays");
            }
        }
    }
    if is_clock_due {
        *doors.clock_state.write().unwrap_or_else(PoisonError::into_inner) = time_source::ask();
    }
}
