//! Fernet, the encryption of what the site stores: AES-128-CBC and HMAC-SHA256, readable by Python's `cryptography`.
//! Never decrypts before the signature is verified, and never says why a token was refused.
//!
//! The format: <https://github.com/fernet/spec/blob/master/Spec.md>.

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base::clock::Timestamp;
use base::{Hint, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::{digest, random};

/// The format's only version.
const VERSION: u8 = 0x80;
/// Version, time and initialisation vector.
const HEADER: usize = 1 + 8 + IV;
const IV: usize = 16;
const TAG: usize = 32;

/// Why a key or a token is not usable. Texts never hold either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FernetError {
    /// Not 32 bytes in URL-safe base64.
    #[error("the key is not a Fernet key")]
    Key,
    /// Not written with this key, or changed since.
    #[error("the stored secret does not open with this key")]
    Token,
    /// The cipher refused.
    #[error("the cipher refused to encrypt")]
    Cipher,
}

impl Hint for FernetError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Key => {
                Some("a Fernet key is 32 random bytes in URL-safe base64: 44 characters ending with `=`".into())
            }
            Self::Token => Some("give the GITGRIT_ENCRYPTION_KEY that the data was written with".into()),
            Self::Cipher => None,
        }
    }
}

/// A Fernet key: 16 bytes that sign and 16 bytes that encrypt.
#[derive(Clone)]
pub struct Key {
    signing: [u8; 16],
    encryption: [u8; 16],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key(***)")
    }
}

impl Key {
    /// A new random key as text, as it stands in GITGRIT_ENCRYPTION_KEY.
    pub fn generate() -> Secret<String> {
        Secret::new(URL_SAFE.encode(random::bytes::<32>()))
    }

    /// Reads a key's text: 44 characters of URL-safe base64. Fails with `Key`.
    pub fn parse(text: &Secret<String>) -> Result<Self, FernetError> {
        let bytes = URL_SAFE.decode(text.expose().trim()).map_err(|_| FernetError::Key)?;
        let (signing, encryption) = bytes.split_at_checked(16).ok_or(FernetError::Key)?;
        Ok(Self {
            signing: signing.try_into().map_err(|_| FernetError::Key)?,
            encryption: encryption.try_into().map_err(|_| FernetError::Key)?,
        })
    }

    /// Encrypts `plain` into a token that says when it was written, to the second.
    pub fn encrypt(&self, plain: &[u8], at: Timestamp) -> Result<String, FernetError> {
        self.seal(plain, at, random::bytes::<IV>())
    }

    /// Opens a token of any age. Fails with `Token`, whatever is wrong with it.
    pub fn decrypt(&self, token: &str) -> Result<Vec<u8>, FernetError> {
        let mut bytes = URL_SAFE.decode(token.trim()).map_err(|_| FernetError::Token)?;
        let signed = bytes.len().checked_sub(TAG).filter(|signed| *signed >= HEADER).ok_or(FernetError::Token)?;
        let (content, tag) = bytes.split_at_mut(signed);
        // The comparison takes the same time for every wrong tag.
        hmac::verify(&self.hmac(), content, tag).map_err(|_| FernetError::Token)?;
        let (header, cipher) = content.split_at_mut(HEADER);
        if header.first() != Some(&VERSION) {
            return Err(FernetError::Token);
        }
        let iv = header.last_chunk::<IV>().ok_or(FernetError::Token)?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let key =
            self.cipher().and_then(|key| PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| FernetError::Token))?;
        key.decrypt(cipher, context).map(|plain| plain.to_vec()).map_err(|_| FernetError::Token)
    }

    /// The name of this key, safe to print and to store: `SHA256:` and 64 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let whole = [self.signing, self.encryption].concat();
        format!("SHA256:{}", digest::sha256_hex(&whole))
    }

    fn seal(&self, plain: &[u8], at: Timestamp, iv: [u8; IV]) -> Result<String, FernetError> {
        let mut cipher = plain.to_vec();
        let key =
            self.cipher().and_then(|key| PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| FernetError::Cipher))?;
        key.less_safe_encrypt(&mut cipher, EncryptionContext::Iv128(FixedLength::from(iv)))
            .map_err(|_| FernetError::Cipher)?;
        let seconds = u64::try_from(at.seconds()).unwrap_or(0);
        let mut token = vec![VERSION];
        token.extend(seconds.to_be_bytes());
        token.extend(iv);
        token.extend(cipher);
        let tag = hmac::sign(&self.hmac(), &token);
        token.extend(tag.as_ref());
        Ok(URL_SAFE.encode(token))
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.signing)
    }

    fn cipher(&self) -> Result<UnboundCipherKey, FernetError> {
        UnboundCipherKey::new(&AES_128, &self.encryption).map_err(|_| FernetError::Cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the specification's `generate.json` and `verify.json`.
    const SECRET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const HELLO: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    const AT: Timestamp = Timestamp(499_162_800_000_000);

    fn key() -> Key {
        Key::parse(&Secret::new(SECRET.into())).unwrap()
    }

    /// From the specification's `invalid.json`; the cases of age are not here, since any age opens.
    #[test]
    fn every_broken_token_is_refused_alike() {
        let cases = [
            ("empty", ""),
            (
                "incorrect mac",
                "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
            ),
            ("too short", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA=="),
            (
                "invalid base64",
                "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
            ),
            (
                "payload size not multiple of block size",
                "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
            ),
            (
                "payload padding error",
                "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
            ),
            (
                "incorrect initialisation vector",
                "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
            ),
        ];
        for (what, token) in cases {
            assert_eq!(key().decrypt(token), Err(FernetError::Token), "{what}");
        }
    }

    #[test]
    fn one_changed_bit_anywhere_is_refused() {
        let whole = URL_SAFE.decode(HELLO).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert_eq!(key().decrypt(&URL_SAFE.encode(changed)), Err(FernetError::Token), "byte {place}");
        }
    }

    #[test]
    fn another_key_does_not_open_a_token() {
        let other = Key::parse(&Key::generate()).unwrap();
        assert_eq!(other.decrypt(HELLO), Err(FernetError::Token));
        assert_ne!(other.fingerprint(), key().fingerprint());
    }

    #[test]
    fn keys_of_another_length_or_alphabet_are_refused() {
        for text in
            ["", "short", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4Q==", &SECRET.replace('_', "/"), &SECRET[..43]]
        {
            assert_eq!(Key::parse(&Secret::new(text.to_owned())).unwrap_err(), FernetError::Key, "{text}");
        }
    }

    #[test]
    fn the_specifications_token_is_written_and_read() {
        let iv = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(key().seal(b"hello", AT, iv).unwrap(), HELLO);
        assert_eq!(key().decrypt(HELLO).unwrap(), b"hello");
    }

    #[test]
    fn every_length_around_a_block_comes_back() {
        for length in [0, 1, 15, 16, 17, 31, 32, 5000] {
            let plain = vec![0xa5; length];
            assert_eq!(key().decrypt(&key().encrypt(&plain, AT).unwrap()).unwrap(), plain);
        }
    }

    #[test]
    fn debug_never_shows_the_key() {
        assert_eq!(format!("{:?}", key()), "Key(***)");
    }
}
