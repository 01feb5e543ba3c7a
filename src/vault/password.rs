//! Passwords at rest: argon2id in PHC strings. Slow by design (tens of milliseconds): call it on a blocking thread.
//! Never keeps or prints a password.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base::{Hint, Secret};

use crate::random;

/// Memory, in KiB: 19 MiB, with two passes and one lane, as OWASP's password storage page advises.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Why a password was not hashed or not compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// What is stored is not a PHC string of argon2.
    #[error("the stored password hash does not parse")]
    Stored,
    /// Hashing failed, for want of memory most likely.
    #[error("could not hash a password")]
    Hash(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for PasswordError {}

/// Hashes a password with a random salt into a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$…`).
pub fn hash(password: &Secret<String>) -> Result<String, PasswordError> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(|error| PasswordError::Hash(Box::new(error)))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2
        .hash_password_with_salt(password.expose().as_bytes(), &random::bytes::<16>())
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|error| PasswordError::Hash(Box::new(error)))
}

/// Says whether `password` is the one that was hashed; the hash's own parameters hold. Fails with `Stored` when the
/// hash does not parse.
pub fn verify(password: &Secret<String>, stored: &str) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(stored).map_err(|_| PasswordError::Stored)?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(PasswordError::Stored);
    }
    match Argon2::default().verify_password(password.expose().as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(HashError::OutOfMemory) => Err(PasswordError::Hash(Box::new(HashError::OutOfMemory))),
        Err(_) => Err(PasswordError::Stored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    #[test]
    fn another_password_does_not_fit() {
        let stored = hash(&secret("correct horse")).unwrap();
        assert!(!verify(&secret("correct hors"), &stored).unwrap());
        assert!(!verify(&secret(""), &stored).unwrap());
        assert!(verify(&secret("correct horse"), &stored).unwrap());
    }

    #[test]
    fn a_stored_text_that_is_no_hash_is_an_error_not_a_refusal() {
        for stored in
            ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1$a$b"]
        {
            assert!(matches!(verify(&secret("x"), stored), Err(PasswordError::Stored)), "{stored}");
        }
    }

    #[test]
    fn the_parameters_are_in_the_hash_and_the_salt_is_new_each_time() {
        let (one, two) = (hash(&secret("same")).unwrap(), hash(&secret("same")).unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
    }

    /// From the reference program's README: `echo -n "password" | ./argon2 somesalt -t 2 -m 16 -p 4 -l 24`.
    #[test]
    fn a_hash_with_other_parameters_is_verified_with_those() {
        let stored = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
        assert!(verify(&secret("password"), stored).unwrap());
    }
}
