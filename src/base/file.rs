//! Files, written whole or not at all, and locks. Every error carries its path.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use tempfile::NamedTempFile;

use crate::Hint;
use crate::plain::plain;

/// A file operation that failed, and on which file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing failed; the old content, if any, is still there.
    #[error("could not write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than the caller allows.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Another process holds the lock.
    #[error("`{path}` is locked by another gitgrit-ops")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl Hint for FileError {
    fn hint(&self) -> Option<String> {
        let source = match self {
            Self::Read { source, .. } | Self::Write { source, .. } => source,
            Self::TooLarge { .. } => return None,
            Self::Locked { .. } => {
                return Some("wait for the other run to end, or stop it, then run this again".into());
            }
        };
        match source.kind() {
            io::ErrorKind::PermissionDenied => Some("run this as the user that owns the site directory".into()),
            io::ErrorKind::StorageFull => Some("free some space on that file system, then run this again".into()),
            _ => None,
        }
    }
}

/// Reads a text file of at most `limit` bytes. Fails on invalid UTF-8 with `Read`.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|error| FileError::Read {
        path: path.into(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })
}

/// Reads a file of at most `limit` bytes. Fails on what is no regular file: a named pipe would be waited for.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    use io::Read;
    let failed = |source| FileError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    // Opening a pipe waits for its writer, unless asked not to; a regular file is read as ever.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")));
    }
    if !kind.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.into(), limit });
    }
    Ok(bytes)
}

/// Replaces `path` with `content` at `mode`: written beside it, synced, renamed. After a crash the old or the new
/// content is there, never a part.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let file = draft(path, content, mode, None)?;
    file.persist(path).map_err(|error| FileError::Write { path: path.into(), source: error.error })?;
    settle(path)
}

/// As [`write_atomic`], but for a file that must not be there yet, however late it appears.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let file = draft(path, content, mode, None)?;
    crate::fault::point("file:new");
    file.persist_noclobber(path).map_err(|error| FileError::Write { path: path.into(), source: error.error })?;
    settle(path)
}

/// As [`write_atomic`], for a file that is there: its mode, owner and group stay, also when root writes.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.into(), source };
    let facts = fs::metadata(path).map_err(failed)?;
    let file = draft(path, content, facts.mode() & 0o777, Some(&facts))?;
    crate::fault::point("file:replace");
    file.persist(path).map_err(|error| failed(error.error))?;
    settle(path)
}

/// Gives `to` the owner, group and mode of `from`.
pub fn copy_owner(from: &Path, to: &Path) -> Result<(), FileError> {
    let facts = fs::metadata(from).map_err(|source| FileError::Read { path: from.into(), source })?;
    let failed = |source| FileError::Write { path: to.into(), source };
    let file = File::open(to).map_err(failed)?;
    own(&file, &facts)
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(facts.mode() & 0o777)))
        .map_err(failed)
}

/// Only where it differs: who is not root may not even ask.
fn own(file: &File, owner: &fs::Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (owner.uid(), owner.gid()) == (now.uid(), now.gid()) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Writes `content` beside `path`, synced, as a file of `owner` when one is given.
fn draft(path: &Path, content: &[u8], mode: u32, owner: Option<&fs::Metadata>) -> Result<NamedTempFile, FileError> {
    let failed = |source| FileError::Write { path: path.into(), source };
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".gitgrit-").permissions(fs::Permissions::from_mode(mode));
    let mut file = builder.tempfile_in(parent(path)).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    if let Some(owner) = owner {
        own(file.as_file(), owner).map_err(failed)?;
    }
    // The builder's mode is narrowed by the umask; what was asked for is what the file gets.
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

/// Makes a rename in the directory of `path` last.
fn settle(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.into(), source };
    File::open(parent(path)).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes that may still be written to the file system that `path` is on; `None` when it does not say.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Creates `path` and its parents with `mode`; an existing directory is left as it is.
pub fn create_dir(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| FileError::Write { path: path.into(), source })
}

