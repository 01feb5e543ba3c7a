//! What middleware learns about a request once and every handler may ask for: its id and who is at the other end.
//! Nothing here is taken from headers that a visitor could forge.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Names one request in the log, in the `X-Request-Id` header and on error pages. An extension of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The other end of the connection. An extension of every request; handlers take it as `Extension<Peer>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// The address that limits count by; an IPv4 address inside IPv6 is unwrapped.
    pub(crate) fn address(self) -> IpAddr {
        self.0.ip().to_canonical()
    }
}
