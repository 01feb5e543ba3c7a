//! What a target has, as a small file that is carried back to where bundles are built. Holds digests and versions, nothing of
//! the site; the same bundles give the same bytes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::delta_error::DeltaError;
use super::{Arch, Digest, Manifest};

/// The largest inventory that is read, in bytes.
pub const LIMIT: u64 = 16 << 20;
/// What every inventory says to be.
const KIND: &str = "gitgrit-inventory";
/// The most bundles in one.
pub const MOST: usize = 64;
/// The longest version.
const LONGEST: usize = 128;

/// What a target has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    kind: String,
    format: u64,
    /// The bundles, the newest first.
    pub bundles: Vec<HeldBundle>,
}

/// A bundle that a target has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBundle {
    /// Its version.
    pub version: String,
    /// Its processor.
    pub arch: Arch,
    /// Which of several bundles it is.
    pub sequence: u64,
    /// The SHA-256 of its manifest.
    pub manifest: Digest,
    /// Its frames behind the head, in their order.
    pub frames: Vec<Digest>,
}

impl HeldBundle {
    /// What an inventory says of a bundle.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            version: manifest.version.clone(),
            arch: manifest.arch,
            sequence: manifest.sequence,
            manifest: Digest::of(&manifest.bytes()),
            frames: manifest.frames.iter().map(|frame| frame.sha256).collect(),
        }
    }
}

impl Inventory {
    /// An inventory of these bundles, each once.
    pub fn new(mut bundles: Vec<HeldBundle>) -> Self {
        bundles.sort_by(|one, next| (next.sequence, one.manifest).cmp(&(one.sequence, next.manifest)));
        bundles.dedup();
        Self { kind: KIND.into(), format: 1, bundles }
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }

    /// Reads what [`Self::text`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, DeltaError> {
        let refused = |why: String| DeltaError::Inventory(why);
        let found: Self = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        if found.kind != KIND || found.format != 1 {
            return Err(refused("it is of another kind or format".into()));
        }
        let is_plain = |sign: u8| sign.is_ascii_alphanumeric() || b"._+-".contains(&sign);
        let is_word = |text: &str| !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_plain);
        if found.bundles.len() > MOST || !found.bundles.iter().all(|bundle| is_word(&bundle.version)) {
            return Err(refused("it has too many bundles, or a version that is none".into()));
        }
        Ok(found)
    }

    /// The bundle that has most of what `new` needs, for the same processor.
    pub fn nearest(&self, new: &Manifest) -> Option<&HeldBundle> {
        let common = |held: &HeldBundle| {
            let frames: BTreeSet<&Digest> = held.frames.iter().collect();
            let both = new.frames.iter().filter(|frame| frames.contains(&frame.sha256));
            both.fold(0_u64, |sum, frame| sum.saturating_add(frame.packed))
        };
        // Of several that have as much, the newest, which is the first.
        self.bundles.iter().rev().filter(|held| held.arch == new.arch).max_by_key(|held| common(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(sequence: u64, version: &str) -> HeldBundle {
        let (manifest, frames) = (Digest::of(&sequence.to_le_bytes()), vec![Digest::of(b"f")]);
        HeldBundle { version: version.into(), arch: Arch::Amd64, sequence, manifest, frames }
    }

    #[test]
    fn an_inventory_reads_back_and_does_not_depend_on_the_order() {
        let one = Inventory::new(vec![held(1, "v1"), held(3, "v3"), held(1, "v1")]);
        assert_eq!(one, Inventory::new(vec![held(3, "v3"), held(1, "v1")]));
        assert_eq!(Inventory::parse(one.text().as_bytes()).unwrap(), one);
        assert_eq!(one.bundles.iter().map(|bundle| bundle.sequence).collect::<Vec<_>>(), [3, 1]);
        for wrong in
            ["", "{}", "[]", &one.text().replace("v3", "v\\u001b3"), &one.text().replace("gitgrit-inventory", "x")]
        {
            assert!(Inventory::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
