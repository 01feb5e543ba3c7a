//! What a killed Git or a killed push leaves among the packs: files that were never finished, and a pack whose index never
//! came. Nothing reads them and they take room. Removes nothing that is young, and nothing that has an index.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base::file::{FileError, Lock};

use crate::Error;
use crate::repositories::failed;

/// The lock of whoever writes packs into a repository's own directory.
pub(crate) const TIDY_LOCK: &str = "gitgrit-tidy.lock";
/// Younger than this, somebody may be at it: a push puts its pack in place before the index.
const YOUNG: Duration = Duration::from_hours(1);
/// How names of unfinished files begin; git-prune(1) removes the second kind as well.
const UNFINISHED: [&str; 2] = [".tmp-", "tmp_"];

/// What lies about in a repository, oldest rules first.
pub(crate) fn find(repository: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = repository.join("objects/pack");
    let entries = fs::read_dir(&directory).map_err(failed("read", &directory))?;
    let is_old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|found| found.modified());
        modified.is_ok_and(|modified| now().duration_since(modified).is_ok_and(|age| age > YOUNG))
    };
    let found = entries.filter_map(Result::ok).filter(|entry| is_litter(&entry.path()) && is_old(entry));
    Ok(found.map(|entry| entry.path()).collect())
}

fn is_litter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_half = path.extension() == Some(OsStr::new("pack")) && !path.with_extension("idx").exists();
    (is_half || UNFINISHED.iter().any(|prefix| name.starts_with(prefix))) && path.is_file()
}

/// Removes it. For who holds the lock of whoever tidies.
pub(crate) fn remove(found: &[PathBuf]) -> Result<(), Error> {
    for path in found {
        fs::remove_file(path).map_err(failed("remove", path))?;
    }
    Ok(())
}

/// The same for who opens the site. A repository that somebody tidies is left alone.
pub(crate) fn sweep_at_start(repository: &Path) -> Result<(), Error> {
    let found = find(repository)?;
    if found.is_empty() {
        return Ok(());
    }
    match Lock::take_for_owner(&repository.join(TIDY_LOCK)) {
        Err(FileError::Locked { .. }) => Ok(()),
        lock => {
            let _lock = lock?;
            remove(&found)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of files, which are of this clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn what_a_killed_git_left_goes_and_what_is_young_or_whole_stays() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main"]);
        let packs = site.repo.path().join("objects/pack");
        let lay = |name: &str, age: Duration| {
            let file = fs::File::create(packs.join(name)).unwrap();
            file.set_modified(now() - age).unwrap();
            packs.join(name)
        };
        for whole in fs::read_dir(&packs).unwrap() {
            let file = fs::File::open(whole.unwrap().path()).unwrap();
            file.set_modified(now() - YOUNG * 2).unwrap();
        }
        let whole = fs::read_dir(&packs).unwrap().count();
        let old = [".tmp-1-pack-a.pack", "tmp_pack_x", "tmp_idx_y", "pack-half.pack"].map(|name| lay(name, YOUNG * 2));
        let young = ["tmp_pack_z", "pack-coming.pack"].map(|name| lay(name, Duration::ZERO));
        assert!(site.block_on(site.repo.tidy()).unwrap());
        assert!(old.iter().all(|path| !path.exists()) && young.iter().all(|path| path.exists()));
        assert_eq!(fs::read_dir(&packs).unwrap().count(), whole + young.len());
        site.git(&["fsck", "--strict"]);
    }
}
