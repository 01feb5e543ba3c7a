//! Where the bytes of large files lie: `lfs/ab/cd/<oid>`, each once, named by its SHA-256 alone. What is being uploaded
//! is apart, in `lfs/incoming`. Nothing here is overwritten but what is not as long as it must be, and no text from outside
//! becomes part of a path.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base::file::{self, FileError, Lock};
use tempfile::NamedTempFile;
use vault::digest::Sha256;

use crate::lfs::{LfsOid, LfsPointer};

/// Where uploads are until they are whole.
const INCOMING: &str = "incoming";

/// The content of a site's large files.
#[derive(Debug)]
pub(crate) struct Shelf {
    root: PathBuf,
}

/// Why an upload is not what it was said to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Size,
    Digest,
}

/// An upload under way; gone from the disk when dropped.
pub(crate) struct Incoming {
    file: NamedTempFile,
    hash: Sha256,
    size: u64,
    /// Tells a sweep that somebody is at work. Dropped after the file.
    lock: Lock,
}

/// An upload that is whole and safe on the disk, and not yet on the shelf.
pub(crate) struct Whole {
    file: NamedTempFile,
    oid: LfsOid,
    _lock: Lock,
}

impl Shelf {
    /// Opens (and makes, at 0700) the directory; removes uploads that nobody is at work on. Blocks.
    pub(crate) fn open(root: &Path) -> Result<Self, FileError> {
        let incoming = root.join(INCOMING);
        file::create_dir(&incoming, 0o700)?;
        let entries = fs::read_dir(&incoming).map_err(reading(&incoming))?;
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let left = File::options().read(true).write(true).open(&path);
            // Held until it is gone: who has just made it must not take it for theirs.
            if let Ok(file) = left
                && let Some(_held) = Lock::of(file, &path)?
            {
                remove(&path)?;
            }
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Begins an upload. Blocks.
    pub(crate) fn begin(&self) -> Result<Incoming, FileError> {
        let place = self.root.join(INCOMING);
        loop {
            let file = tempfile::Builder::new().prefix("upload-").tempfile_in(&place).map_err(writing(&place))?;
            let handle = file.as_file().try_clone().map_err(writing(&place))?;
            // Another process that opens the shelf at this very moment may have swept it away.
            if let Some(lock) = Lock::of(handle, file.path())? {
                return Ok(Incoming { file, hash: Sha256::default(), size: 0, lock });
            }
        }
    }

    /// Puts an upload on the shelf, unless its bytes are there already; what is there and is not as long is damaged, and is
    /// replaced. To be called in the transaction that stores its
    /// row: whoever removes content does so in one, and there is one at a time. Blocks.
    pub(crate) fn put(&self, whole: Whole) -> Result<(), FileError> {
        let path = self.path(&whole.oid);
        let size = whole.file.as_file().metadata().map_err(reading(&path))?.len();
        if fs::metadata(&path).is_ok_and(|found| found.len() == size) {
            return Ok(());
        }
        let Some(shelf) = path.parent() else { return Ok(()) };
        file::create_dir(shelf, 0o700)?;
        // Whatever is there by now is the same bytes, or fewer.
        whole.file.persist(&path).map(drop).map_err(|error| writing(&path)(error.error))?;
        // The file's own directory, and those that may be new above it.
        for directory in shelf.ancestors().take(3) {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(writing(directory))?;
        }
        Ok(())
    }

    /// The content and its size, when it is there. Blocks.
    pub(crate) fn get(&self, oid: &LfsOid) -> Result<Option<(File, u64)>, FileError> {
        let path = self.path(oid);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(reading(&path))?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(reading(&path)(error)),
        }
    }

    /// Removes content; what is gone already is no error. To be called as [`Shelf::put`] is. Blocks.
    pub(crate) fn remove(&self, oid: &LfsOid) -> Result<(), FileError> {
        remove(&self.path(oid))
    }

