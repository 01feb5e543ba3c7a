//! TLS for the web door: the certificate that is shown, and its replacement while the server runs.
//! Never writes a file and never falls back to plain HTTP.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use base::Hint;
use base::clock::Timestamp;
use base::file::{FileError, read_bytes};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The largest certificate or key file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Where the server's certificate is.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain, leaf first, PEM.
    pub certificate: PathBuf,
    /// The leaf's private key, PEM.
    pub key: PathBuf,
}

/// A certificate that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file did not read.
    #[error("could not read the server's certificate")]
    File(#[from] FileError),
    /// The file holds no certificate, or a damaged one.
    #[error("`{path}` holds no certificate chain in PEM")]
    Chain {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no private key, or one of a kind that TLS does not use.
    #[error("`{path}` holds no private key that TLS can use")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("the key in `{key}` is not that of the certificate in `{certificate}`")]
    Pair {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The library refused its own settings.
    #[error("could not set up TLS")]
    Setup(#[from] rustls::Error),
}

impl Hint for TlsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Chain { path } => Some(format!("`gitgrit-ops ca show {}` says what the file holds", path.display())),
            Self::Key { .. } => Some("use an unencrypted PKCS#8, SEC1 or PKCS#1 key in PEM".into()),
            Self::Pair { .. } => Some("put the certificate and the key of one and the same issue there".into()),
            Self::Setup(_) => None,
        }
    }
}

/// The certificate that handshakes show now; replaced when its files change.
pub(crate) struct Certificates {
    files: TlsFiles,
    provider: Arc<rustls::crypto::CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    expires: Option<Timestamp>,
    stamp: Stamp,
}

/// What tells one version of the two files from another: two writes may fall into one tick of the file system's clock.
type Stamp = [Option<(SystemTime, u64, u64)>; 2];

impl Certificates {
    /// Reads the files for the first time.
    pub(crate) fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let current = read(&files, &provider)?;
        Ok(Arc::new(Self { files, provider, current: RwLock::new(current) }))
    }

    /// Reads the files again when they changed: `true` when a new certificate is shown from now on. When they do not
    /// read, the old one stays.
    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        if stamp(&self.files) == self.current.read().unwrap_or_else(PoisonError::into_inner).stamp {
            return Ok(false);
        }
        let fresh = read(&self.files, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// When the leaf certificate ends; `None` when it does not say so in a form that we read.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).expires
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        self.config(&["h2", "http/1.1"])
    }

    fn config(self: &Arc<Self>, protocols: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// TLS 1.2 and 1.3 with files that are read once, for a small server of HTTP/1.1.
pub fn http1_config(files: TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    Certificates::load(files)?.config(&["http/1.1"])
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

fn read(files: &TlsFiles, provider: &rustls::crypto::CryptoProvider) -> Result<Current, TlsError> {
    // Taken before reading: a change in between is then seen as one on the next look.
    let stamp = stamp(files);
    let no_chain = || TlsError::Chain { path: files.certificate.clone() };
    let no_key = || TlsError::Key { path: files.key.clone() };
    let pem = read_bytes(&files.certificate, LIMIT)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| no_chain())?;
    let leaf = chain.first().ok_or_else(no_chain)?;
    let expires = x509_parser::parse_x509_certificate(leaf)
        .ok()
        .map(|(_, leaf)| Timestamp(0).plus_seconds(leaf.validity().not_after.timestamp()));
    let key = PrivateKeyDer::from_pem_slice(&read_bytes(&files.key, LIMIT)?).map_err(|_| no_key())?;
    let signing = provider.key_provider.load_private_key(key).map_err(|_| no_key())?;
    let key = CertifiedKey::new(chain, signing);
    match key.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone() });
        }
        Err(_) => return Err(no_chain()),
    }
    Ok(Current { key: Arc::new(key), expires, stamp })
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.ino(), about.len()))
    })
}
