//! Whose signatures count, how many of them it takes, and which bundles are too old to come back. Opens no socket and asks no
//! clock: an expiry is told, never enforced, because the clocks of closed networks drift.

use base::Hint;
use base::clock::Timestamp;
use serde::Deserialize;
use vault::minisign::{self, KeyId, MinisignError, PublicKey};

use super::Signature;

/// The most keys that are trusted at once, and the most signatures that are looked at.
pub const MOST: usize = 16;
/// The keys that this program was built to trust, as `2:RW…,RW…,RW…`; a number of signatures is optional, then 1 is enough.
const COMPILED: Option<&str> = option_env!("GITGRIT_RELEASE_KEYS");

/// Why a bundle is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Nobody said whom to trust.
    #[error("no key is trusted: this program was built without one, and none was named")]
    Nobody,
    /// Too few of the trusted keys have signed.
    #[error("{found} of the {wanted} signatures that it takes are there; trusted are {}", list(.trusted))]
    Few {
        /// How many trusted keys have signed.
        found: usize,
        /// How many it takes.
        wanted: usize,
        /// The keys that count.
        trusted: Vec<KeyId>,
        /// The keys that have signed and do not count.
        strangers: Vec<KeyId>,
    },
    /// A signature says to be by a trusted key, and is not.
    #[error("a signature of the trusted key {key} does not hold")]
    Broken {
        /// The key.
        key: KeyId,
        /// Why.
        source: MinisignError,
    },
    /// More signatures than anybody makes.
    #[error("there are more than {MOST} signatures")]
    Many,
    /// An older bundle than one that was taken already.
    #[error("the bundle has the sequence {found}, and one with {least} was taken before")]
    Replayed {
        /// The bundle's.
        found: u64,
        /// The lowest that is still taken.
        least: u64,
    },
    /// What is signed does not say which of several bundles it is.
    #[error("the signed manifest has no sequence")]
    Sequence {
        /// Why.
        source: serde_json::Error,
    },
    /// Not a list of keys.
    #[error("the trusted keys do not read: {why}")]
    Keys {
        /// What is wrong with them.
        why: String,
    },
    /// What lies where a signature belongs is none.
    #[error("a signature does not read")]
    Form {
        /// Why.
        source: MinisignError,
    },
    /// The next trust file is not this one's successor.
    #[error("the new trust file is not taken: {why}")]
    Successor {
        /// What is wrong with it.
        why: String,
    },
}

impl TrustError {
    /// The stable id of the refusal.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Nobody => "GG-BUNDLE-101",
            Self::Few { .. } => "GG-BUNDLE-102",
            Self::Broken { .. } => "GG-BUNDLE-103",
            Self::Many => "GG-BUNDLE-104",
            Self::Replayed { .. } => "GG-BUNDLE-105",
            Self::Sequence { .. } => "GG-BUNDLE-106",
            Self::Keys { .. } => "GG-BUNDLE-107",
            Self::Successor { .. } => "GG-BUNDLE-108",
            Self::Form { .. } => "GG-BUNDLE-109",
        }
    }
}

impl Hint for TrustError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nobody => "name whom you trust: --trust FILE, or --public-key KEY with the key's file or line".into(),
            Self::Few { strangers, .. } if strangers.is_empty() => {
                "ask whoever made the bundle for a signed one".into()
            }
            Self::Few { strangers, .. } => {
                format!("signed by {}; ask on another way than this file's whether that is right", list(strangers))
            }
            Self::Broken { .. } | Self::Sequence { .. } | Self::Form { .. } => {
                "the copy is damaged or was changed: get it again".into()
            }
            Self::Many => "remove the signatures that nobody needs".into(),
            Self::Replayed { .. } => "take a newer bundle; to go back on purpose, use --allow-older".into(),
            Self::Keys { .. } => "docs/bundle-keys.md shows what a trust file looks like".into(),
            Self::Successor { .. } => {
                "it must be signed by as many keys of the old file, and of the new one, as each asks for".into()
            }
        })
    }
}

fn list(keys: &[KeyId]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    keys: Vec<PublicKey>,
    threshold: usize,
    least: u64,
}

/// The proof that enough trusted keys have signed some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The trusted keys that did, sorted.
    pub by: Vec<KeyId>,
    /// Other keys that say they did; nobody looked.
    pub strangers: Vec<KeyId>,
    /// Which of several bundles it is: the higher, the newer.
    pub sequence: u64,
    /// When the signer wants it to be replaced, in seconds since 1970.
    pub expires: Option<u64>,
}