    fn path(&self, oid: &LfsOid) -> PathBuf {
        let [first, second, ..] = oid.bytes();
        self.root.join(format!("{first:02x}")).join(format!("{second:02x}")).join(oid.to_string())
    }
}

impl Incoming {
    /// Takes the next piece in. Blocks.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), FileError> {
        self.hash.update(piece);
        self.size += piece.len() as u64;
        let path = self.file.path().to_owned();
        self.file.write_all(piece).map_err(writing(&path))
    }

    /// Looks whether all came that was announced, and nothing else. What differs is gone. Blocks.
    pub(crate) fn finish(self, announced: &LfsPointer) -> Result<Result<Whole, Difference>, FileError> {
        if self.size != announced.size {
            return Ok(Err(Difference::Size));
        }
        if self.hash.finish() != announced.oid.bytes() {
            return Ok(Err(Difference::Digest));
        }
        self.file.as_file().sync_all().map_err(writing(self.file.path()))?;
        Ok(Ok(Whole { file: self.file, oid: announced.oid, _lock: self.lock }))
    }
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(writing(path)(error)),
        _ => Ok(()),
    }
}

fn reading(path: &Path) -> impl Fn(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError::Read { path: path.clone(), source }
}

fn writing(path: &Path) -> impl Fn(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError::Write { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(content: &[u8]) -> LfsPointer {
        LfsPointer { oid: LfsOid::from(vault::digest::sha256(content)), size: content.len() as u64 }
    }

    fn files(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else {
                    found.push(entry.path().strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        found
    }

    #[test]
    fn only_what_was_announced_gets_on_the_shelf_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path()).unwrap();
        let abc = pointer(b"abc");
        for (content, expected) in [(&b"abd"[..], Difference::Digest), (b"ab", Difference::Size)] {
            let mut incoming = shelf.begin().unwrap();
            incoming.write(content).unwrap();
            assert_eq!(incoming.finish(&abc).unwrap().err(), Some(expected));
        }
        assert_eq!(files(directory.path()), Vec::<String>::new());
        for _ in 0..2 {
            let mut incoming = shelf.begin().unwrap();
            incoming.write(b"a").unwrap();
            incoming.write(b"bc").unwrap();
            shelf.put(incoming.finish(&abc).unwrap().ok().unwrap()).unwrap();
        }
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(files(directory.path()), [format!("ba/78/{hex}")]);
        assert_eq!(shelf.get(&abc.oid).unwrap().unwrap().1, 3);
        shelf.remove(&abc.oid).unwrap();
        shelf.remove(&abc.oid).unwrap();
        assert!(shelf.get(&abc.oid).unwrap().is_none());
    }

    /// An empty file under an object's name stayed there for ever.
    #[test]
    fn what_is_on_the_shelf_and_not_as_long_as_it_must_be_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path()).unwrap();
        let abc = pointer(b"abc");
        let place = shelf.path(&abc.oid);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, b"").unwrap();
        let mut incoming = shelf.begin().unwrap();
        incoming.write(b"abc").unwrap();
        shelf.put(incoming.finish(&abc).unwrap().ok().unwrap()).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"abc");
    }

    /// Two processes open the shelf over and over while a third begins uploads: none loses its file.
    #[test]
    fn a_sweep_never_takes_an_upload_that_has_just_begun() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path()).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        Shelf::open(directory.path()).unwrap();
                    }
                });
            }
            let lost = (0..2_000).filter(|_| !shelf.begin().unwrap().file.path().exists()).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(lost, 0);
        });
    }

    #[test]
    fn what_a_crash_left_is_removed_and_what_somebody_uploads_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path()).unwrap();
        let _under_way = shelf.begin().unwrap();
        fs::write(directory.path().join("incoming/upload-dead"), b"half").unwrap();
        Shelf::open(directory.path()).unwrap();
        let left = files(directory.path());
        assert!(left.len() == 1 && !left[0].ends_with("dead"), "{left:?}");
    }
}
