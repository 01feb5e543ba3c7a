//! The site's own certificate authority: makes it, reads it back, and issues server certificates from it.
//! Its certificate carries what strict verifiers ask of an authority: basicConstraints and keyUsage, both critical.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base::clock::Timestamp;
use base::{Hint, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use crate::random;

/// How long an authority lasts, in seconds: ten years.
const AUTHORITY_LIFE: i64 = 10 * 365 * DAY;
/// How long a server certificate lasts, in seconds: 397 days, the longest that browsers take.
const SERVER_LIFE: i64 = 397 * DAY;
/// How far certificates are dated back, in seconds, for clients whose clock is behind.
const BACKDATED: i64 = 3600;
const DAY: i64 = 86_400;
/// X.520's bound on a common name, in characters.
const LONGEST_NAME: usize = 64;

/// Why there is no certificate. Texts never hold a key.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The text holds no PEM certificate.
    #[error("the certificate does not parse")]
    Certificate,
    /// The text holds no private key.
    #[error("the private key does not parse")]
    Key,
    /// Certificate and key do not belong together.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The certificate may not issue others.
    #[error("the certificate is not one of an authority")]
    NotAuthority,
    /// A name cannot stand in a certificate.
    #[error("`{0}` is neither a host name nor an address")]
    Name(String),
    /// Making or signing failed.
    #[error("could not make a certificate")]
    Make(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for AuthorityError {}

/// An authority, ready to issue.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A certificate that was just issued, and its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The server's certificate, PEM. Clients have the authority's own.
    pub chain_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub key_pem: Secret<String>,
}

/// What a server certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Host names and addresses that it is good for, as text without brackets.
    pub names: BTreeSet<String>,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

impl Authority {
    /// Makes an authority with an ECDSA P-256 key; `name` (up to 64 characters) is what people see in lists of trust.
    pub fn generate(name: &str, at: Timestamp) -> Result<Self, AuthorityError> {
        let mut params = dated(Vec::new(), at, AUTHORITY_LIFE)?;
        params.distinguished_name.push(DnType::CommonName, name.chars().take(LONGEST_NAME).collect::<String>());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Reads an authority back. Fails when certificate and key do not belong together, or it may not issue.
    pub fn load(certificate_pem: &str, key_pem: &Secret<String>) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key_pem.expose()).map_err(|_| AuthorityError::Key)?;
        let first = first_certificate(certificate_pem)?;
        let parsed = first.parse_x509().map_err(|_| AuthorityError::Certificate)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Mismatch);
        }
        let may_sign = matches!(parsed.key_usage(), Ok(None)) || {
            let usage = parsed.key_usage().ok().flatten();
            usage.is_some_and(|usage| usage.value.key_cert_sign())
        };
        if !parsed.is_ca() || !may_sign {
            return Err(AuthorityError::NotAuthority);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(failed)?;
        Ok(Self { issuer, certificate: certificate_pem.to_owned() })
    }

    /// Issues a server certificate for these host names and addresses (an IPv6 address with or without brackets), good
    /// for 397 days, with a new ECDSA P-256 key. Fails with `Name` on a name that cannot stand in it, or on none.
    pub fn issue(&self, names: &[&str], at: Timestamp) -> Result<Issued, AuthorityError> {
        let names: Vec<String> = names.iter().map(|name| bare(name)).collect();
        let first = names.first().cloned().ok_or_else(|| AuthorityError::Name(String::new()))?;
        let mut params = dated(names, at, SERVER_LIFE)?;
        if first.len() <= LONGEST_NAME {
            params.distinguished_name.push(DnType::CommonName, first);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Issued { chain_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }

    /// Says whether the first certificate in `chain_pem` was signed by this authority.
    pub fn has_issued(&self, chain_pem: &str) -> bool {
        let (Ok(own), Ok(other)) = (first_certificate(&self.certificate), first_certificate(chain_pem)) else {
            return false;
        };
        let (Ok(own), Ok(other)) = (own.parse_x509(), other.parse_x509()) else {
            return false;
        };
        other.issuer() == own.subject() && other.verify_signature(Some(own.public_key())).is_ok()
    }

    /// The authority's certificate, for clients.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key, PKCS#8 PEM.
    pub fn key_pem(&self) -> Secret<String> {
        Secret::new(self.issuer.key().serialize_pem())
    }
}

/// Reads what the first certificate of a chain says, without judging it.
pub fn read_served(chain_pem: &str) -> Result<Served, AuthorityError> {
    let first = first_certificate(chain_pem)?;
    let parsed = first.parse_x509().map_err(|_| AuthorityError::Certificate)?;
    let validity = parsed.validity();
    Ok(Served {
        names: names(&parsed),
        not_before: Timestamp(0).plus_seconds(validity.not_before.timestamp()),
        not_after: Timestamp(0).plus_seconds(validity.not_after.timestamp()),
    })
}

/// Says whether the private key belongs to the first certificate of the chain.
pub fn is_pair(chain_pem: &str, key_pem: &Secret<String>) -> bool {
    let Ok(key) = KeyPair::from_pem(key_pem.expose()) else {
        return false;
    };
    first_certificate(chain_pem).is_ok_and(|first| {
        first.parse_x509().is_ok_and(|parsed| parsed.public_key().raw == key.subject_public_key_info())
    })
}

/// Parameters that hold for every certificate of ours: names, dates, and a random serial number of 159 bits.
fn dated(names: Vec<String>, at: Timestamp, life: i64) -> Result<CertificateParams, AuthorityError> {
    if let Some(name) = names.iter().find(|name| !is_host(name)) {
        return Err(AuthorityError::Name(name.clone()));
    }
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = moment(at.plus_seconds(-BACKDATED))?;
    params.not_after = moment(at.plus_seconds(life))?;
    let mut serial = random::bytes::<20>();
    if let Some(first) = serial.first_mut() {
        // Positive, and never shortened by a leading zero: RFC 5280, section 4.1.2.2.
        *first = *first & 0x7f | 0x40;
    }
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    Ok(params)
}

fn first_certificate(pem: &str) -> Result<Pem, AuthorityError> {
    Pem::iter_from_buffer(pem.as_bytes())
        .filter_map(Result::ok)
        .find(|section| section.label == "CERTIFICATE")
        .ok_or(AuthorityError::Certificate)
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let all = extension.map(|found| found.value.general_names.as_slice()).unwrap_or_default();
    all.iter().filter_map(name_text).collect()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let four = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok()?;
            Some(address.to_string())
        }
        _ => None,
    }
}

