//! What is on disk, for who looks after a site: which repositories, and what killed processes left among them. Takes the locks
//! that it must to know that nobody is at work, and changes nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use base::file::Lock;

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

/// What a crash left below `root`, and what opening the site removes: half-made and half-removed repositories, quarantines of
/// pushes that ended, locks of refs that nobody moves, unfinished packs.
pub fn left_behind(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for shelf in directories(root, "")? {
        for path in directories(&shelf, "")? {
            if is_passing(&path) {
                found.push(path);
            } else if path.extension().is_some_and(|extension| extension == "git") {
                found.extend(quarantines(&path)?);
                // Whoever moves refs holds his own locks, and this one.
                if let Ok(_shut) = moving::shut(&path) {
                    found.extend(lock_files(&path)?);
                }
                found.extend(litter::find(&path)?);
            }
        }
    }
    Ok(found)
}

/// Quarantines whose lock is there and free.
fn quarantines(repository: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_left = |quarantine: &PathBuf| {
        let lock = quarantine.join("lock");
        let file = fs::File::options().read(true).write(true).open(&lock);
        file.is_ok_and(|file| matches!(Lock::of(file, &lock), Ok(Some(_))))
    };
    Ok(directories(&repository.join("objects"), INCOMING)?.into_iter().filter(is_left).collect())
}
