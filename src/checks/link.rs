//! One certificate as path building sees it: names, key, signature, and every extension that a TLS stack looks at. Reads,
//! never judges.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree, NSCertType, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::certificate::Certificate;
use crate::container;

/// keyUsage's bits, RFC 5280, 4.2.1.3, first bit lowest.
pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 2;
pub(crate) const KEY_AGREEMENT: u16 = 1 << 4;
pub(crate) const CERTIFICATE_SIGN: u16 = 1 << 5;
pub(crate) const REVOCATION_SIGN: u16 = 1 << 6;

/// Kinds of keys, as object identifiers.
pub(crate) const RSA: &str = "1.2.840.113549.1.1.1";
pub(crate) const RSA_PSS: &str = "1.2.840.113549.1.1.10";
/// msSGC and nsSGC.
const GATED: &[&str] = &["1.3.6.1.4.1.311.10.3.3", NETSCAPE_GATED];
const NETSCAPE_GATED: &str = "2.16.840.1.113730.4.1";
const MAIL: &str = "1.2.840.113549.1.9.1";

/// A certificate of a chain, or an authority.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// What people are shown of it.
    pub(crate) facts: Certificate,
    /// What is signed.
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// The signature's algorithm, as an object identifier.
    pub(crate) algorithm: String,
    /// The same with its parameters, as bytes.
    pub(crate) algorithm_der: Vec<u8>,
    /// For RSASSA-PSS: the hash, as an object identifier.
    pub(crate) hash: String,
    /// Says whether the algorithm is named alike inside and outside of what is signed.
    pub(crate) is_algorithm_consistent: bool,
    /// SubjectPublicKeyInfo, whole.
    pub(crate) key_info: Vec<u8>,
    pub(crate) key: Vec<u8>,
    /// The key's algorithm, as an object identifier.
    pub(crate) key_algorithm: String,
    /// The same with its parameters, as bytes.
    pub(crate) key_algorithm_der: Vec<u8>,
    pub(crate) has_key_parameters: bool,
    /// The curve of an EC key, as an object identifier.
    pub(crate) curve: String,
    /// Names as OpenSSL compares them: without letter case and doubled spaces.
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) has_subject: bool,
    pub(crate) has_issuer: bool,
    pub(crate) common_names: Vec<String>,
    /// Mail addresses within the subject.
    pub(crate) subject_mail: Vec<String>,
    pub(crate) usage: Option<u16>,
    pub(crate) purposes: Option<Purposes>,
    /// Netscape's certificate type: 0x80 for clients, 0x40 for servers, 0x07 for authorities.
    pub(crate) netscape: Option<u8>,
    pub(crate) subject_key: Option<KeyName>,
    pub(crate) issuer_key: Option<IssuerKey>,
    pub(crate) names: Option<Names>,
    pub(crate) constraints: Option<Constraints>,
    /// The critical extensions, as object identifiers.
    pub(crate) critical: Vec<String>,
    pub(crate) extensions: usize,
    /// Says whether an extension does not parse, or stands there twice.
    pub(crate) is_malformed: bool,
}

/// extendedKeyUsage, as far as TLS servers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purposes {
    pub(crate) server: bool,
    pub(crate) any: bool,
    /// Server gated cryptography, Microsoft's or Netscape's; OpenSSL takes it for servers.
    pub(crate) gated: bool,
    /// Netscape's alone; GnuTLS takes it on authorities.
    pub(crate) netscape_gated: bool,
}

/// subjectKeyIdentifier.
#[derive(Clone, Debug)]
pub(crate) struct KeyName {
    pub(crate) id: Vec<u8>,
    pub(crate) is_critical: bool,
}

/// authorityKeyIdentifier.
#[derive(Clone, Debug)]
pub(crate) struct IssuerKey {
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) serial: Option<Vec<u8>>,
    pub(crate) is_critical: bool,
}

/// subjectAltName.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) hosts: Vec<String>,
    pub(crate) addresses: Vec<Vec<u8>>,
    pub(crate) mail: Vec<String>,
    pub(crate) uris: Vec<String>,
    /// Distinguished names, folded.
    pub(crate) directories: Vec<Vec<u8>>,
    /// Names of still other kinds.
    pub(crate) has_others: bool,
    /// How many names of any kind.
    pub(crate) count: usize,
    pub(crate) is_critical: bool,
}

/// nameConstraints: what may stand, and what may not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints {
    pub(crate) permitted: Vec<Subtree>,
    pub(crate) excluded: Vec<Subtree>,
}