/// An IPv6 address without the brackets that it has in a URL, in its shortest form; any other name lowered.
fn bare(name: &str) -> String {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    inner.parse::<IpAddr>().map_or_else(|_| inner.to_ascii_lowercase(), |address| address.to_string())
}

/// Says whether a certificate can carry this name: a host name without a dot at its end, or an address without brackets.
pub fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

fn moment(at: Timestamp) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(at.seconds()).map_err(failed)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> AuthorityError {
    AuthorityError::Make(Box::new(error))
}

#[cfg(test)]
mod tests {
    use base::process::{ProcessError, Program};

    use super::*;

    /// 2026-11-21T00:00:00Z.
    const NOW: Timestamp = Timestamp(1_795_219_200_000_000);

    fn authority() -> Authority {
        Authority::generate("GitGrit site forge.acme.internal", NOW).unwrap()
    }

    #[test]
    fn names_that_are_no_hosts_are_refused() {
        for name in ["", "a b", "https://a", "a..b", "-a", "a.", &"a".repeat(64), "*.acme.internal", "a\n"] {
            assert!(matches!(authority().issue(&[name], NOW), Err(AuthorityError::Name(_))), "{name}");
        }
        assert!(matches!(authority().issue(&[], NOW), Err(AuthorityError::Name(_))));
    }

    #[test]
    fn only_a_matching_authority_is_loaded() {
        let (one, two) = (authority(), authority());
        let leaf = one.issue(&["localhost"], NOW).unwrap();
        let load = |certificate: &str, key: Secret<String>| Authority::load(certificate, &key).unwrap_err().to_string();
        assert_eq!(load(one.certificate_pem(), two.key_pem()), "the private key does not belong to the certificate");
        assert_eq!(load(&leaf.chain_pem, leaf.key_pem.clone()), "the certificate is not one of an authority");
        assert_eq!(load("", one.key_pem()), "the certificate does not parse");
        assert_eq!(load(one.certificate_pem(), Secret::new("junk".into())), "the private key does not parse");
    }

    #[test]
    fn a_loaded_authority_issues_like_the_one_that_was_saved() {
        let made = authority();
        let loaded = Authority::load(made.certificate_pem(), &made.key_pem()).unwrap();
        let issued = loaded.issue(&["forge.acme.internal"], NOW).unwrap();
        assert!(made.has_issued(&issued.chain_pem));
        assert!(!authority().has_issued(&issued.chain_pem));
        assert!(is_pair(&issued.chain_pem, &issued.key_pem));
        assert!(!is_pair(&issued.chain_pem, &made.key_pem()));
    }

    #[test]
    fn the_authority_has_the_extensions_that_strict_verifiers_ask_for() {
        let made = authority();
        let pem = first_certificate(made.certificate_pem()).unwrap();
        let parsed = pem.parse_x509().unwrap();
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint.is_none());
        let usage = parsed.key_usage().unwrap().unwrap();
        assert!(usage.critical);
        assert_eq!(usage.value.to_string(), "Digital Signature, Key Cert Sign, CRL Sign");
        assert!(parsed.iter_extensions().any(|extension| extension.oid.to_id_string() == "2.5.29.14"));
        assert_eq!(read_served(made.certificate_pem()).unwrap().not_after, NOW.plus_seconds(AUTHORITY_LIFE));
    }

    #[test]
    fn a_server_certificate_says_names_and_dates() {
        let issued = authority().issue(&["Forge.acme.internal", "127.0.0.1", "[::1]"], NOW).unwrap();
        let served = read_served(&issued.chain_pem).unwrap();
        assert_eq!(
            served.names.iter().map(String::as_str).collect::<Vec<_>>(),
            ["127.0.0.1", "::1", "forge.acme.internal"]
        );
        assert_eq!(served.not_before, NOW.plus_seconds(-3600));
        assert_eq!(served.not_after, NOW.plus_seconds(397 * DAY));
    }

    /// Without OpenSSL on the machine the checks above have to do.
    #[test]
    fn openssl_in_strict_mode_accepts_the_chain() {
        let directory = tempfile::tempdir().unwrap();
        let made = authority();
        let issued = made.issue(&["forge.acme.internal", "::1"], NOW).unwrap();
        let (ca, leaf) = (directory.path().join("ca.pem"), directory.path().join("leaf.pem"));
        base::file::write_atomic(&ca, made.certificate_pem().as_bytes(), 0o644).unwrap();
        base::file::write_atomic(&leaf, issued.chain_pem.as_bytes(), 0o644).unwrap();
        let at = NOW.seconds().to_string();
        let options = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "forge.acme.internal"];
        let verified = Program::new("openssl").options(options).options(["-attime", &at, "-CAfile"]).option(&ca);
        match verified.option(&leaf).run(b"") {
            Err(ProcessError::Start { .. }) => {}
            other => {
                let done = other.unwrap();
                assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), done.stderr);
            }
        }
    }
}
