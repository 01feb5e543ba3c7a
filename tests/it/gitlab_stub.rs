//! A GitLab that is not one: answers over real TLS on loopback what a test tells it to. Counts what reaches it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a real GitLab answers at `/api/v4/version`.
pub(crate) const UNAUTHORIZED: &str = r#"{"message":"401 Unauthorized"}"#;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// What the stub does with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Speaks TLS and answers with these bytes.
    Answers(String),
    /// Speaks TLS, reads the request, and says nothing.
    Hangs,
    /// Accepts the connection and never says a word of TLS.
    Silent,
    /// Closes the connection at once.
    Closes,
}

/// An answer with status line, content type and body.
pub(crate) fn answer(status: &str, content_type: Option<&str>, body: &str) -> Manner {
    let header = content_type.map(|value| format!("Content-Type: {value}\r\n")).unwrap_or_default();
    let length = body.len();
    Manner::Answers(format!("HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"))
}

/// A GitLab as it should be.
pub(crate) fn gitlab() -> Manner {
    answer("401 Unauthorized", Some("application/json"), UNAUTHORIZED)
}

/// A running stub; its thread ends with the test process.
pub(crate) struct Stub {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Stub {
    /// Serves `chain` on a free loopback port.
    pub(crate) fn start(chain: Chain, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.certificates, chain.key)
            .unwrap();
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (config, manner) = (Arc::clone(&config), manner.clone());
                std::thread::spawn(move || serve(stream, config, &manner));
            }
        });
        Self { port, connections }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, manner: &Manner) {
    // A client that hangs up is its own business; the stub has no opinion.
    let text = match manner {
        Manner::Closes => return,
        Manner::Silent => return wait(stream),
        Manner::Hangs => None,
        Manner::Answers(text) => Some(text),
    };
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut tls = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match tls.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    match text {
        None => wait(tls.sock),
        Some(text) => {
            let _ = tls.write_all(text.as_bytes());
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    }
}

/// Holds the connection open until the client gives up.
fn wait(mut stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

/// What a server shows, and its key.
pub(crate) struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

impl Chain {
    /// The server's own certificate as PEM.
    pub(crate) fn leaf_pem(&self) -> &str {
        &self.pem
    }

    /// The server's own certificate as DER.
    pub(crate) fn leaf_der(&self) -> Vec<u8> {
        self.certificates[0].to_vec()
    }
}

/// A certificate authority of a test, with an intermediate below it.
pub(crate) struct Authorities {
    root: Issuer,
    intermediate: Issuer,
}

impl Authorities {
    /// A fresh root named `name` and an intermediate.
    pub(crate) fn new(name: &str) -> Self {
        let root = CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap();
        let below = authority(&format!("{name} Issuing"));
        let intermediate = CertifiedIssuer::signed_by(below, KeyPair::generate().unwrap(), &root).unwrap();
        Self { root, intermediate }
    }

    /// The root's certificate as PEM.
    pub(crate) fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// The intermediate's certificate as PEM.
    pub(crate) fn intermediate_pem(&self) -> String {
        self.intermediate.pem()
    }

    /// Writes the root into `directory` and gives the file's path.
    pub(crate) fn root_file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("ca.pem");
        base::file::write_atomic(&path, self.root_pem().as_bytes(), 0o644).unwrap();
        path
    }

    /// A server's chain right below the root, for the given names.
    pub(crate) fn leaf(&self, names: &[&str]) -> Chain {
        chain(server(names), &self.root, &[])
    }

    /// The same, valid within the given years only.
    pub(crate) fn leaf_between(&self, from: i32, until: i32) -> Chain {
        let mut params = server(&["127.0.0.1"]);
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        chain(params, &self.root, &[])
    }

    /// A chain below the intermediate, which is sent or kept back.
    pub(crate) fn leaf_below_intermediate(&self, sends: Sends) -> Chain {
        let sent = match sends {
            Sends::Intermediate => vec![self.intermediate.der().clone()],
            Sends::LeafAlone => Vec::new(),
        };
        chain(server(&["127.0.0.1"]), &self.intermediate, &sent)
    }
}

/// Whether a server sends its intermediate.
pub(crate) enum Sends {
    /// As it should.
    Intermediate,
    /// As misconfigured servers do.
    LeafAlone,
}

/// A certificate that nobody but itself issued, and which is no authority.
pub(crate) fn self_signed() -> Chain {
    let key = KeyPair::generate().unwrap();
    let certificate = server(&["127.0.0.1"]).self_signed(&key).unwrap();
    Chain { certificates: vec![certificate.der().clone()], key: private(&key), pem: certificate.pem() }
}

fn chain(params: CertificateParams, issuer: &Issuer, sent: &[CertificateDer<'static>]) -> Chain {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let certificates = std::iter::once(certificate.der().clone()).chain(sent.iter().cloned()).collect();
    Chain { certificates, key: private(&key), pem: certificate.pem() }
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn server(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = named("gitlab.acme.internal");
    params.serial_number = Some(SerialNumber::from(7));
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> rcgen::DistinguishedName {
    let mut names = rcgen::DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
