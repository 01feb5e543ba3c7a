//! The keys of the corpus, and signatures by them in every way that openssl can make. For tests alone.

use std::path::{Path, PathBuf};

use base::process::Program;
use rcgen::{KeyPair, PublicKeyData, SigningKey};

use crate::certificate::sha256;
use crate::corpus_certificate::{oid, sequence, tlv};

/// A key of the corpus.
pub(crate) enum Key {
    /// P-256, at home here.
    Curve(KeyPair),
    /// At home in openssl: its kind, the PEM text and its public part.
    Other(Kind, String, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    /// For RSASSA-PSS alone.
    Pss,
    Ec,
    Ed25519,
    Ed448,
}

impl Key {
    pub(crate) fn curve() -> Self {
        Self::Curve(KeyPair::generate().unwrap())
    }

    /// A key by openssl: the bits of an RSA key, the curve of an EC key.
    pub(crate) fn made(kind: Kind, what: &str) -> Self {
        let bits = format!("rsa_keygen_bits:{what}");
        let curve = format!("ec_paramgen_curve:{what}");
        let options: &[&str] = match kind {
            Kind::Rsa => &["-algorithm", "RSA", "-pkeyopt", &bits],
            Kind::Pss => &["-algorithm", "RSA-PSS", "-pkeyopt", &bits],
            Kind::Ec => &["-algorithm", "EC", "-pkeyopt", &curve, "-pkeyopt", "ec_param_enc:named_curve"],
            Kind::Ed25519 => &["-algorithm", "ED25519"],
            Kind::Ed448 => &["-algorithm", "ED448"],
        };
        let text = openssl(Program::new("openssl").option("genpkey").options(options), b"");
        let public = openssl(Program::new("openssl").options(["pkey", "-pubout", "-outform", "DER"]), &text);
        Self::Other(kind, String::from_utf8(text).unwrap(), public)
    }

    pub(crate) fn pem(&self) -> String {
        match self {
            Self::Curve(pair) => pair.serialize_pem(),
            Self::Other(_, text, _) => text.clone(),
        }
    }

    pub(crate) fn info(&self) -> Vec<u8> {
        match self {
            Self::Curve(pair) => pair.subject_public_key_info(),
            Self::Other(_, _, public) => public.clone(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Curve(_) => Kind::Ec,
            Self::Other(kind, ..) => *kind,
        }
    }

    pub(crate) fn sign(&self, bytes: &[u8], hash: &str, dir: &Path) -> Vec<u8> {
        if let (Self::Curve(pair), "sha256") = (self, hash) {
            return pair.sign(bytes).unwrap();
        }
        let key = written(dir, self.pem().as_bytes());
        if matches!(self.kind(), Kind::Ed25519 | Kind::Ed448) {
            let program = Program::new("openssl").options(["pkeyutl", "-sign", "-rawin", "-inkey"]).option(&key);
            return openssl(program.option("-in").option(written(dir, bytes)), b"");
        }
        let Some((hash, salt)) = pss(hash) else {
            return openssl(
                Program::new("openssl").options(["dgst", &format!("-{hash}"), "-sign"]).option(&key),
                bytes,
            );
        };
        let program = Program::new("openssl")
            .options(["dgst", &format!("-{hash}"), "-sigopt", "rsa_padding_mode:pss", "-sigopt"])
            .option(format!("rsa_pss_saltlen:{salt}"))
            .option("-sign")
            .option(&key);
        openssl(program, bytes)
    }

    /// The AlgorithmIdentifier of such a signature.
    pub(crate) fn algorithm(&self, hash: &str) -> Vec<u8> {
        let null: &[u8] = &[5, 0];
        match self.kind() {
            Kind::Ed25519 => sequence(&[&oid("1.3.101.112")]),
            Kind::Ed448 => sequence(&[&oid("1.3.101.113")]),
            Kind::Ec => sequence(&[&oid(match hash {
                "sha1" => "1.2.840.10045.4.1",
                "sha224" => "1.2.840.10045.4.3.1",
                "sha256" => "1.2.840.10045.4.3.2",
                "sha384" => "1.2.840.10045.4.3.3",
                "sha512" => "1.2.840.10045.4.3.4",
                "sha3-256" => "2.16.840.1.101.3.4.3.10",
                "sha3-384" => "2.16.840.1.101.3.4.3.11",
                _ => "2.16.840.1.101.3.4.3.12",
            })]),
            Kind::Rsa | Kind::Pss => match pss(hash) {
                None => sequence(&[&oid(rsa(hash)), null]),
                Some((hash, salt)) => {
                    let hash = sequence(&[&oid(digest(hash)), null]);
                    let mask = sequence(&[&oid("1.2.840.113549.1.1.8"), &hash]);
                    let salt = tlv(2, &[&[salt]]);
                    let limits = sequence(&[&tlv(0xa0, &[&hash]), &tlv(0xa1, &[&mask]), &tlv(0xa2, &[&salt])]);
                    sequence(&[&oid("1.2.840.113549.1.1.10"), &limits])
                }
            },
        }
    }
}

fn rsa(hash: &str) -> &'static str {
    match hash {
        "md5" => "1.2.840.113549.1.1.4",
        "sha1" => "1.2.840.113549.1.1.5",
        "sha224" => "1.2.840.113549.1.1.14",
        "sha256" => "1.2.840.113549.1.1.11",
        "sha384" => "1.2.840.113549.1.1.12",
        "sha512" => "1.2.840.113549.1.1.13",
        "sha3-256" => "2.16.840.1.101.3.4.3.14",
        "sha3-384" => "2.16.840.1.101.3.4.3.15",
        _ => "2.16.840.1.101.3.4.3.16",
    }
}

fn digest(hash: &str) -> &'static str {
    match hash {
        "sha1" => "1.3.14.3.2.26",
        "sha256" => "2.16.840.1.101.3.4.2.1",
        "sha384" => "2.16.840.1.101.3.4.2.2",
        _ => "2.16.840.1.101.3.4.2.3",
    }
}

/// The hash and the salt's length in `pss-sha256-32`.
fn pss(hash: &str) -> Option<(&str, u8)> {
    let (hash, salt) = hash.strip_prefix("pss-")?.rsplit_once('-')?;
    Some((hash, salt.parse().unwrap()))
}

/// A file that holds these bytes, named after them.
fn written(dir: &Path, bytes: &[u8]) -> PathBuf {
    let path = dir.join(format!("{}.bin", sha256(bytes)));
    base::file::write_atomic(&path, bytes, 0o600).unwrap();
    path
}

fn openssl(program: Program, input: &[u8]) -> Vec<u8> {
    let done = program.run(input).unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    done.stdout
}
