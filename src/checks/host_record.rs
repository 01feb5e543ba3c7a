//! The record of what this program wrote into a host's store: each file with the content it had and gets, and whether the
//! host's bundle is still to be made anew. Written before the first change, so that a run that is cut short can be finished
//! or taken back.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::certificate::sha256;
use crate::host_store::{Place, StoreError};

/// The record and its lock, below the root.
const RECORD: &str = "var/lib/gitgrit-ops/trust.json";
const LOCK: &str = "var/lib/gitgrit-ops/trust.lock";

/// The largest record and the largest file that is compared, in bytes.
pub(crate) const LIMIT: u64 = 1 << 20;

/// What was written, and what is still to be done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    files: Vec<Entry>,
    /// The host's bundle is older than the files.
    #[serde(default)]
    pub(crate) needs_refresh: bool,
    /// PEM texts that were taken out and may still stand in the host's bundle.
    #[serde(default)]
    pub(crate) leaving: Vec<String>,
}

/// One file: its path below the root, and SHA-256 of its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    sha256: String,
    /// What it held before, as long as it is not known that it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<String>,
}

/// The right to change the store: nobody else has it meanwhile.
#[derive(Debug)]
pub struct Held {
    _lock: base::file::Lock,
}

impl Held {
    /// Keeps every other run out until it is dropped. Fails with `Locked` when another one is at work.
    pub fn take(place: &Place) -> Result<Self, StoreError> {
        let path = place.root.join(LOCK);
        make_folder(&path)?;
        Ok(Self { _lock: base::file::Lock::take(&path)? })
    }
}

impl Record {
    pub(crate) fn load(place: &Place) -> Result<Self, StoreError> {
        let path = place.root.join(RECORD);
        if !path.exists() {
            return Ok(Self { version: 1, ..Self::default() });
        }
        let bytes = base::file::read_bytes(&path, LIMIT)?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|_| StoreError::Record { path: path.clone() })?;
        let is_below = |entry: &Entry| entry.path.components().all(|part| matches!(part, Component::Normal(_)));
        if record.version != 1 || !record.files.iter().all(is_below) {
            return Err(StoreError::Record { path });
        }
        Ok(record)
    }

    pub(crate) fn save(&self, place: &Place) -> Result<(), StoreError> {
        let path = place.root.join(RECORD);
        make_folder(&path)?;
        let bytes = serde_json::to_vec_pretty(self).map_err(|_| StoreError::Record { path: path.clone() })?;
        Ok(base::file::write_atomic(&path, &bytes, 0o644)?)
    }

    /// Says whether this content of a file is ours: what it gets, or what it had from us before.
    pub(crate) fn is_ours(&self, below: &Path, content: &[u8]) -> bool {
        let hash = sha256(content);
        self.files
            .iter()
            .any(|entry| entry.path == below && (entry.sha256 == hash || entry.was.as_ref() == Some(&hash)))
    }

    /// Notes that a file is about to get this content; what it holds now is still ours.
    pub(crate) fn will_write(&mut self, below: &Path, text: &str, now: Option<&[u8]>) {
        self.files.retain(|entry| entry.path != below);
        let was = now.map(sha256);
        self.files.push(Entry { path: below.to_path_buf(), sha256: sha256(text.as_bytes()), was });
        self.leaving.retain(|leaving| leaving != text);
    }

    /// Notes that everything is done: what is gone is forgotten, and what was replaced.
    pub(crate) fn settle(&mut self, place: &Place) {
        self.files.retain(|entry| place.root.join(&entry.path).symlink_metadata().is_ok());
        for entry in &mut self.files {
            entry.was = None;
        }
    }

    /// The files, by their paths below the root.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|entry| entry.path.as_path())
    }
}

/// Makes the folder that `path` is in.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if let Some(parent) = path.parent() {
        base::file::create_dir(parent, 0o755)?;
    }
    Ok(())
}