impl Signed {
    /// What to tell whoever uses it at `now`; nothing of it is a reason to stop.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let expires = i64::try_from(self.expires?).ok()?;
        let days = now.seconds().saturating_sub(expires).div_euclid(86_400);
        (days >= 0).then(|| format!("by this host's clock the bundle expired {days} days ago; ask for a newer one"))
    }
}

/// What is read of a manifest whose signatures held; everything else is the reader's.
#[derive(Deserialize)]
struct Order {
    sequence: u64,
    expires: Option<u64>,
}

impl Trust {
    /// Trusts `threshold` of `keys`. Fails on none, on too many, on one that is there twice, and on a threshold that is
    /// none or cannot be reached.
    pub fn new(keys: Vec<PublicKey>, threshold: usize) -> Result<Self, TrustError> {
        let refused = |why: String| Err(TrustError::Keys { why });
        if keys.is_empty() || keys.len() > MOST {
            return refused(format!("there are {} keys, not 1 to {MOST}", keys.len()));
        }
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().take(index).any(|other| other.id() == key.id() || other.is_same_key(key)) {
                return refused(format!("the key {} is there twice", key.id()));
            }
        }
        if threshold == 0 || threshold > keys.len() {
            return refused(format!("{threshold} signatures of {} keys cannot be asked for", keys.len()));
        }
        Ok(Self { keys, threshold, least: 0 })
    }

    /// What this program was built to trust. Fails with `Nobody` when that is nobody.
    pub fn compiled() -> Result<Self, TrustError> {
        COMPILED.filter(|list| !list.trim().is_empty()).map_or(Err(TrustError::Nobody), Self::parse_list)
    }

    /// Reads `RW…`, `RW…,RW…` or `2:RW…,RW…,RW…`.
    pub fn parse_list(text: &str) -> Result<Self, TrustError> {
        let why = |error: &dyn std::fmt::Display| TrustError::Keys { why: error.to_string() };
        let (threshold, keys) = match text.trim().split_once(':') {
            Some((number, keys)) => (number.trim().parse::<usize>().map_err(|error| why(&error))?, keys),
            None => (1, text.trim()),
        };
        let keys: Result<Vec<_>, _> = keys.split(',').take(MOST + 1).map(|key| PublicKey::parse(key.trim())).collect();
        Self::new(keys.map_err(|error| why(&error))?, threshold)
    }

    /// The same keys, but nothing older than `sequence`.
    #[must_use]
    pub const fn not_before(mut self, sequence: u64) -> Self {
        self.least = sequence;
        self
    }

    /// The keys that count.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many of them must have signed.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Says whether enough trusted keys have signed these bytes, and whether the bundle is not older than one before.
    /// Both signatures of each are checked; one that a trusted key should have made and did not is refused even when the
    /// others are enough.
    pub fn judge(&self, manifest: &[u8], signatures: &[Signature]) -> Result<Signed, TrustError> {
        let read = signatures.iter().take(MOST + 1).map(|signature| minisign::Signature::parse(signature.text()));
        let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|source| TrustError::Form { source })?;
        let (by, strangers) = self.signers(manifest, &read)?;
        let order: Order = serde_json::from_slice(manifest).map_err(|source| TrustError::Sequence { source })?;
        if order.sequence < self.least {
            return Err(TrustError::Replayed { found: order.sequence, least: self.least });
        }
        Ok(Signed { by, strangers, sequence: order.sequence, expires: order.expires })
    }

    /// The trusted keys that have signed, enough of them, and the names of the others; both sorted.
    pub(crate) fn signers(
        &self,
        bytes: &[u8],
        signatures: &[minisign::Signature],
    ) -> Result<(Vec<KeyId>, Vec<KeyId>), TrustError> {
        if signatures.len() > MOST {
            return Err(TrustError::Many);
        }
        let (mut by, mut strangers) = (Vec::new(), Vec::new());
        for signature in signatures {
            let Some(key) = self.keys.iter().find(|key| key.id() == signature.id()) else {
                strangers.push(signature.id());
                continue;
            };
            key.verify(bytes, signature).map_err(|source| TrustError::Broken { key: key.id(), source })?;
            by.push(key.id());
        }
        for keys in [&mut by, &mut strangers] {
            keys.sort_unstable();
            keys.dedup();
        }
        if by.len() < self.threshold {
            let trusted = self.keys.iter().map(PublicKey::id).collect();
            return Err(TrustError::Few { found: by.len(), wanted: self.threshold, trusted, strangers });
        }
        Ok((by, strangers))
    }
}
