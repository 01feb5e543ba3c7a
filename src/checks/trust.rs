//! Turns a CA file into a trust store, or into the one sentence that says why not. Nothing trusts a file that did not
//! come whole through here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::Hint;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::pem::{self, PemFault};

/// Debian's own bundle, in the place that most Linux systems and our images use.
pub const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The largest CA bundle that is read, in bytes.
const LIMIT: u64 = 16 << 20;

/// Authorities to verify a server with.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The trust anchors.
    pub(crate) roots: Arc<RootCertStore>,
    /// Where they came from.
    pub(crate) path: PathBuf,
    /// The file's size, in bytes.
    pub bytes: u64,
}

/// Why a CA file is no trust store. The texts go into report lines and read well after a path.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Missing, a directory, or not readable.
    #[error("`{path}` is not a readable file")]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// Larger than any bundle is.
    #[error("`{path}` is larger than 16 MiB, which no CA bundle is")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// No bytes at all.
    #[error("`{path}` is zero bytes")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No PEM block in it.
    #[error("`{path}` is not PEM")]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in binary form.
    #[error("`{path}` is DER, not PEM")]
    Der {
        /// The file.
        path: PathBuf,
    },
    /// A block that is cut or garbled.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which block, and what is wrong.
        reason: String,
    },
    /// PEM, but not one certificate.
    #[error("`{path}` is PEM but holds no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Certificates, but no authority among them.
    #[error("`{path}` holds no CA certificate, only `{subject}` issued by `{issuer}`")]
    OnlyLeaf {
        /// The file.
        path: PathBuf,
        /// Whose certificate the first one is.
        subject: String,
        /// Who issued it.
        issuer: String,
    },
}

impl Hint for TrustError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => "check the path, its owner and its mode".into(),
            Self::TooLarge { .. } => "give the PEM file with the authorities alone".into(),
            Self::Empty { .. } => "copy the file again".into(),
            Self::NotPem { .. } => "give the CA certificates as text, with BEGIN CERTIFICATE lines".into(),
            Self::Der { path } => {
                format!("convert it: openssl x509 -inform der -in {} -out ca.pem", path.display())
            }
            Self::Damaged { .. } => "copy the file again; every BEGIN line needs its END line".into(),
            Self::NoCertificate { .. } => "give the CA certificates, not a key or a request".into(),
            Self::OnlyLeaf { .. } => "give the chain that issued the server's certificate, up to its root".into(),
        })
    }
}

impl Trust {
    /// Reads the operator's bundle: PEM with at least one authority. A root of the old kind, without
    /// basicConstraints, is one as webpki sees it; certificates that were never meant as authorities are left out.
    pub fn load(path: &Path) -> Result<Self, TrustError> {
        let (certificates, bytes) = certificates(path)?;
        let mut roots = RootCertStore::empty();
        let mut leaf = None;
        for (index, der) in certificates.into_iter().enumerate() {
            let damaged = || TrustError::Damaged {
                path: path.into(),
                reason: format!("certificate {} does not parse", index + 1),
            };
            let certificate = Certificate::parse(&der).ok_or_else(damaged)?;
            if certificate.is_ca() {
                roots.add(CertificateDer::from(der)).map_err(|_| damaged())?;
            } else if is_old_root(&certificate) && roots.add(CertificateDer::from(der)).is_ok() {
                // An old root without basicConstraints is one to webpki, so it is one to us.
            } else {
                leaf.get_or_insert(certificate);
            }
        }
        match leaf {
            Some(leaf) if roots.is_empty() => {
                Err(TrustError::OnlyLeaf { path: path.into(), subject: leaf.subject, issuer: leaf.issuer })
            }
            _ => Ok(Self { roots: Arc::new(roots), path: path.into(), bytes }),
        }
    }

