//! What happens around every request: an id, one log line, counters, security headers, and a 500 in place of a panic.
//! Logs the route's pattern only: no path, query, name or header of a visitor.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use base::network::Network;
use futures_util::FutureExt;
use tracing::{debug, error, info};

use crate::body::Tracked;
use crate::state::{AppState, Doors};

/// What a page may load and do: its own site's things, in no frame.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'";
/// Two years, as browsers' lists ask.
const TRANSPORT_SECURITY: &str = "max-age=63072000";
/// The route of a request that no pattern fits, in logs and counters.
const NO_ROUTE: &str = "none";
/// Stands in the log for the status of an answer that nobody waited for.
const CLIENT_GONE: u16 = 499;

/// Names one request in the log, in the `X-Request-Id` header and on error pages. An extension of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Gives out request ids: the moment of the start and a running number.
pub(crate) struct RequestIds {
    start: i64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids of a server that started at `start`.
    pub(crate) const fn new(start: Timestamp) -> Self {
        Self { start: start.0, next: AtomicU64::new(1) }
    }

    /// The next id.
    pub(crate) fn next(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId(format!("{:x}-{number:x}", self.start).into())
    }
}

/// Who asks, by address: the other end of the connection, or who is behind a trusted proxy. An extension of every request; handlers take it as `Extension<Peer>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// The address that limits count by; an IPv4 address inside IPv6 is unwrapped.
    pub(crate) fn address(self) -> IpAddr {
        self.0.ip().to_canonical()
    }

    /// Who is behind this peer: the last address in `X-Forwarded-For` that no trusted proxy has, when the peer is one.
    /// What a visitor wrote into the header stands before that and is never looked at.
    fn behind(self, proxies: &[Network], headers: &HeaderMap) -> Self {
        let is_trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
        let values = headers.get_all("x-forwarded-for").iter().rev();
        let mut hops = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        let mut known = self;
        while is_trusted(known.address()) {
            let Some(address) = hops.next().and_then(hop_address) else { break };
            known = Self(SocketAddr::new(address, 0));
        }
        known
    }
}

/// The address of one hop; some proxies write a port behind it.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse().map(|address: SocketAddr| address.ip()).ok();
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().filter(IpAddr::is_ipv6);
    hop.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// The middleware around everything.
pub(crate) async fn around(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = state.doors.request_ids.next();
    request.extensions_mut().insert(id.clone());
    if let Some(peer) = request.extensions().get::<Peer>().copied() {
        let known = peer.behind(&state.trusted_proxies, request.headers());
        request.extensions_mut().insert(known);
    }
    let mut record = Record::begin(Arc::clone(&state.doors), &request, id.clone());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|panic| {
        error!(request.id = %id, panic = panic_text(&*panic), "a request handler panicked");
        internal_error(&id)
    });
    record.status = response.status().as_u16();
    secure(response.headers_mut(), &state);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response.map(|body| Body::new(Tracked::new(body, record)))
}

/// The answer to a fault of ours: no detail, only the id under which the log has it.
pub(crate) fn internal_error(id: &RequestId) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("internal error, request {id}\n")).into_response()
}

/// A failure and what caused it, in one line for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Sets what every answer carries. A handler may have set a stricter content policy; that one stays.
fn secure(headers: &mut HeaderMap, state: &AppState) {
    let value = HeaderValue::from_static;
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(value(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, value("nosniff"));
    headers.insert(header::REFERRER_POLICY, value("same-origin"));
    // Other sites, also those beside this one in the same domain, neither embed what is here nor hold its windows.
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), value("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), value("same-origin"));
    if state.is_https && !state.is_local {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value(TRANSPORT_SECURITY));
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// One request, logged and counted when its answer has been sent or given up.
struct Record {
    doors: Arc<Doors>,
    id: RequestId,
    method: Method,
    route: String,
    status: u16,
    begun: Instant,
}

impl Record {
    fn begin(doors: Arc<Doors>, request: &Request, id: RequestId) -> Self {
        doors.in_flight.fetch_add(1, Ordering::Relaxed);
        let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
        let method = request.method().clone();
        Self { doors, id, method, route: route.to_owned(), status: CLIENT_GONE, begun: Instant::now() }
    }

    fn known_method(&self) -> &str {
        let known =
            [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
        if known.contains(&self.method) { self.method.as_str() } else { "other" }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.doors.in_flight.fetch_sub(1, Ordering::Relaxed);
        let took = self.begun.elapsed();
        let (id, method, route, status) = (&self.id, self.known_method(), &self.route, self.status);
        self.doors.metrics.request(method, route, status, took);
        let duration_ms = milliseconds(took);
        if matches!(route.as_str(), "/healthz" | "/readyz" | "/metrics") {
            debug!(request.id = %id, method, route, status, duration_ms, "request answered");
        } else {
            info!(request.id = %id, method, route, status, duration_ms, "request answered");
        }
    }
}

/// Milliseconds with three digits after the point.
pub(crate) fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(peer: &str, headers: &[&'static str]) -> String {
        let proxies = Network::parse_list("10.0.0.0/24, 127.0.0.1").unwrap();
        let mut map = HeaderMap::new();
        for value in headers {
            map.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        Peer(SocketAddr::new(peer.parse().unwrap(), 1)).behind(&proxies, &map).address().to_string()
    }

    #[test]
    fn nobody_forges_an_address_through_a_header() {
        assert_eq!(behind("192.0.2.1", &["10.9.9.9"]), "192.0.2.1", "not from a proxy");
        assert_eq!(behind("10.0.0.1", &["127.0.0.1, 192.0.2.7"]), "192.0.2.7", "the visitor wrote the first");
        assert_eq!(behind("10.0.0.1", &["192.0.2.8", "192.0.2.7, 10.0.0.2"]), "192.0.2.7", "two proxies");
        assert_eq!(behind("10.0.0.1", &["192.0.2.7, unknown"]), "10.0.0.1", "junk ends the search");
        assert_eq!(behind("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn addresses_behind_proxies_are_read_in_every_form_that_proxies_write() {
        for (headers, expected) in [
            (&["192.0.2.7:51234"][..], "192.0.2.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]:51234"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, ::ffff:10.0.0.9, 127.0.0.1:80"], "192.0.2.7"),
            (&["192.0.2.8,,10.0.0.3"], "10.0.0.3"),
            (&["192.0.2.8, 192.0.2.7:99999"], "10.0.0.1"),
            (&["192.0.2.8, \"192.0.2.7\""], "10.0.0.1"),
            (&["192.0.2.8, 192.0.2.7 x"], "10.0.0.1"),
            (&["192.0.2.8, 0x7f000001"], "10.0.0.1"),
            (&["192.0.2.8, 192.0.2.07"], "10.0.0.1"),
            (&["192.0.2.8, [192.0.2.7"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
        ] {
            assert_eq!(behind("10.0.0.1", headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_chain_of_causes_is_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not read `a`")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::ErrorKind::NotFound.into());
        assert_eq!(chain(&error), "could not read `a`: entity not found");
    }
}
