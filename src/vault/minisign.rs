//! Signatures as `minisign` makes and takes them: Ed25519, the signed text's comment under a second signature. Says whether
//! a key signed; which keys count is the caller's to know. Nothing here believes an `untrusted comment`.
//!
//! <https://jedisct1.github.io/minisign/>, "signature format" and the parts after it.

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base::Hint;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};

pub use crate::minisign_secret::SecretKey;

/// The longest text of a key or a signature that is looked at, in bytes. Stock's own comments end at 1 and 8 KiB.
pub const LONGEST: usize = 16 << 10;
/// What stands before a comment that nothing protects.
pub(crate) const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
/// A key, and a signature over the message itself.
pub(crate) const PURE: [u8; 2] = *b"Ed";
/// A signature over the message's BLAKE2b-512.
const HASHED: [u8; 2] = *b"ED";

/// Why a key or a signature is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MinisignError {
    /// Not the text of a public key.
    #[error("the text is not a minisign public key: {0}")]
    PublicKey(&'static str),
    /// Not the text of a secret key.
    #[error("the text is not a minisign secret key: {0}")]
    SecretKey(&'static str),
    /// Not the text of a signature.
    #[error("the text is not a minisign signature: {0}")]
    Signature(&'static str),
    /// The secret key is encrypted, and there was no password.
    #[error("the secret key is encrypted")]
    Encrypted,
    /// The password does not open the secret key.
    #[error("the password does not open the secret key")]
    Password,
    /// Made by another key.
    #[error("the signature was made by the key {found}, not by {wanted}")]
    OtherKey {
        /// The key that was asked.
        wanted: KeyId,
        /// The key that the signature names.
        found: KeyId,
    },
    /// Not this key's signature over this text.
    #[error("the signature of the key {0} does not match the text")]
    Mismatch(KeyId),
    /// The text is signed, but its comment is another than the signer's.
    #[error("the trusted comment of the key {0} does not match its signature")]
    Comment(KeyId),
    /// A comment with a sign that would take the line, or the terminal, for something else.
    #[error("a comment may not hold control characters or be longer than 8192 bytes")]
    Sign,
}

impl Hint for MinisignError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Encrypted => Some("give the key's password".into()),
            Self::PublicKey(_) => {
                Some("a public key is the file that ends in .pub, or its line that begins with RW".into())
            }
            _ => None,
        }
    }
}

/// Which key: eight bytes that its maker drew. Names a key, proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(crate) [u8; 8]);

impl KeyId {
    /// Reads what [`fmt::Display`] writes: 16 upper-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() == 16 && text.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'A'..=b'F'));
        let number = if is_plain { u64::from_str_radix(text, 16).ok() } else { None };
        number.map(|number| Self(number.to_le_bytes()))
    }
}

/// As `minisign` shows it.
impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A key that checks signatures.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    pub(crate) id: KeyId,
    pub(crate) point: [u8; 32],
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({})", self.id)
    }
}

impl PublicKey {
    /// Reads a `.pub` file, or the one line of it that begins with `RW`.
    pub fn parse(text: &str) -> Result<Self, MinisignError> {
        let refused = MinisignError::PublicKey;
        let lines = lines(text).ok_or(refused("it is too long, or not plain text"))?;
        let line = match lines.as_slice() {
            [comment, line] if comment.starts_with(UNTRUSTED) => *line,
            [line] => *line,
            _ => return Err(refused("it is neither one line nor a comment and a line")),
        };
        let blob: [u8; 42] = decoded(line).ok_or(refused("the line is not 42 bytes of base64"))?;
        let (Some(kind), Some(id), Some(point)) = (blob.first_chunk(), blob.get(2..10), blob.last_chunk()) else {
            return Err(refused("the line is too short"));
        };
        if *kind != PURE {
            return Err(refused("it is not one of Ed25519"));
        }
        let id = id.try_into().map_err(|_| refused("the line is too short"))?;
        Ok(Self { id: KeyId(id), point: *point })
    }