/// One subtree of names.
#[derive(Clone, Debug)]
pub(crate) enum Subtree {
    Host(String),
    /// Address and mask, one after the other.
    Network(Vec<u8>),
    Mail(String),
    Uri(String),
    /// A distinguished name, folded.
    Directory(Vec<u8>),
    Other,
}

impl Link {
    /// Reads one DER certificate. `None` when it is not one.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let facts = Certificate::parse(der)?;
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let outer = &parsed.signature_algorithm;
        let key = parsed.public_key();
        let (certificate, _) = container::inside(der)?;
        let (_, after) = container::inside(certificate)?;
        let (key_algorithm, _) = container::inside(container::inside(key.raw)?.0)?;
        let oid = |any: &x509_parser::asn1_rs::Any<'_>| any.clone().oid().map(|oid| oid.to_id_string()).ok();
        let mut link = Self {
            facts,
            signed: parsed.tbs_certificate.as_ref().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
            algorithm: outer.algorithm.to_id_string(),
            algorithm_der: container::inside(after)?.0.to_vec(),
            hash: pss_hash(outer).unwrap_or_default(),
            is_algorithm_consistent: *outer == parsed.tbs_certificate.signature,
            key_info: key.raw.to_vec(),
            key: key.subject_public_key.data.to_vec(),
            key_algorithm: key.algorithm.algorithm.to_id_string(),
            key_algorithm_der: key_algorithm.to_vec(),
            has_key_parameters: key.algorithm.parameters.is_some(),
            curve: key.algorithm.parameters.as_ref().and_then(oid).unwrap_or_default(),
            subject: folded(parsed.subject()),
            issuer: folded(parsed.issuer()),
            has_subject: parsed.subject().iter_rdn().next().is_some(),
            has_issuer: parsed.issuer().iter_rdn().next().is_some(),
            common_names: texts(parsed.subject().iter_common_name()),
            subject_mail: texts(
                parsed.subject().iter_attributes().filter(|part| part.attr_type().to_id_string() == MAIL),
            ),
            usage: None,
            purposes: None,
            netscape: None,
            subject_key: None,
            issuer_key: None,
            names: None,
            constraints: None,
            critical: Vec::new(),
            extensions: parsed.extensions().len(),
            is_malformed: parsed.tbs_certificate.extensions_map().is_err(),
        };
        for extension in parsed.extensions() {
            if extension.critical {
                link.critical.push(extension.oid.to_id_string());
            }
            link.take(extension.parsed_extension(), extension.critical);
        }
        Some(link)
    }

    /// Says whether `issuer` may have issued it, by names and key identifiers as OpenSSL compares them; no signature is looked at.
    pub(crate) fn names_as_issuer(&self, issuer: &Self) -> bool {
        let fits = |wanted: &IssuerKey| {
            let id = match (&wanted.id, &issuer.subject_key) {
                (Some(id), Some(own)) => *id == own.id,
                _ => true,
            };
            let serial = wanted.serial.as_ref().is_none_or(|serial| hexadecimal(serial) == issuer.facts.serial);
            id && serial && wanted.issuer.as_ref().is_none_or(|name| *name == issuer.issuer)
        };
        let (key, wanted) = (family(&issuer.key_algorithm), family(&self.algorithm));
        self.issuer == issuer.subject
            && self.issuer_key.as_ref().is_none_or(fits)
            && (key == wanted || (key == 'r' && wanted == 'p'))
            && key != '?'
    }

    /// Says whether it names itself as its issuer.
    pub(crate) fn names_itself(&self) -> bool {
        self.names_as_issuer(self)
    }

    pub(crate) fn is_current(&self, now: i64) -> bool {
        self.facts.not_before <= now && now <= self.facts.not_after
    }

    fn take(&mut self, extension: &ParsedExtension<'_>, is_critical: bool) {
        match extension {
            ParsedExtension::KeyUsage(found) => self.usage = Some(found.flags),
            ParsedExtension::ExtendedKeyUsage(found) => {
                self.purposes = Some(Purposes {
                    server: found.server_auth,
                    any: found.any,
                    gated: found.other.iter().any(|oid| GATED.contains(&oid.to_id_string().as_str())),
                    netscape_gated: found.other.iter().any(|oid| oid.to_id_string() == NETSCAPE_GATED),
                });
            }
            ParsedExtension::SubjectKeyIdentifier(found) => {
                self.subject_key = Some(KeyName { id: found.0.to_vec(), is_critical });
            }
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                let issuer = found.authority_cert_issuer.iter().flatten().find_map(|name| match name {
                    GeneralName::DirectoryName(name) => Some(folded(name)),
                    _ => None,
                });
                self.issuer_key = Some(IssuerKey {
                    id: found.key_identifier.as_ref().map(|id| id.0.to_vec()),
                    issuer,
                    serial: found.authority_cert_serial.map(<[u8]>::to_vec),
                    is_critical,
                });
            }
            ParsedExtension::SubjectAlternativeName(found) => {
                let mut names = Names { count: found.general_names.len(), is_critical, ..Names::default() };
                for name in &found.general_names {
                    match name {
                        GeneralName::DNSName(host) => names.hosts.push((*host).to_owned()),
                        GeneralName::IPAddress(address) => names.addresses.push(address.to_vec()),
                        GeneralName::RFC822Name(mail) => names.mail.push((*mail).to_owned()),
                        GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                        GeneralName::DirectoryName(name) => names.directories.push(folded(name)),
                        _ => names.has_others = true,
                    }
                }
                self.names = Some(names);
            }
            ParsedExtension::NameConstraints(found) => {
                let all = |trees: &Option<Vec<GeneralSubtree<'_>>>| trees.iter().flatten().map(subtree).collect();
                self.constraints = Some(Constraints {
                    permitted: all(&found.permitted_subtrees),
                    excluded: all(&found.excluded_subtrees),
                });
            }
            ParsedExtension::NSCertType(found) => self.netscape = Some(netscape(*found)),
            ParsedExtension::ParseError { .. } => self.is_malformed = true,
            _ => {}
        }
    }
}

