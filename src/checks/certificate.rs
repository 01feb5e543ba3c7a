//! What one certificate says about itself. Explains, never decides: whether a chain holds is rustls's own verdict.

use serde::Serialize;
use x509_parser::asn1_rs::Oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::container;
use crate::text::{line, moment};

/// How many of a certificate's names are shown.
const SHOWN: usize = 100;

/// The facts of one certificate; texts hold no control characters.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// Who it is for, as a distinguished name.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Valid from, in seconds since the epoch.
    pub not_before: i64,
    /// Valid until, in seconds since the epoch.
    pub not_after: i64,
    /// What it carries.
    pub key: Key,
    /// What it was signed with.
    pub signature: Signature,
    /// The X.509 version, 1 to 3.
    pub version: u32,
    /// basicConstraints, when there.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage, when there.
    pub key_usage: Option<Usage>,
    /// extendedKeyUsage, when there.
    pub extended_key_usage: Option<Vec<String>>,
    /// subjectKeyIdentifier, hexadecimal.
    pub subject_key_id: Option<String>,
    /// authorityKeyIdentifier, hexadecimal.
    pub authority_key_id: Option<String>,
    /// subjectAltName: host names and addresses, the first 100.
    pub names: Vec<String>,
    /// How many there are.
    pub name_count: usize,
    /// SHA-256 of the DER, hexadecimal.
    pub fingerprint: String,
    /// Says whether subject and issuer are the same name, and the signature is its own.
    pub is_self_signed: bool,
    /// The certificate itself.
    #[serde(skip)]
    pub der: Vec<u8>,
    #[serde(skip)]
    pub(crate) subject_der: Vec<u8>,
    #[serde(skip)]
    pub(crate) issuer_der: Vec<u8>,
}

/// A public key.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    /// `RSA`, `EC`, `Ed25519`, or an object identifier.
    pub kind: String,
    /// Its size, in bits; 0 when it is not known.
    pub bits: usize,
}

/// A signature's algorithm.
#[derive(Clone, Debug, Serialize)]
pub struct Signature {
    /// Its usual name, or an object identifier.
    pub algorithm: String,
    /// Says whether it uses MD5 or SHA-1.
    pub is_weak: bool,
}

/// The extension basicConstraints.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BasicConstraints {
    /// Says whether readers that do not know it must refuse.
    pub is_critical: bool,
    /// Says whether the certificate is an authority.
    pub is_ca: bool,
    /// How many authorities may follow below it.
    pub path_length: Option<u32>,
}

/// The extension keyUsage.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// Says whether readers that do not know it must refuse.
    pub is_critical: bool,
    /// Says whether it may sign certificates.
    pub can_sign_certificates: bool,
    /// Every use that is set.
    pub uses: Vec<&'static str>,
}

impl Certificate {
    /// Reads one DER certificate. `None` when it is not one, or something follows it.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut certificate = Self::without_extensions(&parsed, der);
        for extension in parsed.extensions() {
            certificate.take(extension.parsed_extension(), extension.critical);
        }
        Some(certificate)
    }

    /// Says whether it states that it is an authority.
    pub fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.is_ca)
    }

    /// Says whether it signs others although it does not say that it is an authority: it issued itself, or may sign.
    pub(crate) fn is_meant_as_authority(&self) -> bool {
        self.is_self_issued() || self.key_usage.as_ref().is_some_and(|usage| usage.can_sign_certificates)
    }

    /// Says whether subject and issuer are the same name.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// From and until, for people.
    pub fn validity(&self) -> (String, String) {
        (moment(self.not_before), moment(self.not_after))
    }

    fn without_extensions(parsed: &X509Certificate<'_>, der: &[u8]) -> Self {
        let is_self_issued = parsed.subject().as_raw() == parsed.issuer().as_raw();
        Self {
            subject: line(&parsed.subject().to_string()),
            issuer: line(&parsed.issuer().to_string()),
            serial: hex(parsed.raw_serial()),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            key: key(parsed),
            signature: signature(&parsed.signature_algorithm.algorithm.to_id_string()),
            version: parsed.version().0.saturating_add(1),
            basic_constraints: None,
            key_usage: None,
            extended_key_usage: None,
            subject_key_id: None,
            authority_key_id: None,
            names: Vec::new(),
            name_count: 0,
            fingerprint: sha256(der),
            is_self_signed: is_self_issued && parsed.verify_signature(None).is_ok(),
            der: der.to_vec(),
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
        }
    }

    fn take(&mut self, extension: &ParsedExtension<'_>, is_critical: bool) {
        match extension {
            ParsedExtension::BasicConstraints(found) => {
                self.basic_constraints =
                    Some(BasicConstraints { is_critical, is_ca: found.ca, path_length: found.path_len_constraint });
            }
            ParsedExtension::KeyUsage(found) => {
                self.key_usage =
                    Some(Usage { is_critical, can_sign_certificates: found.key_cert_sign(), uses: uses(*found) });
            }
            ParsedExtension::ExtendedKeyUsage(found) => {
                let named = [
                    (found.any, "any"),
                    (found.server_auth, "serverAuth"),
                    (found.client_auth, "clientAuth"),
                    (found.code_signing, "codeSigning"),
                    (found.email_protection, "emailProtection"),
                    (found.time_stamping, "timeStamping"),
                    (found.ocsp_signing, "OCSPSigning"),
                ];
                let known = named.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| (*name).to_owned());
                self.extended_key_usage = Some(known.chain(found.other.iter().map(Oid::to_id_string)).collect());
            }
            ParsedExtension::SubjectKeyIdentifier(found) => self.subject_key_id = Some(hex(found.0)),
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                self.authority_key_id = found.key_identifier.as_ref().map(|id| hex(id.0));
            }
            ParsedExtension::SubjectAlternativeName(found) => {
                self.names = found.general_names.iter().filter_map(name).take(SHOWN).collect();
                self.name_count = found.general_names.len();
                if self.name_count > SHOWN && self.names.len() == SHOWN {
                    self.names.push(format!("and {} more", self.name_count - SHOWN));
                }
            }
            _ => {}
        }
    }
}

