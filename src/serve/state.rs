//! What every handler is given. Holds handles alone: all state is the forge's, so that replicas stay alike.

use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use base::Clock;
use base::network::Network;
use base::time_source::ClockState;
use bytes::Bytes;
use forge::Forge;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::Slots;
use crate::metrics::Metrics;
use crate::request::RequestIds;
use crate::tls::Certificates;
use crate::turns::Transfers;

/// The state that axum clones into each handler.
#[derive(Clone)]
pub(crate) struct AppState {
    /// The use cases.
    pub(crate) forge: Forge,
    /// Where time comes from.
    pub(crate) clock: Arc<dyn Clock>,
    /// Says whether SITE_URL is https: cookies are then `Secure` and named `__Host-…`.
    pub(crate) is_https: bool,
    /// Says whether SITE_URL's host is this machine alone (a laboratory): no HSTS then.
    pub(crate) is_local: bool,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Arc<[Network]>,
    /// The site authority's certificate, PEM, as `/ca.pem` gives it.
    pub(crate) ca_certificate: Option<Bytes>,
    /// What the doors share among themselves.
    pub(crate) doors: Arc<Doors>,
}

/// Counters and limits of this process.
pub(crate) struct Doors {
    pub(crate) metrics: Metrics,
    pub(crate) request_ids: RequestIds,
    pub(crate) transfers: Transfers,
    pub(crate) http: Slots,
    pub(crate) ssh: Slots,
    /// Streams of live events.
    pub(crate) streams: Slots,
    /// Cancelled when the server was asked to stop; ends what would never end by itself.
    pub(crate) stop: CancellationToken,
    pub(crate) in_flight: AtomicUsize,
    /// The certificate that is served; none over plain HTTP.
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) clock_state: RwLock<ClockState>,
    /// Set when the server was asked to stop: no longer ready, but still answering.
    pub(crate) is_stopping: AtomicBool,
    /// Connections, and transfers that outlive theirs: waited for when the server stops.
    pub(crate) tasks: TaskTracker,
}