/// nsCertType as its first byte stands in the certificate.
fn netscape(found: NSCertType) -> u8 {
    let bits = [
        (found.ssl_client(), 0x80),
        (found.ssl_server(), 0x40),
        (found.ssl_ca(), 0x04),
        (found.smime_ca(), 0x02),
        (found.object_signing_ca(), 0x01),
    ];
    bits.iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum()
}

/// What a key must be so that a signature of this algorithm can be by it; OpenSSL looks before it computes.
fn family(algorithm: &str) -> char {
    match algorithm {
        "1.2.840.10045.2.1" => 'e',
        RSA_PSS => 'p',
        "1.3.101.112" => 'd',
        "1.3.101.113" => 'D',
        _ if algorithm.starts_with("1.2.840.10045.4") => 'e',
        _ if algorithm.starts_with("1.2.840.113549.1.1.") => 'r',
        _ if algorithm.starts_with("1.2.840.10040.4.") => 'a',
        _ => match algorithm.strip_prefix("2.16.840.1.101.3.4.3.").and_then(|last| last.parse::<u8>().ok()) {
            Some(1..=8) => 'a',
            Some(13..=16) => 'r',
            _ => '?',
        },
    }
}

fn texts<'a>(parts: impl Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>) -> Vec<String> {
    parts.filter_map(|part| part.as_str().ok().map(str::to_owned)).collect()
}

fn subtree(tree: &GeneralSubtree<'_>) -> Subtree {
    match &tree.base {
        GeneralName::DNSName(host) => Subtree::Host((*host).to_owned()),
        GeneralName::IPAddress(network) => Subtree::Network(network.to_vec()),
        GeneralName::RFC822Name(mail) => Subtree::Mail((*mail).to_owned()),
        GeneralName::URI(uri) => Subtree::Uri((*uri).to_owned()),
        GeneralName::DirectoryName(name) => Subtree::Directory(folded(name)),
        _ => Subtree::Other,
    }
}

fn pss_hash(algorithm: &x509_parser::x509::AlgorithmIdentifier<'_>) -> Option<String> {
    let parameters = algorithm.parameters.as_ref()?;
    let parsed = x509_parser::signature_algorithm::RsaSsaPssParams::try_from(parameters).ok()?;
    Some(parsed.hash_algorithm_oid().to_id_string())
}

/// A distinguished name for comparing: kinds and values, letters small, spaces single.
fn folded(name: &X509Name<'_>) -> Vec<u8> {
    let mut folded = Vec::new();
    for part in name.iter_rdn() {
        folded.push(0);
        for attribute in part.iter() {
            folded.extend_from_slice(attribute.attr_type().as_bytes());
            folded.push(1);
            match attribute.as_str() {
                Ok(text) => {
                    let words: Vec<_> = text.split_ascii_whitespace().collect();
                    folded.extend_from_slice(words.join(" ").to_ascii_lowercase().as_bytes());
                }
                Err(_) => folded.extend_from_slice(attribute.as_slice()),
            }
            folded.push(2);
        }
    }
    folded
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
