//! What every handler is given. Holds handles alone: all state is the forge's, so that replicas stay alike.

use std::sync::Arc;

use base::Clock;
use bytes::Bytes;
use forge::Forge;

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
    /// The site authority's certificate, PEM, as `/ca.pem` gives it.
    pub(crate) ca_certificate: Option<Bytes>,
}
