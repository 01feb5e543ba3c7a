//! The secret half of a `minisign` key: made, kept in its file with or without a password, and used to sign. The seed
//! leaves this file only inside that text, which is a `Secret`.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b, Digest, digest::consts::U32};
use scrypt::Params;

use crate::digest::is_same;
use crate::minisign::{KeyId, MinisignError, PURE, PublicKey, Signature, UNTRUSTED, decoded, lines};
use crate::random;

/// A key encrypted with scrypt.
const SCRYPT: [u8; 2] = *b"Sc";
/// A key that is not encrypted.
const PLAIN: [u8; 2] = [0; 2];
/// The checksum's kind, BLAKE2b.
const BLAKE2: [u8; 2] = *b"B2";
/// The work that a new key's password costs: what stock `minisign` asks for.
const WORK: u64 = 1 << 25;
/// The memory that it takes, in bytes: an eighth of stock's, so that small build machines can sign, for the same work.
const MEMORY: u64 = 1 << 27;
/// The most work and memory that a key file may ask for: eight and one times stock's.
const MOST: (u64, u64) = (1 << 28, 1 << 30);

/// Kind of key, of its encryption and of its checksum; salt, work, memory.
const HEAD: usize = 2 + 2 + 2 + 32 + 8 + 8;
/// Id, seed and point, checksum.
const BODY: usize = 8 + 64 + 32;
const WHOLE: usize = HEAD + BODY;

/// A key that signs.
pub struct SecretKey {
    public: PublicKey,
    seed: Secret<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SecretKey({})", self.public.id)
    }
}

impl SecretKey {
    /// A new key.
    ///
    /// # Panics
    /// When the generator has no entropy.
    pub fn generate() -> Self {
        loop {
            // Any seed is a key; the loop is for the type alone.
            if let Some(key) = Self::from_seed(KeyId(random::bytes()), random::bytes()) {
                return key;
            }
        }
    }

    fn from_seed(id: KeyId, seed: [u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let point = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { public: PublicKey { id, point }, seed: Secret::new(seed), pair })
    }

    /// The key that checks its signatures.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`, hashed first, and `comment` with it. Fails with `Sign` on a comment of more than one line.
    pub fn sign(&self, message: &[u8], comment: &str) -> Result<Signature, MinisignError> {
        let by = |text: &[u8]| {
            let mut made = [0; 64];
            made.copy_from_slice(self.pair.sign(text).as_ref());
            made
        };
        Signature::made(self.public.id, message, comment, by).ok_or(MinisignError::Sign)
    }

    /// Says whether a key file's text needs a password.
    pub fn is_encrypted(text: &str) -> Result<bool, MinisignError> {
        Ok(File::read(text)?.encryption == SCRYPT)
    }

    /// Reads a key file; takes seconds when it is encrypted. Fails with `Encrypted` when it needs a password and there is
    /// none, and with `Password` when that is not the one.
    pub fn parse(text: &str, password: Option<&Secret<String>>) -> Result<Self, MinisignError> {
        let refused = MinisignError::SecretKey;
        let mut file = File::read(text)?;
        if file.encryption == SCRYPT {
            let password = password.ok_or(MinisignError::Encrypted)?;
            mask(&mut file.body, password, &file.salt, file.work, file.memory)?;
        }
        let Inner { id, seed, point, sum } = Inner::read(&file.body).ok_or(refused("it is too short"))?;
        let is_whole = is_same(&checksum(id, &seed, &point), &sum);
        // Stock leaves the checksum of a key without a password empty.
        if !is_whole && file.encryption == SCRYPT {
            return Err(MinisignError::Password);
        }
        if !is_whole && sum != [0; 32] {
            return Err(refused("its checksum does not hold"));
        }
        let key = Self::from_seed(id, seed).ok_or(refused("it is not one of Ed25519"))?;
        // A public half of another key would let two signatures betray the secret one.
        if key.public.point == point { Ok(key) } else { Err(refused("its two halves do not belong together")) }
    }

    /// The text of its key file, encrypted when there is a password; that takes seconds.
    pub fn file(&self, password: Option<&Secret<String>>) -> Result<Secret<String>, MinisignError> {
        let (id, seed, point) = (self.public.id, *self.seed.expose(), self.public.point);
        // Stock leaves the checksum of a key without a password empty, and takes no other.
        let sum = if password.is_some() { checksum(id, &seed, &point) } else { [0; 32] };
        let mut body = [0; BODY];
        let content = [id.0.as_slice(), &seed, &point, &sum].concat();
        body.copy_from_slice(&content);
        let (encryption, salt, work, memory) = match password {
            Some(password) => {
                let salt = random::bytes::<32>();
                mask(&mut body, password, &salt, WORK, MEMORY)?;
                (SCRYPT, salt, WORK, MEMORY)
            }
            None => (PLAIN, [0; 32], 0, 0),
        };
        let numbers = [work.to_le_bytes(), memory.to_le_bytes()].concat();
        let blob = [&PURE[..], &encryption, &BLAKE2, &salt, &numbers, &body].concat();
        let kind = if password.is_some() { "encrypted " } else { "" };
        Ok(Secret::new(format!("{UNTRUSTED}minisign {kind}secret key\n{}\n", STANDARD.encode(blob))))
    }
}

