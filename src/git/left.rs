//! What is on disk, for who looks after a site: which repositories, and what killed processes left among them. Takes the locks
//! that are there for a moment, to know that nobody is at work; makes nothing and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use base::file::Lock;
use base::plain::plain;

use crate::receive::INCOMING;
use crate::repositories::{directories, is_passing, lock_files};
use crate::{Error, litter, moving};

/// The ids of the repositories below `root`, lowest first.
pub fn ids(root: &Path) -> Result<Vec<i64>, Error> {
    let mut ids = Vec::new();
    for shelf in directories(root, "")? {
        for repository in directories(&shelf, "")? {
            let id = repository.file_name().and_then(|name| name.to_str()?.strip_suffix(".git")?.parse::<i64>().ok());
            ids.extend(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// What a crash left, as far as it could be looked for.
#[derive(Debug, Default)]
pub struct Left {
    /// What opening the site removes: half-made and half-removed repositories, quarantines of pushes that ended, locks of refs
    /// that nobody moves, unfinished packs.
    pub paths: Vec<PathBuf>,
    /// Directories that could not be looked into, and why.
    pub unseen: Vec<(PathBuf, Error)>,
}

/// What a crash left below `root`. Makes nothing there, not even a lock; one repository that is broken hides no other.
pub fn left_behind(root: &Path) -> Result<Left, Error> {
    let mut left = Left::default();
    for shelf in directories(root, "")? {
        match directories(&shelf, "") {
            Err(error) => left.unseen.push((shelf, error)),
            Ok(repositories) => repositories.into_iter().for_each(|path| left.look(path)),
        }
    }
    Ok(left)
}

impl Left {
    fn look(&mut self, path: PathBuf) {
        if is_passing(&path) {
            self.paths.push(path);
        } else if path.extension().is_some_and(|extension| extension == "git") {
            match of(&path) {
                Ok(found) => self.paths.extend(found),
                Err(error) => self.unseen.push((path, error)),
            }
        }
    }
}

/// What lies about in one repository.
fn of(repository: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = quarantines(repository)?;
    // Whoever moves refs holds his own locks, and the one that is asked for here.
    if let Some(locks) = moving::while_at_rest(repository, || lock_files(repository))? {
        found.extend(locks?);
    }
    found.extend(litter::find(repository)?);
    Ok(found)
}

/// Quarantines whose lock is there and free.
fn quarantines(repository: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_left = |quarantine: &PathBuf| {
        let lock = quarantine.join("lock");
        let file = plain(&lock, fs::File::options().read(true));
        file.ok().flatten().is_some_and(|file| matches!(Lock::of(file, &lock), Ok(Some(_))))
    };
    Ok(directories(&repository.join("objects"), INCOMING)?.into_iter().filter(is_left).collect())
}
