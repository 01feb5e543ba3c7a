//! The manifest: what a bundle is, what it holds, and what each of its frames hashes to. Everything about the file follows
//! from it. Read only after its signatures were judged, and still as hostile: its fields are closed and it has one form.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::path::EntryPath;
use super::{Blake3, BundleError, Digest, Profile, rules};

/// The largest manifest, in bytes.
pub const MANIFEST_LIMIT: u64 = 64 << 20;
/// The format that this program writes and reads.
pub(crate) const FORMAT: u64 = 1;
/// The product's name in a manifest.
pub(crate) const NAME: &str = "gitgrit";

/// What a bundle is and holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format's number: 1.
    pub format: u64,
    /// The product: `gitgrit`.
    pub name: String,
    /// The version, as the images' tag has it.
    pub version: String,
    /// The processor that the images and the program are for.
    pub arch: Arch,
    /// Grows with every release; a lower one than a site has seen is refused there.
    pub sequence: u64,
    /// The one time of all files, in seconds since 1970.
    pub epoch: u64,
    /// What it was built from.
    pub commit: Commit,
    /// After this time whoever verifies it is warned, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// How its frames are packed.
    pub profile: Profile,
    /// The version of the zstd library that packed them: with the profile it fixes their bytes.
    pub zstd: String,
    /// The program inside.
    pub program: Option<Program>,
    /// The names of the settings that this version knows, sorted.
    pub keys: Vec<String>,
    /// The names of the database's migrations, in their order.
    pub migrations: Vec<String>,
    /// The images, in the order in which they were given.
    pub images: Vec<Image>,
    /// The files in the archive's order, without the manifest and its signatures.
    pub entries: Vec<Entry>,
    /// The frames behind the head, in their order.
    pub frames: Vec<Frame>,
}

/// A processor, by the name that Docker has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// `x86_64`.
    Amd64,
    /// `aarch64`.
    Arm64,
}

impl Arch {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What a bundle was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its object id: 40 or 64 lower-case hexadecimal digits.
    pub id: String,
    /// Says whether the tree held changes that no commit has.
    pub is_dirty: bool,
}

/// The program inside a bundle, `bin/gitgrit-ops`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What its `--version` says.
    pub version: String,
    /// Of its file.
    pub sha256: Digest,
}

/// An image: what it is called, and the blobs that make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its name among the recipes, `app` say.
    pub name: String,
    /// The full reference under which an engine knows it, `docker.io/library/gitgrit-app:TAG` say.
    pub reference: String,
    /// The digest of its configuration, which is the image's id.
    pub id: Digest,
    /// The digest of its OCI manifest.
    pub manifest: Digest,
    /// Its layers from the lowest up: the digests of their plain tars.
    pub layers: Vec<Digest>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it is.
    pub path: EntryPath,
    /// Its size, in bytes.
    pub size: u64,
    /// Its mode.
    pub mode: Mode,
    /// Of its content.
    pub sha256: Digest,
}

/// The mode of a file: there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Read by everybody, written by its owner.
    #[serde(rename = "0644")]
    Plain,
    /// The same, and run by everybody.
    #[serde(rename = "0755")]
    Program,
}

impl Mode {
    /// As chmod takes it.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Plain => 0o644,
            Self::Program => 0o755,
        }
    }
}

/// A zstd frame behind the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The size of the frame itself, in bytes.
    pub packed: u64,
    /// The size of what it unpacks to, in bytes.
    pub size: u64,
    /// Of the frame itself.
    pub sha256: Digest,
    /// Of the frame itself.
    pub blake3: Blake3,
}

/// The one field that a manifest of any format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

impl Manifest {
    /// Reads a manifest. Fails when it is of another format, has an unknown field, could be written otherwise, or holds what
    /// no bundle may hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let size = bytes.len() as u64;
        if size > MANIFEST_LIMIT {
            return Err(BundleError::TooLarge { what: "the manifest", size, limit: MANIFEST_LIMIT });
        }
        let any: AnyFormat = serde_json::from_slice(bytes).map_err(BundleError::Manifest)?;
        if any.format != FORMAT {
            return Err(BundleError::Format { found: any.format });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(BundleError::Manifest)?;
        rules::hold(&manifest)?;
        if manifest.bytes() == bytes { Ok(manifest) } else { Err(BundleError::NotCanonical) }
    }

    /// The one form of the manifest: JSON with two spaces of indentation and a line feed at its end.
    pub fn bytes(&self) -> Vec<u8> {
        // Plain texts and numbers have no way to fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The file at `path`.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path.as_str() == path)
    }

    /// The sizes of all files by their digests, in bytes.
    pub fn sizes(&self) -> HashMap<Digest, u64> {
        self.entries.iter().map(|entry| (entry.sha256, entry.size)).collect()
    }

    /// The bytes of all frames, packed.
    pub fn packed_size(&self) -> u64 {
        self.frames.iter().fold(0, |sum, frame| sum.saturating_add(frame.packed))
    }
}
