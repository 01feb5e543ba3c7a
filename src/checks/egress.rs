//! The one HTTP client of this room: HTTPS to one base address, no redirects, no proxy, a deadline and a cap on what is
//! read. Never follows a server to another host, and never sends anything but a GET without credentials, unless `registry` and
//! `registry_login` ask it to push. Besides it only `presented`, the isolation probe and the checks of resolvers and clocks open connections, none of which is a client.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use crate::explain;
use crate::trust::Trust;

/// How long one request may take from name to last byte.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How much of an answer's body is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// Why there is no answer. The reason is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The TLS handshake failed, or the certificate did not verify.
    #[error("TLS handshake failed: {reason}")]
    Tls {
        /// What rustls says, and which certificate it says it of.
        reason: String,
    },
    /// No connection came about: no name, no route, refused, or silence.
    #[error("could not connect: {reason}")]
    Connect {
        /// What the system says.
        reason: String,
    },
    /// Connected, but no whole answer came.
    #[error("the request failed: {reason}")]
    Request {
        /// What went wrong.
        reason: String,
    },
}

impl base::Hint for EgressError {}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Content-Type`, when sent.
    pub content_type: Option<String>,
    /// The header `Date`, when sent.
    pub date: Option<String>,
    /// The body's first 64 KiB.
    pub body: Vec<u8>,
}

/// A client for one base address.
#[derive(Debug)]
pub struct Egress {
    client: reqwest::Client,
    base: String,
    trust: Trust,
    seen: Arc<Mutex<Seen>>,
}

/// What the server showed during the handshake.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The chain as sent, the server's own certificate first.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Says whether chain and name verified.
    pub(crate) is_verified: bool,
}

impl Egress {
    /// A client for `base` (`https://host[:port]`, no slash at the end), which verifies servers with `trust`.
    /// Fails with `Tls` when the TLS library refuses the trust store.
    pub fn new(base: &str, trust: &Trust) -> Result<Self, EgressError> {
        Self::build(base, trust, |client| client)
    }

    /// The same, but `host` (the one in `base`) is taken to be at `address`, whatever the name service says. For a
    /// server on this very host, which must answer under its public name before that name is asked for.
    pub fn at(base: &str, host: &str, address: IpAddr, trust: &Trust) -> Result<Self, EgressError> {
        Self::build(base, trust, |client| client.resolve(host, SocketAddr::new(address, 0)))
    }

    fn build(
        base: &str,
        trust: &Trust,
        adjust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, EgressError> {
        let tls = |reason: String| EgressError::Tls { reason };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(error.to_string()))?;
        let config = if trust.roots.is_empty() {
            config.with_root_certificates(Arc::clone(&trust.roots)).with_no_client_auth()
        } else {
            let witness = Witness::new(trust, provider, Arc::clone(&seen)).map_err(|error| tls(error.to_string()))?;
            config.dangerous().with_custom_certificate_verifier(Arc::new(witness)).with_no_client_auth()
        };
        let client = adjust(reqwest::Client::builder())
            .tls_backend_preconfigured(config)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .timeout(DEADLINE)
            .user_agent(concat!("gitgrit-ops/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| tls(explain::innermost(&error)))?;
        Ok(Self { client, base: base.into(), trust: trust.clone(), seen })
    }

    /// Asks for `path`, which begins with a slash.
    pub async fn get(&self, path: &str) -> Result<Answer, EgressError> {
        let url = format!("{}{path}", self.base);
        let mut response = self.client.get(url).send().await.map_err(|error| self.explain(&error))?;
        let shown = |name| {
            let value = response.headers().get(name);
            value.map(|value| crate::text::line(&String::from_utf8_lossy(value.as_bytes())))
        };
        let content_type = shown(reqwest::header::CONTENT_TYPE);
        let date = shown(reqwest::header::DATE);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(&error))? {
            let room = BODY_LIMIT - body.len();
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if body.len() == BODY_LIMIT {
                break;
            }
        }
        Ok(Answer { status: response.status().as_u16(), content_type, date, body })
    }

    /// A request for `path`, which begins with a slash, to be filled by `registry`.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) fn explain(&self, error: &reqwest::Error) -> EgressError {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        explain::egress(error, &seen, &self.trust)
    }
}

/// Verifies as rustls does, and remembers what was shown, so that a refusal can name the certificate.
#[derive(Debug)]
struct Witness {
    inner: Arc<WebPkiServerVerifier>,
    seen: Arc<Mutex<Seen>>,
}

impl Witness {
    fn new(
        trust: &Trust,
        provider: Arc<CryptoProvider>,
        seen: Arc<Mutex<Seen>>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::clone(&trust.roots), provider).build()?;
        Ok(Self { inner, seen })
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { chain, is_verified: verdict.is_ok() };
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
