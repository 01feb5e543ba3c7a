//! How connections to a database are encrypted, and whom they trust. Follows libpq's modes; there is no way from a mode
//! that was asked for to a weaker one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;

/// What of a server's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing: whoever answers is believed. Keeps out who listens, and nobody who answers in the server's place.
    Anyone,
    /// That a known authority signed it, whatever name it carries.
    Authority,
    /// The authority and the name.
    AuthorityAndName,
}

/// What makes encrypted connections. `roots` are the authorities to trust, the host's own when `None`.
pub(crate) fn connector(trust: Trust, roots: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|_| refused(roots, "found no version of TLS to speak"))?;
    let verifier = match trust {
        Trust::Anyone => Verifier { authority: None, provider, has_name: false },
        Trust::Authority | Trust::AuthorityAndName => {
            let store = Arc::new(authorities(roots)?);
            let authority = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider)).build();
            let authority = authority.map_err(|_| refused(roots, "holds no certificate of an authority"))?;
            Verifier { authority: Some(authority), provider, has_name: trust == Trust::AuthorityAndName }
        }
    };
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(path: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let mut store = RootCertStore::empty();
    let Some(given) = path else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let certificates = CertificateDer::pem_file_iter(given).map_err(|_| refused(path, "could not be read"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|_| refused(path, "is no PEM file of certificates"))?;
        store.add(certificate).map_err(|_| refused(path, "holds a certificate that does not parse"))?;
    }
    Ok(store)
}

fn refused(path: Option<&Path>, problem: &'static str) -> StoreError {
    StoreError::Authorities { path: path.map_or_else(|| PathBuf::from("the host's own"), Path::to_owned), problem }
}

/// Looks at certificates as far as it was told. The signatures of the handshake are checked in any case.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    has_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, others, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.has_name => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