/// What a key file holds.
struct File {
    encryption: [u8; 2],
    salt: [u8; 32],
    work: u64,
    memory: u64,
    body: [u8; BODY],
}

impl File {
    fn read(text: &str) -> Result<Self, MinisignError> {
        let refused = MinisignError::SecretKey;
        let lines = lines(text).ok_or(refused("it is too long, or not plain text"))?;
        let [comment, line] = lines.as_slice() else {
            return Err(refused("it is not a comment and a line"));
        };
        if !comment.starts_with(UNTRUSTED) {
            return Err(refused("the first line is no untrusted comment"));
        }
        let blob: [u8; WHOLE] = decoded(line).ok_or(refused("the second line is not 158 bytes of base64"))?;
        let mut rest = blob.as_slice();
        let file = (|| {
            let kinds: [[u8; 2]; 3] = [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?];
            let salt = take(&mut rest)?;
            let (work, memory) = (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
            Some((kinds, Self { encryption: kinds[1], salt, work, memory, body: take(&mut rest)? }))
        })();
        let (kinds, file) = file.ok_or(refused("the second line is too short"))?;
        if kinds[0] != PURE || kinds[2] != BLAKE2 {
            return Err(refused("it is not one of Ed25519 with a BLAKE2b checksum"));
        }
        if file.encryption != SCRYPT && file.encryption != PLAIN {
            return Err(refused("its encryption is not scrypt"));
        }
        Ok(file)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

/// What a key file protects.
struct Inner {
    id: KeyId,
    seed: [u8; 32],
    point: [u8; 32],
    sum: [u8; 32],
}

impl Inner {
    fn read(body: &[u8; BODY]) -> Option<Self> {
        let mut rest = body.as_slice();
        Some(Self {
            id: KeyId(take(&mut rest)?),
            seed: take(&mut rest)?,
            point: take(&mut rest)?,
            sum: take(&mut rest)?,
        })
    }
}

fn checksum(id: KeyId, seed: &[u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let hash = Blake2b::<U32>::new_with_prefix(PURE).chain_update(id.0).chain_update(seed).chain_update(point);
    hash.finalize().into()
}

/// Encrypts or decrypts what a key file protects.
fn mask(
    body: &mut [u8; BODY],
    password: &Secret<String>,
    salt: &[u8; 32],
    work: u64,
    memory: u64,
) -> Result<(), MinisignError> {
    let params = params(work, memory).ok_or(MinisignError::SecretKey("its password costs too much work or memory"))?;
    let mut stream = [0; BODY];
    scrypt::scrypt(password.expose().as_bytes(), salt, &params, &mut stream)
        .map_err(|_| MinisignError::SecretKey("its password costs too much work or memory"))?;
    body.iter_mut().zip(stream).for_each(|(byte, other)| *byte ^= other);
    Ok(())
}

/// The parameters of scrypt for this work and memory, as libsodium's `crypto_pwhash_scryptsalsa208sha256` picks them.
fn params(work: u64, memory: u64) -> Option<Params> {
    if work > MOST.0 || memory > MOST.1 {
        return None;
    }
    let work = work.max(32_768);
    let log = |most: u64| (1..63_u8).find(|log| 1_u64 << log > most / 2).unwrap_or(63);
    let (log, parallel) = if work < memory / 32 {
        (log(work / 32), 1)
    } else {
        let log = log(memory / 1024);
        (log, ((work / 4) >> log).min(0x3fff_ffff) / 8)
    };
    // What scrypt takes is 128 bytes for each of 8 blocks, for every step and for every lane.
    let needed = (1_u64.checked_shl(log.into())?).checked_add(parallel)?.checked_mul(128 * 8)?;
    if needed > MOST.1 + 128 * 8 {
        return None;
    }
    Params::new(log, 8, u32::try_from(parallel).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_that_libsodium_picks() {
        let picked = |work, memory| params(work, memory).map(|params| (params.log_n(), params.r(), params.p()));
        assert_eq!(picked(1 << 25, 1 << 30), Some((20, 8, 1)), "stock's own");
        assert_eq!(picked(WORK, MEMORY), Some((17, 8, 8)), "ours");
        assert_eq!(picked(524_288, 16 << 20), Some((14, 8, 1)), "libsodium's interactive ones");
        assert_eq!(picked(0, 1 << 30), Some((10, 8, 1)), "never less work than libsodium does");
        assert_eq!(picked(u64::MAX, 1 << 20), None);
        assert_eq!(picked(1 << 25, u64::MAX), None);
        assert_eq!(picked(1 << 28, 0), None, "little memory by its own word, and 4 GiB of lanes");
        assert_eq!(picked(1 << 28, 1 << 20), Some((10, 8, 8192)), "many lanes within the limit");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let key = SecretKey::generate();
        let text = key.file(None).unwrap();
        assert_eq!(format!("{key:?} {text:?}"), format!("SecretKey({}) ***", key.public().id()));
    }
}