/// A lock on a file, released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock without waiting. Fails with `Locked` when another process holds it.
    pub fn take(path: &Path) -> Result<Self, FileError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| FileError::Write { path: path.into(), source })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FileError::Locked { path: path.into() }),
            Err(errno) => Err(FileError::Write { path: path.into(), source: errno.into() }),
        }
    }

    /// As [`Lock::take`], for a directory that may be another user's: a lock that is made here belongs to whom the directory
    /// belongs to, so that root's look at it does not keep him out.
    pub fn take_for_owner(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Write { path: path.into(), source };
        // Only what was made just now is given away: a link, or a file that somebody put there, is not.
        match File::options().write(true).create_new(true).open(path) {
            Ok(made) if rustix::process::geteuid().is_root() => {
                fs::metadata(parent(path)).and_then(|owner| own(&made, &owner)).map_err(failed)?;
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            Ok(_) | Err(_) => {}
        }
        let file = plain(path, File::options().read(true).write(true)).map_err(failed)?;
        let file = file.ok_or_else(|| failed(io::Error::other("it is not a regular file")))?;
        Self::of(file, path)?.ok_or_else(|| FileError::Locked { path: path.into() })
    }

    /// Takes the lock on a file that is open, without waiting. `None` when another process holds it, or when the file is not
    /// at `path` any more: a lock on what was removed keeps nobody out.
    pub fn of(file: File, path: &Path) -> Result<Option<Self>, FileError> {
        let failed = |source| FileError::Read { path: path.into(), source };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(failed(errno.into())),
        }
        let place = |facts: &fs::Metadata| (facts.dev(), facts.ino());
        let held = place(&file.metadata().map_err(failed)?);
        let is_there = fs::symlink_metadata(path).is_ok_and(|found| place(&found) == held);
        Ok(is_there.then_some(Self { file }))
    }

    /// Takes a lock that other sharers may hold too, waiting for who holds it alone. Blocks.
    pub fn share(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Write { path: path.into(), source };
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        flock(&file, FlockOperation::LockShared).map_err(|errno| failed(errno.into()))?;
        Ok(Self { file })
    }

    /// The lock's file for a child: the lock is then held until both are gone.
    pub fn for_child(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The locked file, for a child to inherit: the lock then lasts until the child is gone as well.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Replaces what the lock file says, for whoever finds it held (a process id, say).
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        use io::Seek;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }

    /// Says whether another process holds the lock now.
    pub fn is_held(path: &Path) -> bool {
        let file = plain(path, File::options().read(true));
        file.ok().flatten().is_some_and(|file| {
            matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomic(&path, b"old", 0o600).unwrap();
        let missing = dir.path().join("no/such/a");
        assert!(write_atomic(&missing, b"new", 0o600).is_err());
        assert_eq!(read_text(&path, 10).unwrap(), "old");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(FileError::Locked { .. })));
        assert!(Lock::is_held(&path));
        drop(first);
        assert!(!Lock::is_held(&path));
    }

    #[test]
    fn sharers_keep_others_from_holding_the_lock_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (first, second) = (Lock::share(&path).unwrap(), Lock::share(&path).unwrap());
        drop(first);
        assert!(matches!(Lock::take(&path), Err(FileError::Locked { .. })));
        drop(second);
        assert!(Lock::take(&path).is_ok());
    }

    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        for path in [path.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert!(matches!(read_bytes(path, 5), Err(FileError::Read { .. })), "{path:?}");
        }
    }

    #[test]
    fn a_new_file_takes_no_others_place_and_a_replaced_one_keeps_its_owner_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new(&path, b"first", 0o640).unwrap();
        assert!(write_new(&path, b"second", 0o600).is_err());
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::chown(&path, Some(1000), Some(1001)).unwrap();
        }
        let facts = |path: &Path| fs::metadata(path).map(|facts| (facts.mode() & 0o777, facts.uid(), facts.gid()));
        let before = facts(&path).unwrap();
        replace(&path, b"third").unwrap();
        assert_eq!((facts(&path).unwrap(), read_text(&path, 10).unwrap().as_str()), (before, "third"));
        assert_eq!((before.0, before.1 == 1000), (0o640, is_root));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_that_root_makes_belongs_to_whom_the_directory_does() {
        let dir = tempfile::tempdir().unwrap();
        if !rustix::process::geteuid().is_root() {
            return;
        }
        std::os::unix::fs::chown(dir.path(), Some(1000), Some(1001)).unwrap();
        let (path, link, other) = (dir.path().join("lock"), dir.path().join("link"), dir.path().join("other"));
        drop(Lock::take_for_owner(&path).unwrap());
        write_new(&other, b"", 0o600).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(Lock::take_for_owner(&link).is_err());
        // Nor is anything made where a link leads to nothing.
        let (dangling, nowhere) = (dir.path().join("dangling"), dir.path().join("nowhere"));
        std::os::unix::fs::symlink(&nowhere, &dangling).unwrap();
        assert!(Lock::take_for_owner(&dangling).is_err() && !nowhere.exists());
        let owner = |path: &Path| fs::metadata(path).map(|facts| (facts.uid(), facts.gid())).unwrap();
        assert_eq!((owner(&path), owner(&other)), ((1000, 1001), (0, 0)));
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert!(read_text(&path, 5).is_ok());
        assert!(matches!(read_text(&path, 4), Err(FileError::TooLarge { limit: 4, .. })));
    }
}
