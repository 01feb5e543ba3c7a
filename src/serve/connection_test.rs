//! Web connections over loopback: what strangers to the protocol get, TLS, and how connections end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::connection::Web;
use crate::limits::Slots;
use crate::listen::{self, Ending};
use crate::proxy_protocol::Arrived;
use crate::tls::{Certificates, TlsError, TlsFiles};

/// Writes a fresh certificate for `localhost` and its key.
fn issue(directory: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: directory.join("server.pem"), key: directory.join("server.key") };
    base::file::write_atomic(&files.certificate, made.cert.pem().as_bytes(), 0o644).unwrap();
    base::file::write_atomic(&files.key, made.signing_key.serialize_pem().as_bytes(), 0o600).unwrap();
    (files, made.cert.der().clone())
}

fn start(router: Router, tls: Option<TlsAcceptor>, slots: Slots) -> (SocketAddr, Ending) {
    start_with(router, tls, slots, Duration::from_secs(10))
}

fn start_with(router: Router, tls: Option<TlsAcceptor>, slots: Slots, greeting: Duration) -> (SocketAddr, Ending) {
    let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending::default();
    let web = Web { router, tls, site_url: "https://forge.example:8828".into(), greeting };
    let of_connections = ending.clone();
    let serving = listen::accept(listener, slots, ending.clone(), move |stream, peer, slot| {
        let arrived = Arrived { stream, front: Vec::new(), peer };
        let served = web.clone().serve(arrived, of_connections.clone());
        async move {
            let _slot = slot;
            served.await;
        }
    });
    tokio::spawn(serving);
    (address, ending)
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

fn many() -> Slots {
    Slots::new(100, 100)
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that closes without taking leave is an answer too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn handshake(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn a_plain_request_on_the_tls_port_is_sent_to_site_url_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::load(issue(dir.path()).0).unwrap();
    let (address, _ending) = start(hello(), Some(certificates.server_config().unwrap().into()), many());
    let stream = TcpStream::connect(address).await.unwrap();
    let answer = ask(stream, "GET /alice?x=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("location: https://forge.example:8828/alice?x=1\r\n"), "{answer}");
    assert!(!answer.contains("evil"), "{answer}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let (address, _ending) = start_with(hello(), None, many(), Duration::from_millis(50));
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_the_others_served() {
    let (address, _ending) = start(hello(), None, Slots::new(1, 1));
    let first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(matches!(second.read(&mut [0]).await, Ok(0) | Err(_)));
    let answer = ask(first, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn both_http_versions_are_spoken_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (files, certificate) = issue(dir.path());
    let tls = Certificates::load(files).unwrap().server_config().unwrap();
    let (address, _ending) = start(hello(), Some(tls.into()), many());
    let two = handshake(address, &certificate, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(two.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let one = handshake(address, &certificate, &[]).await.unwrap();
    assert_eq!(one.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let answer = ask(one, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_damaged_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (files, old) = issue(dir.path());
    let certificates = Certificates::load(files.clone()).unwrap();
    let (address, _ending) = start(hello(), Some(certificates.server_config().unwrap().into()), many());
    assert!(!certificates.refresh().unwrap(), "nothing has changed yet");

    base::file::write_atomic(&files.certificate, b"not a certificate", 0o644).unwrap();
    assert!(matches!(certificates.refresh(), Err(TlsError::Chain { .. })));
    assert!(handshake(address, &old, &[]).await.is_ok(), "the old one stays");

    let (_, new) = issue(dir.path());
    assert!(certificates.refresh().unwrap());
    assert!(handshake(address, &new, &[]).await.is_ok());
    assert!(handshake(address, &old, &[]).await.is_err());
    let expires = certificates.expires().unwrap();
    assert!(expires.seconds() > 1_700_000_000, "{expires:?}");
}

#[test]
fn a_key_of_another_certificate_is_refused_by_name() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = TlsFiles { certificate: issue(one.path()).0.certificate, key: issue(two.path()).0.key };
    assert!(matches!(Certificates::load(files), Err(TlsError::Pair { .. })));
}

#[tokio::test]
async fn a_request_that_runs_when_the_server_stops_is_finished() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let of_route = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = get(move || async move {
        of_route.0.notify_one();
        of_route.1.notified().await;
        "finished"
    });
    let (address, ending) = start(Router::new().route("/slow", slow), None, many());
    let stream = TcpStream::connect(address).await.unwrap();
    let answer = tokio::spawn(ask(stream, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
    begun.notified().await;
    ending.stop.cancel();
    ending.tasks.close();
    go_on.notify_one();
    assert!(answer.await.unwrap().ends_with("finished"));
    tokio::time::timeout(Duration::from_secs(10), ending.tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut() {
    let begun = Arc::new(Notify::new());
    let of_route = Arc::clone(&begun);
    let stuck = get(move || async move {
        of_route.notify_one();
        std::future::pending::<&str>().await
    });
    let (address, ending) = start(Router::new().route("/stuck", stuck), None, many());
    let stream = TcpStream::connect(address).await.unwrap();
    let answer = tokio::spawn(ask(stream, "GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n"));
    begun.notified().await;
    ending.stop.cancel();
    ending.tasks.close();
    ending.cut.cancel();
    tokio::time::timeout(Duration::from_secs(10), ending.tasks.wait()).await.unwrap();
    assert_eq!(answer.await.unwrap(), "");
}