    /// Which key it is.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Says whether `other` checks the same signatures. The name that a key gives itself says nothing: it is the holder's to choose.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.point == other.point
    }

    /// The line that begins with `RW`, as `minisign -P` takes it.
    pub fn line(&self) -> String {
        STANDARD.encode([PURE.as_slice(), &self.id.0, &self.point].concat())
    }

    /// The text of its `.pub` file.
    pub fn file(&self) -> String {
        format!("{UNTRUSTED}minisign public key {}\n{}\n", self.id, self.line())
    }

    /// Says whether this key made `signature` over `message` and over its trusted comment.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), MinisignError> {
        if signature.id != self.id {
            return Err(MinisignError::OtherKey { wanted: self.id, found: signature.id });
        }
        let key = UnparsedPublicKey::new(&ED25519, &self.point);
        let is_good = if signature.is_hashed {
            key.verify(&Blake2b512::digest(message), &signature.over_message)
        } else {
            key.verify(message, &signature.over_message)
        };
        is_good.map_err(|_| MinisignError::Mismatch(self.id))?;
        let commented = commented(&signature.over_message, &signature.comment);
        key.verify(&commented, &signature.over_comment).map_err(|_| MinisignError::Comment(self.id))
    }
}

/// A signature over a text, and over a comment that says more about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(crate) id: KeyId,
    is_hashed: bool,
    over_message: [u8; 64],
    comment: String,
    over_comment: [u8; 64],
    untrusted: String,
}

impl Signature {
    /// Reads a `.minisig` file: four lines, no more. [`fmt::Display`] writes the same bytes again, unless its lines ended
    /// otherwise than in one line feed.
    pub fn parse(text: &str) -> Result<Self, MinisignError> {
        let refused = MinisignError::Signature;
        let lines = lines(text).ok_or(refused("it is too long, or not plain text"))?;
        let [untrusted, line, trusted, last] = lines.as_slice() else {
            return Err(refused("it does not have four lines"));
        };
        let untrusted = untrusted.strip_prefix(UNTRUSTED).ok_or(refused("the first line is no untrusted comment"))?;
        let comment = trusted.strip_prefix(TRUSTED).ok_or(refused("the third line is no trusted comment"))?;
        let blob: [u8; 74] = decoded(line).ok_or(refused("the second line is not 74 bytes of base64"))?;
        let over_comment = decoded(last).ok_or(refused("the fourth line is not 64 bytes of base64"))?;
        let (Some(kind), Some(id), Some(over)) = (blob.first_chunk(), blob.get(2..10), blob.last_chunk()) else {
            return Err(refused("the second line is too short"));
        };
        if *kind != PURE && *kind != HASHED {
            return Err(refused("it is not one of Ed25519"));
        }
        let id = id.try_into().map_err(|_| refused("the second line is too short"))?;
        Ok(Self {
            id: KeyId(id),
            is_hashed: *kind == HASHED,
            over_message: *over,
            comment: comment.into(),
            over_comment,
            untrusted: untrusted.into(),
        })
    }

    /// The key that it says to be by.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What the signer says about the text; only to be believed after [`PublicKey::verify`].
    pub fn trusted_comment(&self) -> &str {
        &self.comment
    }

    /// Signs `message`, hashed, as the key `id`. `by` makes an Ed25519 signature.
    pub(crate) fn made(id: KeyId, message: &[u8], comment: &str, by: impl Fn(&[u8]) -> [u8; 64]) -> Option<Self> {
        (comment.len() <= 8192 && is_plain(comment)).then(|| {
            let over_message = by(&Blake2b512::digest(message));
            let over_comment = by(&commented(&over_message, comment));
            let untrusted = format!("signature from minisign secret key {id}");
            Self { id, is_hashed: true, over_message, comment: comment.into(), over_comment, untrusted }
        })
    }
}

/// The text of its `.minisig` file.
impl fmt::Display for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_hashed { HASHED } else { PURE };
        let blob = STANDARD.encode([kind.as_slice(), &self.id.0, &self.over_message].concat());
        let last = STANDARD.encode(self.over_comment);
        writeln!(out, "{UNTRUSTED}{}\n{blob}\n{TRUSTED}{}\n{last}", self.untrusted, self.comment)
    }
}

fn commented(signature: &[u8; 64], comment: &str) -> Vec<u8> {
    [signature.as_slice(), comment.as_bytes()].concat()
}

/// The lines of a text, without what ends them; `None` when it is too long or holds control characters.
pub(crate) fn lines(text: &str) -> Option<Vec<&str>> {
    if text.len() > LONGEST {
        return None;
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    let lines: Vec<_> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    lines.iter().all(|line| is_plain(line)).then_some(lines)
}

/// Says whether a line does nothing to a terminal. Stock separates the parts of its own comments by tabs.
fn is_plain(line: &str) -> bool {
    !line.contains(|sign: char| sign.is_control() && sign != '\t')
}

pub(crate) fn decoded<const N: usize>(line: &str) -> Option<[u8; N]> {
    STANDARD.decode(line).ok()?.try_into().ok()
}
