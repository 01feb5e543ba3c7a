//! What operations did, one JSON object a line, each on the disk before the next thing happens. A record, not the truth:
//! what a step has to do is found by looking at the site.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base::Hint;
use base::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// The largest journal that is read, in bytes; one run writes about 2 KB.
const LIMIT: u64 = 64 << 20;

/// What happened to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Its effect begins.
    Begun,
    /// Its effect is there.
    Done,
    /// It failed.
    Failed,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The operation, as in `install`.
    pub operation: String,
    /// The step; empty for the operation as a whole.
    pub step: String,
    /// What happened to it.
    pub event: Event,
}

/// A journal that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file did not open, read or write.
    #[error("could not use the journal `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than any site's journal; cutting it would lose records.
    #[error("`{path}` is larger than 64 MiB")]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// A line other than the last is no record.
    #[error("line {line} of `{path}` is not a record")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Hint for JournalError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::Long { path } | Self::Line { path, .. } => {
                Some(format!("move `{}` away; it is a record only", path.display()))
            }
        }
    }
}

/// An open journal. The caller holds the site's lock.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    records: Vec<Record>,
}

impl Journal {
    /// Opens or makes the journal (mode 0600) and reads it. A last line that a crash tore is cut off.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        use std::os::unix::fs::OpenOptionsExt;
        let failed = |source| JournalError::File { path: path.into(), source };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        (&mut file).take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LIMIT {
            return Err(JournalError::Long { path: path.into() });
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let records = parse(&bytes, path)?;
        Ok(Self { file, path: path.into(), records })
    }

    /// Appends one record and waits until it is on the disk.
    pub fn write(&mut self, at: Timestamp, operation: &str, step: &str, event: Event) -> Result<(), JournalError> {
        let record = Record { at: at.0, operation: operation.into(), step: step.into(), event };
        let failed = |source| JournalError::File { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(failed)?;
        self.records.push(record);
        Ok(())
    }

    /// The step at which the last run of `operation` stopped; `None` when that run ended well, or there was none.
    pub fn stopped_at(&self, operation: &str) -> Option<&str> {
        let last = self.records.iter().rfind(|record| record.operation == operation)?;
        let is_finished = last.step.is_empty() && last.event == Event::Done;
        (!is_finished).then_some(last.step.as_str())
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Record>, JournalError> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|_| JournalError::Line { path: path.into(), line: index + 1 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1);

    #[test]
    fn a_torn_last_line_is_cut_and_writing_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.write(AT, "install", "env", Event::Begun).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for torn in 1..whole.len() {
            let mut bytes = whole.clone();
            bytes.extend(&whole[..torn]);
            base::file::write_atomic(&path, &bytes, 0o600).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            journal.write(AT, "install", "env", Event::Done).unwrap();
            assert_eq!(Journal::open(&path).unwrap().records.len(), 2, "torn after {torn} bytes");
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        base::file::write_atomic(&path, b"junk\n", 0o600).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Line { line: 1, .. })));
    }

    #[test]
    fn a_journal_that_is_too_large_to_read_is_not_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let file = File::create(&path).unwrap();
        file.set_len(LIMIT + 1).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Long { .. })));
        assert_eq!(file.metadata().unwrap().len(), LIMIT + 1);
    }

    #[test]
    fn the_journal_says_where_an_operation_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&directory.path().join("journal.jsonl")).unwrap();
        assert_eq!(journal.stopped_at("install"), None);
        journal.write(AT, "install", "env", Event::Begun).unwrap();
        journal.write(AT, "other", "", Event::Done).unwrap();
        assert_eq!(journal.stopped_at("install"), Some("env"));
        journal.write(AT, "install", "", Event::Done).unwrap();
        assert_eq!(journal.stopped_at("install"), None);
    }
}
