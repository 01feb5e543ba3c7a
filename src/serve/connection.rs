//! One web connection: TLS or plain, HTTP/2 or HTTP/1.1, with deadlines before the first request and between requests.
//! Never gives plain HTTP to who asked the TLS port without TLS: only the address to use instead.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::debug;

use crate::body::Tracked;
use crate::listen::{Activity, Cuttable, Ending};
use crate::proxy_protocol::Arrived;
use crate::request::Peer;

/// Time for a request's head to come whole.
const HEAD: Duration = Duration::from_secs(30);
/// Time that a connection may stay open with no request on it.
const IDLE: Duration = Duration::from_secs(90);
/// Time to take leave of an idle connection before it is cut.
const LEAVE: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// What every web connection is served with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Web {
    /// The site.
    pub(crate) router: Router,
    /// TLS; plain HTTP when there is none.
    pub(crate) tls: Option<TlsAcceptor>,
    /// SITE_URL, where a plain request on the TLS port is sent.
    pub(crate) site_url: Arc<str>,
    /// Time for a client to say its first byte, and again for the TLS handshake.
    pub(crate) greeting: Duration,
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

impl Web {
    /// Serves one connection to its end.
    pub(crate) async fn serve(self, arrived: Arrived, ending: Ending) {
        let Arrived { stream, front, peer } = arrived;
        let mut first = [0];
        if let Some(byte) = front.first() {
            first = [*byte];
        } else {
            let greeting = tokio::select! {
                greeting = tokio::time::timeout(self.greeting, stream.peek(&mut first)) => greeting,
                () = ending.stop.cancelled() => return,
            };
            let Ok(Ok(1)) = greeting else { return };
        }
        let stream = Cuttable::new(stream, ending.cut.clone()).after(front);
        let Some(tls) = &self.tls else {
            return talk(stream, Version::One, ending, Service::Site { router: self.router, peer }).await;
        };
        if first != [HANDSHAKE] {
            return talk(stream, Version::One, ending, Service::Signpost { site_url: self.site_url }).await;
        }
        match tokio::time::timeout(self.greeting, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let version = if is_two { Version::Two } else { Version::One };
                talk(stream, version, ending, Service::Site { router: self.router, peer }).await;
            }
            Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
            Err(_) => debug!("a TLS handshake took too long"),
        }
    }
}

/// What answers on a connection.
#[derive(Clone)]
enum Service {
    /// The site.
    Site { router: Router, peer: SocketAddr },
    /// A pointer to the right address.
    Signpost { site_url: Arc<str> },
}

impl Service {
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        match self {
            Self::Site { router, peer } => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                router.oneshot(request).await.unwrap_or_else(|never| match never {})
            }
            Self::Signpost { site_url } => signpost(&site_url, request.uri()),
        }
    }
}

/// Sends a plain request to SITE_URL; never to a host that the request names.
fn signpost(site_url: &str, uri: &Uri) -> Response<Body> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    let location = format!("{site_url}{path}");
    let text = format!("this port speaks HTTPS; use {site_url}\n");
    let headers = [(header::LOCATION, location), (header::CONNECTION, "close".to_owned())];
    (StatusCode::PERMANENT_REDIRECT, headers, text).into_response()
}

async fn talk<S>(stream: S, version: Version, ending: Ending, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let counted = activity.clone();
    let service = service_fn(move |request| {
        let (running, service) = (counted.begin(), service.clone());
        async move {
            let response = service.answer(request).await;
            Ok::<_, Infallible>(response.map(|body| Body::new(Tracked::new(body, running))))
        }
    });
    let builder = builder(version);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        result = connection.as_mut() => return ended(result),
        () = activity.idle_for(IDLE) => {}
        () = ending.stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        result = connection.as_mut() => ended(result),
        () = activity.idle_for(LEAVE) => {}
        () = ending.cut.cancelled() => {}
    }
}

fn builder(version: Version) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    match version {
        Version::One => builder.http1_only(),
        Version::Two => builder.http2_only(),
    }
}

fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        debug!(%error, "a connection ended early");
    }
}
