//! Files in directories that may be another user's: root looks at them and mends them, and who owns the directory may have put
//! anything there. Follows no link, waits for no pipe, and makes nothing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::file::FileError;

/// Opens a regular file that is there, with `options` that make none. `None` when there is none, or when a link or another thing
/// is in its place: links are not followed, and pipes are not waited for.
pub fn plain(path: &Path, options: &fs::OpenOptions) -> io::Result<Option<File>> {
    match unfollowed(path, options) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if [Some(OTHER), Some(NOBODY)].contains(&error.raw_os_error()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What opening a link says, and opening a pipe that nobody reads.
const OTHER: i32 = Errno::LOOP.raw_os_error();
const NOBODY: i32 = Errno::NXIO.raw_os_error();

fn unfollowed(path: &Path, options: &fs::OpenOptions) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    options.clone().custom_flags(flags).open(path)
}

/// Sets the mode of a file or directory that belongs to `owner`. What belongs to another, and what became a link meanwhile, is
/// left alone: who runs this may be root, and who owns the directory may not.
pub fn set_mode(path: &Path, mode: u32, owner: u32) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.into(), source };
    let file = match unfollowed(path, File::options().read(true)) {
        Err(error) if error.raw_os_error() == Some(OTHER) => return Ok(()),
        other => other.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.uid() != owner {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Lock, write_new};

    #[test]
    fn links_and_pipes_are_no_plain_files_and_modes_go_to_the_owners_own() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link, pipe) = (dir.path().join("a"), dir.path().join("link"), dir.path().join("pipe"));
        write_new(&target, b"text", 0o644).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        for path in [&link, &pipe, &dir.path().join("none"), &dir.path().to_owned()] {
            assert!(plain(path, File::options().read(true)).unwrap().is_none(), "{path:?}");
            assert!(!Lock::is_held(path));
        }
        assert!(plain(&target, File::options().write(true)).unwrap().is_some());
        let mode = || fs::metadata(&target).unwrap().permissions().mode() & 0o777;
        let own = rustix::process::geteuid().as_raw();
        set_mode(&link, 0o600, own).unwrap();
        set_mode(&target, 0o600, own + 1).unwrap();
        assert_eq!(mode(), 0o644);
        set_mode(&target, 0o600, own).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
