//! Trusted keys in a file, and how that file is replaced: only by one that enough keys of the old file and enough keys of the
//! new one have signed, and that is newer. So a lost key can be dropped, and one stolen key cannot take the site over.

use serde::Deserialize;
use vault::minisign::{KeyId, PublicKey, Signature};

use super::trust::{Trust, TrustError};

/// The largest trust file, in bytes.
pub const LIMIT: u64 = 64 << 10;

/// A trust file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFile {
    trust: Trust,
    names: Vec<String>,
    sequence: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    sequence: u64,
    threshold: usize,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: String,
}

impl TrustFile {
    /// Reads a trust file. What it says is believed: it lies where only the operator can write.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let refused = |why: String| TrustError::Keys { why };
        let content: Content = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        if content.format != 1 {
            return Err(refused(format!("the format is {}, not 1", content.format)));
        }
        let mut keys = Vec::new();
        for key in &content.keys {
            if key.name.len() > 100 || key.name.contains(char::is_control) {
                return Err(refused("a key's name is longer than 100 bytes or has control characters".into()));
            }
            keys.push(PublicKey::parse(&key.key).map_err(|error| refused(format!("`{}`: {error}", key.name)))?);
        }
        let names = content.keys.into_iter().map(|key| key.name).collect();
        Ok(Self { trust: Trust::new(keys, content.threshold)?, names, sequence: content.sequence })
    }

    /// Whose signatures count.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Which of several trust files it is: the higher, the newer.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The keys with their names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = (&str, KeyId)> {
        self.names.iter().map(String::as_str).zip(self.trust.keys().iter().map(PublicKey::id))
    }

    /// Reads the file that shall take this one's place, with the signatures over it.
    pub fn successor(&self, bytes: &[u8], signatures: &[Signature]) -> Result<Self, TrustError> {
        let refused = |why: String| TrustError::Successor { why };
        let next = Self::parse(bytes)?;
        if next.sequence <= self.sequence {
            return Err(refused(format!("its sequence {} is not above {}", next.sequence, self.sequence)));
        }
        for (trust, which) in [(&self.trust, "old"), (&next.trust, "new")] {
            trust.signers(bytes, signatures).map_err(|error| refused(format!("by the {which} keys, {error}")))?;
        }
        Ok(next)
    }
}
