//! Passwords at rest: argon2id in PHC strings. Slow by design (tens of milliseconds): call it on a blocking thread.
//! Never keeps or prints a password.

use argon2::password_hash::Error as HashError;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base::{Hint, Secret};

use crate::random;

/// Memory, in KiB: 19 MiB, with two passes and one lane, as OWASP's password storage page advises.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Blocks of 1 KiB that are asked for at least, few of them touched. Above 32 MiB glibc maps a request by itself and gives
/// it back whole; below, it learns to keep the memory, once for every thread that ever hashed (mallopt(3)).
const MAPPED: usize = 33 << 10;

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
    let algorithm = Algorithm::Argon2id;
    let derive = || {
        let salt = Salt::new(&random::bytes::<16>())?;
        let written = ParamsString::try_from(&params)?;
        let hash = derive(&Argon2::new(algorithm, Version::V0x13, params.clone()), password, &salt)?;
        let version = Some(Version::V0x13.into());
        let (salt, hash) = (Some(salt), Some(hash));
        Ok(PasswordHash { algorithm: algorithm.ident(), version, params: written, salt, hash }.to_string())
    };
    derive().map_err(|error: HashError| PasswordError::Hash(Box::new(error)))
}

/// Says whether `password` is the one that was hashed; the hash's own parameters hold. Fails with `Stored` when the
/// hash does not parse.
pub fn verify(password: &Secret<String>, stored: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|_| PasswordError::Stored)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Err(PasswordError::Stored) };
    let derive = || {
        let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
        let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
        derive(&Argon2::new(algorithm, version, Params::try_from(&stored)?), password, salt)
    };
    match derive() {
        // In constant time, as `Output` compares itself.
        Ok(found) => Ok(found == *expected),
        Err(HashError::OutOfMemory) => Err(PasswordError::Hash(Box::new(HashError::OutOfMemory))),
        Err(_) => Err(PasswordError::Stored),
    }
}

fn derive(argon2: &Argon2<'_>, password: &Secret<String>, salt: &Salt) -> Result<Output, HashError> {
    let count = argon2.params().block_count();
    let mut memory = Vec::new();
    memory.try_reserve_exact(count.max(MAPPED)).map_err(|_| HashError::OutOfMemory)?;
    memory.resize(count, Block::new());
    let mut buffer = [0; Output::MAX_LENGTH];
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let out = buffer.get_mut(..length).ok_or(HashError::OutputSize)?;
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, &mut memory)?;
    Ok(Output::new(out)?)
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
