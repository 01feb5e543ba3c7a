//! Makes SSH key pairs and writes them in OpenSSH's own format. Never keeps one.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::random;
use crate::ssh_key::{KeyKind, LONGEST_COMMENT, SshKeyError};
use crate::ssh_wire::put;

/// A new key pair.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The private key in OpenSSH's PEM, without a passphrase, ending with a line break.
    pub private: Secret<String>,
    /// The public key's line with its comment, without a line break.
    pub public: String,
}

/// Makes an ed25519 key pair. Fails with `Comment` on a comment that would not be one short line.
pub fn generate(comment: &str) -> Result<KeyPair, SshKeyError> {
    if comment.chars().any(char::is_control) || comment.chars().count() > LONGEST_COMMENT {
        return Err(SshKeyError::Comment);
    }
    let seed = random::bytes::<32>();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| SshKeyError::Generate)?;
    let point = pair.public_key().as_ref();
    let mut blob = Vec::new();
    put(&mut blob, KeyKind::Ed25519.name().as_bytes());
    put(&mut blob, point);
    let private = private_pem(&seed, point, &blob, comment);
    let public = format!("{} {} {comment}", KeyKind::Ed25519, STANDARD.encode(&blob)).trim_end().to_owned();
    Ok(KeyPair { private: Secret::new(private), public })
}

/// OpenSSH's own format: <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key>.
fn private_pem(seed: &[u8; 32], point: &[u8], blob: &[u8], comment: &str) -> String {
    let check = random::bytes::<4>();
    let mut secret = [check, check].concat();
    put(&mut secret, KeyKind::Ed25519.name().as_bytes());
    put(&mut secret, point);
    put(&mut secret, &[seed.as_slice(), point].concat());
    put(&mut secret, comment.as_bytes());
    // Filled up to the cipher's block, which is 8 bytes without a cipher, with 1, 2, 3 and so on.
    secret.extend((1..=7).take((8 - secret.len() % 8) % 8));
    let mut whole = b"openssh-key-v1\0".to_vec();
    for cipher_kdf_options in [&b"none"[..], b"none", b""] {
        put(&mut whole, cipher_kdf_options);
    }
    whole.extend(1_u32.to_be_bytes());
    put(&mut whole, blob);
    put(&mut whole, &secret);
    let mut pem = String::from("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (index, sign) in STANDARD.encode(whole).chars().enumerate() {
        if index > 0 && index % 70 == 0 {
            pem.push('\n');
        }
        pem.push(sign);
    }
    pem.push_str("\n-----END OPENSSH PRIVATE KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use base::process::{ProcessError, Program};

    use super::*;
    use crate::ssh_key::PublicKey;

    #[test]
    fn a_comment_of_two_lines_is_refused() {
        assert_eq!(generate("a\nb").unwrap_err(), SshKeyError::Comment);
        assert_eq!(generate(&"a".repeat(201)).unwrap_err(), SshKeyError::Comment);
    }

    #[test]
    fn a_new_key_is_one_that_we_take() {
        let pair = generate("gitgrit smoke test").unwrap();
        let key = PublicKey::parse(&pair.public).unwrap();
        assert_eq!((key.kind, key.comment.as_str()), (KeyKind::Ed25519, "gitgrit smoke test"));
        assert_eq!(generate("").unwrap().public.split(' ').count(), 2);
    }

    /// Every length of comment, so that every length of padding is seen. Without OpenSSH the parser above has to do.
    #[test]
    fn openssh_reads_the_private_key_and_derives_the_same_public_key() {
        let directory = tempfile::tempdir().unwrap();
        for length in 0..9 {
            let pair = generate(&"c".repeat(length)).unwrap();
            let path = directory.path().join(format!("key{length}"));
            base::file::write_atomic(&path, pair.private.expose().as_bytes(), 0o600).unwrap();
            let derived = match Program::new("ssh-keygen").options(["-y", "-f"]).option(&path).run(b"") {
                Err(ProcessError::Start { .. }) => return,
                other => other.unwrap(),
            };
            assert_eq!(String::from_utf8(derived.stdout).unwrap().trim_end(), pair.public, "{}", derived.stderr);
            let listed = Program::new("ssh-keygen").options(["-l", "-f"]).option(&path).run(b"").unwrap();
            let fingerprint = PublicKey::parse(&pair.public).unwrap().fingerprint;
            assert!(String::from_utf8(listed.stdout).unwrap().contains(&fingerprint));
        }
    }
}
