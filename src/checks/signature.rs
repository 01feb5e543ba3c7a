//! Whether one certificate's key made another one's signature. Computes; asks no program, and trusts no name. What it cannot
//! compute it says so of, and never calls it wrong.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};

use crate::link::{Link, RSA, RSA_PSS};

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";
const K256: &str = "1.3.132.0.10";

/// The largest RSA key that is computed with, in bits.
const LARGEST: usize = 8192;

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// The key made it.
    Yes,
    /// The key did not make it.
    No,
    /// Its algorithm, or the key's, is not computed here.
    NotComputed,
}

/// What rustls's verifier says of a signature, which takes a fixed list of algorithms and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Webpki {
    Holds,
    Fails,
    /// The signature's algorithm is on the list, but not with a key of this kind.
    OtherKey,
    /// The signature's algorithm is not on the list.
    Unlisted,
}

/// Says whether `issuer`'s key made the signature on `subject`.
pub(crate) fn holds(subject: &Link, issuer: &Link) -> Signed {
    let is_rsa = [RSA, RSA_PSS].contains(&issuer.key_algorithm.as_str());
    let is_short = is_rsa && issuer.facts.key.bits < 2048;
    if is_rsa && issuer.facts.key.bits > LARGEST {
        return Signed::NotComputed;
    }
    let listed = by_webpki(subject, issuer);
    if listed == Webpki::Holds {
        return Signed::Yes;
    }
    match algorithm(subject, issuer, is_short) {
        Some(algorithm) => {
            let key = UnparsedPublicKey::new(algorithm, &issuer.key);
            if key.verify(&subject.signed, &subject.signature).is_ok() { Signed::Yes } else { Signed::No }
        }
        None if listed == Webpki::Fails && !is_short => Signed::No,
        None => Signed::NotComputed,
    }
}

/// What rustls says of the signature on `subject` by `issuer`'s key.
pub(crate) fn by_webpki(subject: &Link, issuer: &Link) -> Webpki {
    let mut said = Webpki::Unlisted;
    for algorithm in rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all {
        if algorithm.signature_alg_id().as_ref() != subject.algorithm_der {
            continue;
        }
        if algorithm.public_key_alg_id().as_ref() != issuer.key_algorithm_der {
            said = Webpki::OtherKey;
            continue;
        }
        let result = algorithm.verify_signature(&issuer.key, &subject.signed, &subject.signature);
        return if result.is_ok() { Webpki::Holds } else { Webpki::Fails };
    }
    said
}

/// Says whether rustls takes a server's key of this kind in a handshake.
pub(crate) fn is_webpki_key(link: &Link) -> bool {
    let known = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    known.iter().any(|algorithm| algorithm.public_key_alg_id().as_ref() == link.key_algorithm_der)
}

/// The strength of a signature's hash against collisions, in bits, as OpenSSL's security levels count it.
pub(crate) fn strength(subject: &Link) -> u32 {
    match subject.algorithm.as_str() {
        "1.2.840.113549.1.1.4" => 39,
        "1.2.840.113549.1.1.5" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => 63,
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.3.9" | "2.16.840.1.101.3.4.3.13" => 112,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.3.11" | "2.16.840.1.101.3.4.3.15" => 192,
        "1.3.101.113" => 224,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.3.12" | "2.16.840.1.101.3.4.3.16" => 256,
        RSA_PSS if subject.hash == "1.3.14.3.2.26" => 63,
        _ => 128,
    }
}

/// The strength of a key, in bits, NIST SP 800-57, part 1, table 2.
pub(crate) fn key_strength(link: &Link) -> u32 {
    let bits = link.facts.key.bits;
    match link.key_algorithm.as_str() {
        RSA | RSA_PSS => match bits {
            15360.. => 256,
            7680.. => 192,
            3072.. => 128,
            2048.. => 112,
            1024.. => 80,
            _ => 0,
        },
        "1.2.840.10045.2.1" => u32::try_from(bits / 2).unwrap_or(0),
        "1.3.101.113" => 224,
        _ => 128,
    }
}

/// What is computed beyond rustls's list.
fn algorithm(subject: &Link, issuer: &Link, is_short: bool) -> Option<&'static dyn VerificationAlgorithm> {
    if issuer.key_algorithm == RSA_PSS {
        return pss(subject, issuer).filter(|_| !is_short);
    }
    Some(match (subject.algorithm.as_str(), issuer.curve.as_str()) {
        ("1.2.840.113549.1.1.5", _) => &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        ("1.2.840.113549.1.1.11", _) if is_short => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        ("1.2.840.113549.1.1.13", _) if is_short => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        ("1.2.840.10045.4.1", P256) => &aws::ECDSA_P256_SHA1_ASN1,
        ("1.2.840.10045.4.1", P521) => &aws::ECDSA_P521_SHA1_ASN1,
        ("1.2.840.10045.4.3.1", P521) => &aws::ECDSA_P521_SHA224_ASN1,
        ("1.2.840.10045.4.3.2", K256) => &aws::ECDSA_P256K1_SHA256_ASN1,
        ("2.16.840.1.101.3.4.3.10", K256) => &aws::ECDSA_P256K1_SHA3_256_ASN1,
        ("2.16.840.1.101.3.4.3.11", P384) => &aws::ECDSA_P384_SHA3_384_ASN1,
        ("2.16.840.1.101.3.4.3.12", P521) => &aws::ECDSA_P521_SHA3_512_ASN1,
        _ => return None,
    })
}

/// A key that is for RSASSA-PSS alone: its own limits, when it has any, are only computed when the signature repeats them.
fn pss(subject: &Link, issuer: &Link) -> Option<&'static dyn VerificationAlgorithm> {
    let listed = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let is_usual = listed.iter().any(|algorithm| algorithm.signature_alg_id().as_ref() == subject.algorithm_der);
    let is_free = !issuer.has_key_parameters;
    if subject.algorithm != RSA_PSS || !is_usual || !(is_free || issuer.key_algorithm_der == subject.algorithm_der) {
        return None;
    }
    Some(match subject.hash.as_str() {
        "2.16.840.1.101.3.4.2.1" => &aws::RSA_PSS_2048_8192_SHA256,
        "2.16.840.1.101.3.4.2.2" => &aws::RSA_PSS_2048_8192_SHA384,
        "2.16.840.1.101.3.4.2.3" => &aws::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
