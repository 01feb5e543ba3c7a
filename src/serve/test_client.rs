//! A bare HTTP/1.1 client over TLS for tests: says just what it is told, and shows the answer as it came.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::test_site::Site;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: String,
    /// The body as it was framed, lossily decoded.
    pub(crate) body: String,
}

impl Answer {
    /// All that may tell two answers apart, but for their ids and dates.
    pub(crate) fn without_request_id(&self) -> Self {
        let is_kept = |line: &&str| !line.starts_with("x-request-id:") && !line.starts_with("date:");
        let head: Vec<_> = self.head.lines().filter(is_kept).collect();
        Self { head: head.join("\n"), ..self.clone() }
    }
}

/// A connection to the web door.
pub(crate) async fn connect(site: &Site) -> TlsStream<TcpStream> {
    let pem = std::fs::read(site.dir.path().join("server.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(site.addresses.http).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// One GET; `headers` are whole lines.
pub(crate) async fn get(site: &Site, path: &str, headers: &str) -> Answer {
    send(site, "GET", path, headers, b"").await
}

/// One request with a body.
pub(crate) async fn send(site: &Site, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = connect(site).await;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.into(), body: body.into() }
}