fn uses(usage: KeyUsage) -> Vec<&'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect()
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some(line(name)),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => Some(std::net::IpAddr::from(four).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|sixteen| std::net::IpAddr::from(sixteen).to_string()),
        },
        _ => None,
    }
}

fn key(parsed: &X509Certificate<'_>) -> Key {
    let info = parsed.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => Key { kind: "RSA".into(), bits: bits(rsa.modulus) },
        Ok(PublicKey::EC(point)) => Key { kind: "EC".into(), bits: point.key_size() },
        Ok(other) => match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => Key { kind: "Ed25519".into(), bits: 256 },
            "1.3.101.113" => Key { kind: "Ed448".into(), bits: 456 },
            // A key that is for RSASSA-PSS alone is written like any other RSA key.
            "1.2.840.113549.1.1.10" => Key { kind: "RSA-PSS".into(), bits: modulus(&info.subject_public_key.data) },
            oid => Key { kind: oid.into(), bits: other.key_size() },
        },
        Err(_) => Key { kind: info.algorithm.algorithm.to_id_string(), bits: 0 },
    }
}

/// The size of the modulus of an RSAPublicKey, RFC 8017, A.1.1; 0 when it is none.
fn modulus(key: &[u8]) -> usize {
    container::inside(key).and_then(|(numbers, _)| container::inside(numbers)).map_or(0, |(modulus, _)| bits(modulus))
}

/// The size of a big-endian number without its leading zeros.
fn bits(number: &[u8]) -> usize {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = number.get(start..).unwrap_or_default();
    let unused = significant.first().map_or(0, |first| first.leading_zeros() as usize);
    significant.len() * 8 - unused
}

fn signature(oid: &str) -> Signature {
    let (algorithm, is_weak) = match oid {
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", true),
        "1.2.840.113549.1.1.5" => ("sha1WithRSAEncryption", true),
        "1.2.840.10040.4.3" => ("dsa-with-SHA1", true),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", true),
        "1.2.840.113549.1.1.10" => ("rsassaPss", false),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", false),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", false),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", false),
        "1.2.840.113549.1.1.14" => ("sha224WithRSAEncryption", false),
        "2.16.840.1.101.3.4.3.14" => ("RSA-SHA3-256", false),
        "2.16.840.1.101.3.4.3.15" => ("RSA-SHA3-384", false),
        "2.16.840.1.101.3.4.3.16" => ("RSA-SHA3-512", false),
        "1.2.840.10045.4.3.1" => ("ecdsa-with-SHA224", false),
        "1.3.101.113" => ("Ed448", false),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", false),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", false),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", false),
        "1.3.101.112" => ("Ed25519", false),
        other => (other, false),
    };
    Signature { algorithm: algorithm.into(), is_weak }
}

/// The hash comes with the TLS suites, so this room names no second library for it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    match rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256 {
        rustls::SupportedCipherSuite::Tls13(suite) => hex(suite.common.hash_provider.hash(bytes).as_ref()),
        rustls::SupportedCipherSuite::Tls12(suite) => hex(suite.common.hash_provider.hash(bytes).as_ref()),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_not_a_certificate() {
        for junk in [&b""[..], b"\x30\x00", b"hello", &[0x30, 0x82, 0xff, 0xff]] {
            assert!(Certificate::parse(junk).is_none(), "{junk:?}");
        }
    }

    #[test]
    fn fingerprints_are_sha256() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_size_of_a_modulus_does_not_count_leading_zeros() {
        for (number, expected) in [(&[][..], 0), (&[0, 0], 0), (&[0, 0x80], 8), (&[0x7f, 0xff], 15), (&[0, 1], 1)] {
            assert_eq!(bits(number), expected, "{number:?}");
        }
    }

    #[test]
    fn sha1_and_md5_are_weak_and_an_unknown_algorithm_keeps_its_number() {
        assert!(signature("1.2.840.113549.1.1.5").is_weak && signature("1.2.840.113549.1.1.4").is_weak);
        assert_eq!(signature("1.2.3").algorithm, "1.2.3");
    }
}
