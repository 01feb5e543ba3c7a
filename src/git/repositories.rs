//! The repositories of a site on disk, by id. Names never reach this file, and nothing of a repository is visible
//! before it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base::file::{self, FileError};
use base::kept::Kept;
use base::name::{Oid, RefName, TreePath};

use crate::blame::{Blame, KEPT_SPANS};
use crate::gates::{Gates, blocking};
use crate::handles::Handles;
use crate::latest::Latest;
use crate::litter;
use crate::ls_refs::Spoken;
use crate::read::table::Tables;
use crate::receive::INCOMING;
use crate::records::{ChangeSums, KEPT_COUNTS};
use crate::{Error, Repo, moving};

/// Prefix of a repository that is being made.
const MAKING: &str = ".new-";
/// Prefix of a repository that is being removed.
const REMOVING: &str = ".gone-";
/// A half-made repository older than this was left by a crash; a younger one may be another process's own.
const ABANDONED: Duration = Duration::from_mins(10);

/// Time to wait for a Git that a killed process left running, and between two looks at it.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);
/// A path in a commit of one repository.
pub(crate) type Place = (i64, Oid, TreePath);

/// The directory of all bare repositories: `<root>/xx/<id>.git`, `xx` the id's lowest byte. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repositories {
    shared: Arc<Shared>,
}

/// What all handles of one site share.
#[derive(Debug)]
pub(crate) struct Shared {
    root: PathBuf,
    pub(crate) gates: Gates,
    pub(crate) handles: Handles,
    pub(crate) latest: Latest,
    pub(crate) tables: Tables,
    pub(crate) spoken: Spoken,
    pub(crate) blames: Kept<Place, Blame>,
    pub(crate) counts: Kept<Place, usize>,
    pub(crate) sums: Kept<Place, ChangeSums>,
}

impl Repositories {
    /// Opens (and makes, at 0700) the directory; sweeps what broken pushes and removals left behind. Blocks.
    pub fn open(root: &Path) -> Result<Self, Error> {
        file::create_dir(root, 0o700)?;
        let root = fs::canonicalize(root).map_err(failed("open", root))?;
        let (gates, handles, latest) = (Gates::new(), Handles::new(), Latest::new());
        let (blames, tables, spoken) = (Kept::new(KEPT_SPANS), Tables::new(), Spoken::default());
        let (counts, sums) = (Kept::new(KEPT_COUNTS), Kept::new(KEPT_COUNTS));
        let shared = Shared { root, gates, handles, latest, tables, spoken, blames, counts, sums };
        let repositories = Self { shared: Arc::new(shared) };
        sweep(&repositories.shared.root)?;
        Ok(repositories)
    }