    /// The system's own store. Empty when the system has none: then every server is unknown, and the line says why.
    pub fn system() -> Self {
        let path = PathBuf::from(SYSTEM_BUNDLE);
        let (certificates, bytes) = certificates(&path).unwrap_or_default();
        let mut roots = RootCertStore::empty();
        // A system bundle may carry certificates that webpki does not take; the others still count.
        roots.add_parsable_certificates(certificates.into_iter().map(CertificateDer::from));
        Self { roots: Arc::new(roots), path, bytes }
    }
}

/// A root from before basicConstraints. One that names hosts is a server's own, signed by itself.
fn is_old_root(certificate: &Certificate) -> bool {
    certificate.is_meant_as_authority() && certificate.name_count == 0
}

/// The DER certificates of a PEM file and its size. Fails when it holds none.
fn certificates(path: &Path) -> Result<(Vec<Vec<u8>>, u64), TrustError> {
    let path_buf = || path.to_path_buf();
    let facts = std::fs::metadata(path).map_err(|_| TrustError::Unreadable { path: path_buf() })?;
    if !facts.is_file() {
        return Err(TrustError::Unreadable { path: path_buf() });
    }
    let bytes = base::file::read_bytes(path, LIMIT).map_err(|error| match error {
        base::file::FileError::TooLarge { path, .. } => TrustError::TooLarge { path },
        _ => TrustError::Unreadable { path: path_buf() },
    })?;
    if bytes.is_empty() {
        return Err(TrustError::Empty { path: path_buf() });
    }
    let blocks = pem::read(&bytes).map_err(|fault| match fault {
        PemFault::NotPem => TrustError::NotPem { path: path_buf() },
        PemFault::Der => TrustError::Der { path: path_buf() },
        PemFault::Damaged(reason) => TrustError::Damaged { path: path_buf(), reason },
    })?;
    if blocks.certificates.is_empty() {
        return Err(TrustError::NoCertificate { path: path_buf() });
    }
    Ok((blocks.certificates, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rustls takes a root of the old kind for an anchor, and the verdicts say so: this program must not differ.
    #[test]
    fn a_root_without_basic_constraints_is_trusted_as_webpki_trusts_it() {
        use crate::corpus_certificate::{Key, Spec, pem};
        let dir = tempfile::tempdir().unwrap();
        let ring = [Key::curve(), Key::curve()];
        let root = Spec { constraints: None, usage: None, ..Spec::root("Acme Root", 0) };
        let (now, path) = (1_795_000_000, dir.path().join("ca.pem"));
        let server = Spec::server(&root, "git.acme.internal", 1).der(&ring, now, dir.path());
        let root = root.der(&ring, now, dir.path());
        base::file::write_atomic(&path, pem("CERTIFICATE", &root).as_bytes(), 0o600).unwrap();
        let report = crate::verdict::judge(std::slice::from_ref(&server), &[root], None, now).unwrap();
        assert_eq!(report.verdicts[0].accepts, Some(true));
        assert_eq!(Trust::load(&path).unwrap().roots.len(), 1);
        base::file::write_atomic(&path, pem("CERTIFICATE", &server).as_bytes(), 0o600).unwrap();
        assert!(matches!(Trust::load(&path), Err(TrustError::OnlyLeaf { .. })));
    }

    #[test]
    fn each_way_to_be_no_bundle_has_its_own_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let said = |path: &Path| Trust::load(path).unwrap_err().to_string().replace(&path.display().to_string(), "F");
        assert_eq!(said(&path), "`F` is not a readable file");
        assert_eq!(said(dir.path()), "`F` is not a readable file");
        for (content, expected) in [
            (&b""[..], "`F` is zero bytes"),
            (b"junk\n", "`F` is not PEM"),
            (b"\x30\x82\x01\x01\x00", "`F` is DER, not PEM"),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "`F` is PEM but holds no certificate"),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "`F` is damaged: certificate 1 does not parse",
            ),
        ] {
            std::fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, content)).unwrap();
            assert_eq!(said(&path), expected);
        }
    }
}
