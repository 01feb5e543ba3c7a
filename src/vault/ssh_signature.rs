//! SSH signatures over files, as `ssh-keygen -Y sign` and Git make them. Says which key signed, and that it did; whose key
//! that is, and whether it counts, is the caller's to know. Takes no SHA-1 and no key that is weak.
//!
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ssh_key::{KeyKind, PublicKey};
use crate::ssh_wire::{Reader, put};

/// How the armour of a signature begins.
pub const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
/// The longest armour that is looked at, in bytes: one of a 16384-bit RSA key needs 6 KB.
const LONGEST: usize = 16 << 10;
/// The flag of a security key that somebody touched.
const IS_PRESENT: u8 = 1;

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshSignatureError {
    /// Not the armour, or not what belongs into it.
    #[error("the text is not an SSH signature")]
    Format,
    /// Made for another purpose, such as a file or mail.
    #[error("the signature was made for another purpose than the one asked for")]
    Namespace,
    /// A digest or key kind that is not taken.
    #[error("the signature's kind of key or digest is not taken")]
    Algorithm,
    /// It is a signature, but not by this key over this message.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks the armoured `signature` over `message` for the purpose `namespace` (Git's is `git`), and gives the key that
/// made it. Whether anybody is to be believed who holds that key is not judged here.
pub fn verify(signature: &str, namespace: &str, message: &[u8]) -> Result<PublicKey, SshSignatureError> {
    let blob = unarmoured(signature).ok_or(SshSignatureError::Format)?;
    let parts = Parts::read(&blob).ok_or(SshSignatureError::Format)?;
    if parts.namespace != namespace.as_bytes() {
        return Err(SshSignatureError::Namespace);
    }
    let hash = match parts.digest {
        b"sha256" => digest(&SHA256, message),
        b"sha512" => digest(&SHA512, message),
        _ => return Err(SshSignatureError::Algorithm),
    };
    let kind = Reader::new(parts.key).string().and_then(|name| std::str::from_utf8(name).ok());
    let line = format!("{} {}", kind.ok_or(SshSignatureError::Format)?, STANDARD.encode(parts.key));
    let key = PublicKey::parse(&line).map_err(|_| SshSignatureError::Algorithm)?;
    let mut signed = MAGIC.to_vec();
    for part in [parts.namespace, parts.reserved, parts.digest, hash.as_ref()] {
        put(&mut signed, part);
    }
    if is_by(&key, parts.key, parts.signature, &signed)? { Ok(key) } else { Err(SshSignatureError::Mismatch) }
}

/// What a signature's blob holds.
struct Parts<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    reserved: &'a [u8],
    digest: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(blob: &'a [u8]) -> Option<Self> {
        let rest = blob.strip_prefix(MAGIC)?.strip_prefix(&1_u32.to_be_bytes())?;
        let mut reader = Reader::new(rest);
        let parts = Self {
            key: reader.string()?,
            namespace: reader.string()?,
            reserved: reader.string()?,
            digest: reader.string()?,
            signature: reader.string()?,
        };
        reader.is_at_end().then_some(parts)
    }
}

