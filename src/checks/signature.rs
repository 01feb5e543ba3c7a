//! Whether one certificate's key made another one's signature. Computes; asks no program, and trusts no name.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};

use crate::link::Link;

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";

/// Says whether `issuer`'s key made the signature on `subject`. A signature of an algorithm that is not computed here does
/// not hold.
pub(crate) fn holds(subject: &Link, issuer: &Link) -> bool {
    algorithm(subject, issuer).is_some_and(|algorithm| {
        UnparsedPublicKey::new(algorithm, &issuer.key).verify(&subject.signed, &subject.signature).is_ok()
    })
}

/// The strength of a signature's hash against collisions, in bits, as OpenSSL's security levels count it.
pub(crate) fn strength(subject: &Link) -> u32 {
    match subject.algorithm.as_str() {
        "1.2.840.113549.1.1.4" => 39,
        "1.2.840.113549.1.1.5" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => 63,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => 192,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => 256,
        _ => 128,
    }
}

/// The strength of a key, in bits, NIST SP 800-57, part 1, table 2.
pub(crate) fn key_strength(link: &Link) -> u32 {
    let bits = link.facts.key.bits;
    match link.key_algorithm.as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => match bits {
            15360.. => 256,
            7680.. => 192,
            3072.. => 128,
            2048.. => 112,
            1024.. => 80,
            _ => 0,
        },
        "1.2.840.10045.2.1" => u32::try_from(bits / 2).unwrap_or(0),
        _ => 128,
    }
}

fn algorithm(subject: &Link, issuer: &Link) -> Option<&'static dyn VerificationAlgorithm> {
    let is_short = issuer.facts.key.bits < 2048;
    Some(match (subject.algorithm.as_str(), issuer.curve.as_str()) {
        ("1.2.840.113549.1.1.5", _) => &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        ("1.2.840.113549.1.1.11", _) if is_short => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        ("1.2.840.113549.1.1.13", _) if is_short => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        ("1.2.840.113549.1.1.11", _) => &aws::RSA_PKCS1_2048_8192_SHA256,
        ("1.2.840.113549.1.1.12", _) => &aws::RSA_PKCS1_2048_8192_SHA384,
        ("1.2.840.113549.1.1.13", _) => &aws::RSA_PKCS1_2048_8192_SHA512,
        ("1.2.840.113549.1.1.10", _) => match subject.hash.as_str() {
            "2.16.840.1.101.3.4.2.1" => &aws::RSA_PSS_2048_8192_SHA256,
            "2.16.840.1.101.3.4.2.2" => &aws::RSA_PSS_2048_8192_SHA384,
            "2.16.840.1.101.3.4.2.3" => &aws::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        },
        ("1.2.840.10045.4.3.2", P256) => &aws::ECDSA_P256_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", P256) => &aws::ECDSA_P256_SHA384_ASN1,
        ("1.2.840.10045.4.3.2", P384) => &aws::ECDSA_P384_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", P384) => &aws::ECDSA_P384_SHA384_ASN1,
        ("1.2.840.10045.4.3.2", P521) => &aws::ECDSA_P521_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", P521) => &aws::ECDSA_P521_SHA384_ASN1,
        ("1.2.840.10045.4.3.4", P521) => &aws::ECDSA_P521_SHA512_ASN1,
        ("1.3.101.112", _) => &aws::ED25519,
        _ => return None,
    })
}