    /// For who knows that no other process is at work here: removes every quarantine that is there, once the Git that a
    /// killed process left writing into it has ended. Waits for that 30 seconds at most.
    pub async fn sweep_alone(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(&self.shared.gates.reads, move || {
            for shelf in directories(&shared.root, "")? {
                for repository in directories(&shelf, "")? {
                    for quarantine in directories(&repository.join("objects"), INCOMING)? {
                        remove_when_free(&quarantine)?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes an empty repository whose HEAD names `default_branch`. `Present` when the id is taken.
    pub async fn create(&self, id: i64, default_branch: &RefName) -> Result<Repo, Error> {
        let path = self.path(id);
        let head = format!("ref: {default_branch}\n");
        blocking(&self.shared.gates.reads, move || make(id, &path, &head)).await?;
        self.repo(id)
    }

    /// Removes the repository and its objects for good; one that is gone already is no error.
    pub async fn remove(&self, id: i64) -> Result<(), Error> {
        let path = self.path(id);
        let shared = Arc::clone(&self.shared);
        blocking(&self.shared.gates.reads, move || {
            let gone = path.with_file_name(format!("{REMOVING}{id}"));
            match fs::rename(&path, &gone) {
                Ok(()) => {}
                // An earlier removal may have been cut short after its rename.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("remove", &path)(error)),
            }
            // Not before: a reader would open it anew, and keep its space.
            shared.handles.forget(id);
            shared.tables.forget(id);
            remove_tree(&gone)
        })
        .await
    }

    /// A handle. Fails with `Absent` when it is not on disk.
    pub fn repo(&self, id: i64) -> Result<Repo, Error> {
        let path = self.path(id);
        if path.join("HEAD").is_file() { Ok(Repo::new(id, path, &self.shared)) } else { Err(Error::Absent { id }) }
    }

    fn path(&self, id: i64) -> PathBuf {
        self.shared.root.join(format!("{:02x}", id.rem_euclid(256))).join(format!("{id}.git"))
    }
}

/// Names the directory in an error.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Directory { action, path: path.clone(), source }
}

/// Builds the repository beside its place and renames it there.
fn make(id: i64, path: &Path, head: &str) -> Result<(), Error> {
    if path.exists() {
        return Err(Error::Present { id });
    }
    let Some(shelf) = path.parent() else { return Err(Error::Absent { id }) };
    file::create_dir(shelf, 0o700)?;
    let building = tempfile::Builder::new().prefix(MAKING).tempdir_in(shelf).map_err(failed("make", shelf))?;
    for directory in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        file::create_dir(&building.path().join(directory), 0o700)?;
    }
    let config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
    file::write_atomic(&building.path().join("config"), config.as_bytes(), 0o600)?;
    file::write_atomic(&building.path().join("HEAD"), head.as_bytes(), 0o600)?;
    match fs::rename(building.path(), path) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
            return Err(Error::Present { id });
        }
        Err(error) => return Err(failed("make", path)(error)),
    }
    sync_directory(shelf)
}

/// Makes what was renamed into `path` survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(failed("write", path))
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn sweep(root: &Path) -> Result<(), Error> {
    // The file system's own idea of now; on a shared volume it may not be this host's.
    let now =
        tempfile::tempfile_in(root).and_then(|probe| probe.metadata()?.modified()).map_err(failed("use", root))?;
    for shelf in directories(root, "")? {
        for path in directories(&shelf, "")? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(REMOVING) || (name.starts_with(MAKING) && is_abandoned(&path, now)) {
                remove_tree(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "git") {
                // One broken repository must not keep the whole site down.
                let swept = sweep_quarantines(&path.join("objects")).and_then(|()| sweep_locks(&path));
                if let Err(error) = swept.and_then(|()| litter::sweep_at_start(&path)) {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(path = %path.display(), error, "what a crash left was not removed");
                }
            }
        }
    }
    Ok(())
}

/// Removes quarantines whose push is dead: their lock is there and free.
fn sweep_quarantines(objects: &Path) -> Result<(), Error> {
    for quarantine in directories(objects, INCOMING)? {
        let lock = quarantine.join("lock");
        // Held until it is gone: whoever is about to take it must not believe that it is theirs.
        if let Ok(file) = fs::File::options().read(true).write(true).open(&lock)
            && let Some(_held) = file::Lock::of(file, &lock)?
        {
            remove_tree(&quarantine)?;
        }
    }
    Ok(())
}

/// A quarantine without a lock was left in the moment of its making: nothing writes into it.
fn remove_when_free(quarantine: &Path) -> Result<(), Error> {
    let (lock, begun) = (quarantine.join("lock"), Instant::now());
    while lock.exists() && matches!(file::Lock::take(&lock), Err(FileError::Locked { .. })) {
        if begun.elapsed() > PATIENCE {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    remove_tree(quarantine)
}

/// The lock files of refs that are there.
pub(crate) fn lock_files(repository: &Path) -> Result<Vec<PathBuf>, Error> {
    let names = ["HEAD.lock", "packed-refs.lock"];
    let mut found: Vec<PathBuf> = names.map(|name| repository.join(name)).into();
    let mut waiting = vec![repository.join("refs")];
    while let Some(directory) = waiting.pop() {
        waiting.extend(directories(&directory, "")?);
        let entries = fs::read_dir(&directory).map_err(failed("read", &directory))?;
        let locks = entries.filter_map(Result::ok).map(|entry| entry.path());
        found.extend(locks.filter(|path| path.extension().is_some_and(|extension| extension == "lock")));
    }
    found.retain(|lock| lock.is_file());
    Ok(found)
}

/// Says whether a directory is a repository whose removal, or whose making, was cut short.
pub(crate) fn is_passing(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let age = || fs::metadata(path).and_then(|facts| facts.modified()).ok()?.elapsed().ok();
    name.starts_with(REMOVING) || (name.starts_with(MAKING) && age().is_some_and(|age| age > ABANDONED))
}

/// Removes lock files that a power cut left: Git would refuse to move those refs for ever. However young they are, while
/// nobody moves refs nobody holds them.
pub(crate) fn sweep_locks(repository: &Path) -> Result<(), Error> {
    let _shut = match moving::shut(repository) {
        Err(FileError::Locked { .. }) => return Ok(()),
        other => other?,
    };
    let found = lock_files(repository)?;
    for lock in &found {
        match fs::remove_file(lock) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", lock)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn is_abandoned(path: &Path, now: SystemTime) -> bool {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > ABANDONED))
}

pub(crate) fn directories(path: &Path, prefix: &str) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("read", path))?,
    };
    let is_wanted = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name().to_string_lossy().starts_with(prefix)
    };
    let entries = entries.collect::<io::Result<Vec<_>>>().map_err(failed("read", path))?;
    Ok(entries.iter().filter(|entry| is_wanted(entry)).map(fs::DirEntry::path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn an_id_is_made_once_and_removed_for_good() {
        let site = Site::start();
        let main = RefName::branch("trunk").unwrap();
        site.block_on(async {
            let again = site.repositories.create(300, &main).await;
            assert!(matches!(again, Err(Error::Present { id: 300 })));
            let made = site.repositories.create(-1, &main).await.unwrap();
            assert!(made.path().ends_with("ff/-1.git"));
            assert_eq!(made.head().await.unwrap(), main);
            site.repositories.remove(-1).await.unwrap();
            site.repositories.remove(-1).await.unwrap();
            assert!(matches!(site.repositories.repo(-1), Err(Error::Absent { id: -1 })));
            assert!(made.branches(1).await.is_err());
        });
        site.git(&["fsck", "--strict"]);
        assert_eq!(site.git(&["config", "--list", "--local"]).lines().count(), 3);
    }

    #[test]
    fn a_removal_cut_short_is_finished_at_the_next_start() {
        let site = Site::start();
        let root = site.root().join("repositories");
        let half = root.join("2c/.gone-44");
        fs::create_dir(&half).unwrap();
        let young = root.join("2c/.new-x");
        fs::create_dir(&young).unwrap();
        Repositories::open(&root).unwrap();
        assert!(!half.exists() && young.exists());
        assert!(site.repositories.repo(300).is_ok());
    }

    #[test]
    fn locks_that_a_power_cut_left_are_removed_unless_somebody_moves_refs() {
        let site = Site::start();
        fs::create_dir(site.repo.path().join("refs/heads/topic")).unwrap();
        let locks = ["refs/heads/topic/a.lock", "packed-refs.lock", "HEAD.lock"];
        let locks = locks.map(|name| site.repo.path().join(name));
        for lock in &locks {
            fs::File::create(lock).unwrap();
        }
        let moving = site.block_on(site.repo.moving()).unwrap();
        Repositories::open(&site.root().join("repositories")).unwrap();
        assert!(locks.iter().all(|lock| lock.exists()));
        drop(moving);
        Repositories::open(&site.root().join("repositories")).unwrap();
        assert!(locks.iter().all(|lock| !lock.exists()));
    }

    #[test]
    fn makers_of_the_same_id_do_not_meet() {
        let site = Site::start();
        let main = RefName::branch("main").unwrap();
        let made = site.block_on(async {
            let both = tokio::join!(site.repositories.create(7, &main), site.repositories.create(7, &main));
            [both.0.is_ok(), both.1.is_ok()]
        });
        assert_eq!(made.iter().filter(|is_made| **is_made).count(), 1);
        let shelf: Vec<_> = directories(&site.root().join("repositories/07"), "").unwrap();
        assert_eq!(shelf.len(), 1);
    }
}