fn unarmoured(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    let inside = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let base64: String = inside.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

/// Says whether the key whose blob is `blob` made `signature` over `message`.
fn is_by(key: &PublicKey, blob: &[u8], signature: &[u8], message: &[u8]) -> Result<bool, SshSignatureError> {
    let mut outer = Reader::new(signature);
    let name = outer.string().ok_or(SshSignatureError::Format)?;
    let made = outer.string().ok_or(SshSignatureError::Format)?;
    let rest = outer.rest();
    let mut parts = Reader::new(blob);
    // The kind, which the key's own parser has checked.
    parts.string().ok_or(SshSignatureError::Format)?;
    let is_security_key = matches!(key.kind, KeyKind::SecurityKeyEd25519 | KeyKind::SecurityKeyEcdsaP256);
    if is_security_key == rest.is_empty() || (key.kind != KeyKind::Rsa && name != key.kind.name().as_bytes()) {
        return Err(SshSignatureError::Format);
    }
    let found = match key.kind {
        KeyKind::Ed25519 => parts.string().map(|point| is_ed25519(point, message, made)),
        KeyKind::EcdsaP256 => ecdsa(&mut parts, &signature::ECDSA_P256_SHA256_FIXED, 32, message, made),
        KeyKind::EcdsaP384 => ecdsa(&mut parts, &signature::ECDSA_P384_SHA384_FIXED, 48, message, made),
        KeyKind::EcdsaP521 => ecdsa(&mut parts, &signature::ECDSA_P521_SHA512_FIXED, 66, message, made),
        KeyKind::SecurityKeyEd25519 => parts.string().and_then(|point| {
            let message = of_security_key(parts.string()?, rest, message)?;
            Some(is_ed25519(point, &message, made))
        }),
        KeyKind::SecurityKeyEcdsaP256 => {
            let mut behind = Reader::new(parts.rest());
            let application = behind.string().and(behind.string()).and(behind.string());
            application.and_then(|application| {
                let message = of_security_key(application, rest, message)?;
                ecdsa(&mut parts, &signature::ECDSA_P256_SHA256_FIXED, 32, &message, made)
            })
        }
        KeyKind::Rsa => return rsa(&mut parts, name, message, made),
    };
    found.ok_or(SshSignatureError::Format)
}

fn is_ed25519(point: &[u8], message: &[u8], made: &[u8]) -> bool {
    UnparsedPublicKey::new(&signature::ED25519, point).verify(message, made).is_ok()
}

/// Two numbers of `size` bytes each, which travel without their leading zeros (RFC 5656, section 3.1.2).
fn ecdsa(
    parts: &mut Reader<'_>,
    algorithm: &'static signature::EcdsaVerificationAlgorithm,
    size: usize,
    message: &[u8],
    made: &[u8],
) -> Option<bool> {
    let (_curve, point) = (parts.string()?, parts.string()?);
    let mut numbers = Reader::new(made);
    let fixed = [padded(numbers.number()?, size)?, padded(numbers.number()?, size)?].concat();
    let is_good = UnparsedPublicKey::new(algorithm, point).verify(message, &fixed).is_ok();
    numbers.is_at_end().then_some(is_good)
}

fn rsa(parts: &mut Reader<'_>, name: &[u8], message: &[u8], made: &[u8]) -> Result<bool, SshSignatureError> {
    let algorithm = match name {
        b"rsa-sha2-256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        b"rsa-sha2-512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return Err(SshSignatureError::Algorithm),
    };
    let (e, n) = (parts.number().ok_or(SshSignatureError::Format)?, parts.number().ok_or(SshSignatureError::Format)?);
    let made = padded(made, n.len()).ok_or(SshSignatureError::Format)?;
    Ok(RsaPublicKeyComponents { n, e }.verify(algorithm, message, &made).is_ok())
}

/// What a security key signs in place of the message; `None` when nobody touched it.
fn of_security_key(application: &[u8], rest: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let (flags, _counter): (u8, [u8; 4]) = (*rest.first()?, rest.get(1..)?.try_into().ok()?);
    let is_touched = flags & IS_PRESENT != 0;
    is_touched.then(|| [digest(&SHA256, application).as_ref(), rest, digest(&SHA256, message).as_ref()].concat())
}

fn padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let zeros = size.checked_sub(number.len())?;
    Some([vec![0; zeros].as_slice(), number].concat())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base::process::Program;

    use super::*;

    const MESSAGE: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nhello\n";

    fn keygen(arguments: &[&str], directory: &Path, input: &[u8]) -> Vec<u8> {
        let done = Program::new("ssh-keygen").options(arguments.iter()).directory(directory).run(input).unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", done.stderr);
        done.stdout
    }

    fn signed(directory: &Path, key: &str, namespace: &str, hash: &str) -> String {
        let hash = format!("hashalg={hash}");
        let made = keygen(&["-q", "-Y", "sign", "-O", &hash, "-n", namespace, "-f", key], directory, MESSAGE);
        String::from_utf8(made).unwrap()
    }

    #[test]
    fn what_openssh_signs_is_taken_and_names_the_key() {
        let directory = tempfile::tempdir().unwrap();
        for (kind, bits) in [("ed25519", "0"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "3072")] {
            let name = format!("{kind}{bits}");
            let mut arguments = vec!["-q", "-t", kind, "-N", "", "-f", &name];
            if bits != "0" {
                arguments.extend(["-b", bits]);
            }
            keygen(&arguments, directory.path(), b"");
            let line = std::fs::read_to_string(directory.path().join(format!("{name}.pub"))).unwrap();
            let key = PublicKey::parse(&line).unwrap();
            // A number with leading zeros is one in 256: several signatures make the case likely.
            for hash in ["sha256", "sha512"].iter().cycle().take(8) {
                let signature = signed(directory.path(), &name, "git", hash);
                let by = verify(&signature, "git", MESSAGE).unwrap();
                assert_eq!(by.fingerprint, key.fingerprint, "{name} {hash}");
                assert_eq!(verify(&signature, "git", b"another").unwrap_err(), SshSignatureError::Mismatch);
            }
            let other = signed(directory.path(), &name, "file", "sha512");
            assert_eq!(verify(&other, "git", MESSAGE).unwrap_err(), SshSignatureError::Namespace);
        }
    }

    /// The key inside a signature is the signer's own claim: with another one put there, nothing matches.
    #[test]
    fn a_flipped_bit_anywhere_is_no_signature() {
        let directory = tempfile::tempdir().unwrap();
        keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "key"], directory.path(), b"");
        let signature = signed(directory.path(), "key", "git", "sha512");
        let blob = unarmoured(&signature).unwrap();
        for index in 0..blob.len() {
            let mut flipped = blob.clone();
            flipped[index] ^= 1;
            let armoured = format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(flipped));
            assert!(verify(&armoured, "git", MESSAGE).is_err(), "byte {index}");
        }
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let long = format!("{BEGIN}\n{}\n{END}", "A".repeat(LONGEST));
        for text in ["", BEGIN, "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----", &long] {
            assert_eq!(verify(text, "git", MESSAGE).unwrap_err(), SshSignatureError::Format);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_blob_is_an_answer_and_never_a_panic(blob: Vec<u8>) {
            let blob = [MAGIC, &1_u32.to_be_bytes(), &blob].concat();
            let armoured = format!("{BEGIN}\n{}\n{END}", STANDARD.encode(blob));
            proptest::prop_assert!(verify(&armoured, "git", MESSAGE).is_err());
        }
    }
}
