//! What loading leaves behind: a journal, and which bundle was loaded last. Held by one run at a time.

use std::io;
use std::path::{Path, PathBuf};

use base::Clock;
use base::file::{FileError, Lock, create_dir, read_bytes, write_atomic};
use serde::{Deserialize, Serialize};

use super::load_error::LoadError;
use super::trust::TrustError;
use super::{BundleError, Digest, Manifest};
use crate::journal::{Event, Journal};

/// What the journal calls this.
const OPERATION: &str = "bundle load";
/// The largest note of a sequence, in bytes.
const NOTE_LIMIT: u64 = 4096;

/// A folder that remembers loads, and its lock.
pub struct State<'c> {
    folder: PathBuf,
    journal: Journal,
    clock: &'c dyn Clock,
    _lock: Lock,
}

/// The note of the bundle that was loaded last.
#[derive(Debug, Serialize, Deserialize)]
struct Reached {
    sequence: u64,
    version: String,
    /// Of the manifest; older notes have none.
    #[serde(default)]
    manifest: Option<Digest>,
}

impl<'c> State<'c> {
    /// Opens the folder, or makes it. Fails when another run holds it.
    pub fn open(folder: &Path, clock: &'c dyn Clock) -> Result<Self, LoadError> {
        create_dir(folder, 0o755)?;
        let lock = Lock::take(&folder.join("bundle.lock"))?;
        let journal = Journal::open(&folder.join("bundle.jsonl"))?;
        Ok(Self { folder: folder.into(), journal, clock, _lock: lock })
    }

    /// Writes what happens to a step into the journal.
    pub(crate) fn write(&mut self, step: &str, event: Event) -> Result<(), LoadError> {
        Ok(self.journal.write(self.clock.now(), OPERATION, step, event)?)
    }

    /// Asks once more, now that no other run can come between, whether this bundle may follow the last one.
    pub fn admit(&self, manifest: &Manifest) -> Result<(), LoadError> {
        admit(&self.folder, manifest)
    }

    /// Remembers that this bundle was loaded, so that no older one comes after it. Going back on purpose is remembered too.
    pub fn reached(&self, manifest: &Manifest) -> Result<(), LoadError> {
        let digest = Digest::of(&manifest.bytes());
        let (sequence, version) = (manifest.sequence, manifest.version.clone());
        let note = Reached { sequence, version, manifest: Some(digest) };
        let bytes = serde_json::to_vec(&note).unwrap_or_default();
        Ok(write_atomic(&note_of(&self.folder), &bytes, 0o644)?)
    }
}

/// The sequence of the bundle that was loaded last; 0 when there was none.
pub fn least(folder: &Path) -> Result<u64, LoadError> {
    Ok(last(folder)?.map_or(0, |note| note.sequence))
}

/// Says whether this bundle may follow the one that was loaded last: it is not older, and not another of the same sequence.
pub fn admit(folder: &Path, manifest: &Manifest) -> Result<(), LoadError> {
    let Some(note) = last(folder)? else { return Ok(()) };
    if manifest.sequence < note.sequence {
        let replayed = TrustError::Replayed { found: manifest.sequence, least: note.sequence };
        return Err(LoadError::Bundle(BundleError::Trust(replayed)));
    }
    let is_other = note.manifest.is_some_and(|before| before != Digest::of(&manifest.bytes()));
    if manifest.sequence == note.sequence && is_other {
        return Err(LoadError::Sibling { sequence: note.sequence, version: note.version });
    }
    Ok(())
}

fn last(folder: &Path) -> Result<Option<Reached>, LoadError> {
    let path = note_of(folder);
    match read_bytes(&path, NOTE_LIMIT) {
        Ok(bytes) => {
            let note: Result<Reached, _> = serde_json::from_slice(&bytes);
            let broken = |error: serde_json::Error| FileError::Read { path, source: error.into() };
            Ok(Some(note.map_err(broken)?))
        }
        Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn note_of(folder: &Path) -> PathBuf {
    folder.join("bundle.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_that_was_reached_is_remembered_and_a_broken_note_is_not_passed_over() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(least(home.path()).unwrap(), 0);
        // As programs before this one wrote it.
        std::fs::write(note_of(home.path()), r#"{"sequence":7,"version":"v1"}"#).unwrap();
        assert_eq!(least(home.path()).unwrap(), 7);
        std::fs::write(note_of(home.path()), "7").unwrap();
        assert!(matches!(least(home.path()), Err(LoadError::File(_))));
    }
}
