//! All refs of a repository at one moment, kept until one of them moves. Whether one moved is asked of the file system each
//! time: every way to move a ref renames a file into a directory, and that changes the directory's time. Decides nothing;
//! whoever moves refs never reads here.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use base::kept::Kept;
use base::name::{Oid, RefName};
use gix::ObjectId;
use gix::objs::Kind;
use gix::refs::TargetRef;

use super::refs::natural;
use super::{COMMIT_BYTES, header, load, oid};
use crate::error::Cause;

/// Refs of all tables that are kept; one costs some 250 bytes. A table of more is read anew each time, once for all who
/// wait for it.
const KEPT_REFS: usize = 150_000;
/// Directories of refs that are looked at each time.
const DIRECTORIES: usize = 1_000;
/// A change as young as this may be followed by another that no time tells from it.
const YOUNG: Duration = Duration::from_millis(200);
/// How often refs are read anew that move while they are read.
const READINGS: usize = 20;
/// Where Git keeps the boundary of a history that is not whole.
const SHALLOW: &str = "shallow";
/// Tags of tags that are followed, as pages follow them.
const CHAIN: usize = 10;

/// One ref.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Its full name.
    pub(crate) name: Vec<u8>,
    /// What it holds; for a symbolic one what that leads to.
    pub(crate) id: ObjectId,
    /// What an annotated tag leads to in the end.
    pub(crate) peeled: Option<ObjectId>,
    /// The commit that it leads to.
    pub(crate) commit: Option<Oid>,
    /// The ref that a symbolic one names.
    pub(crate) symbolic: Option<Vec<u8>>,
}

/// Where HEAD is.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The ref that it names; none when it is detached.
    pub(crate) target: Option<Vec<u8>>,
    /// What it leads to; nothing before the first commit.
    pub(crate) id: Option<ObjectId>,
}

/// All refs, by name.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) head: Head,
    pub(crate) refs: Vec<Held>,
    /// Branches that have a commit, by name.
    pub(crate) branches: Arc<[RefName]>,
    /// Tags that lead to a commit, greatest name first.
    pub(crate) tags: Arc<[RefName]>,
    /// Says whether Git itself would tell the same: no ref here leads nowhere or through too many tags.
    pub(crate) is_exact: bool,
    stamps: Vec<(PathBuf, Stamp)>,
}

impl Table {
    /// The ref of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Held> {
        let at = self.refs.binary_search_by(|held| held.name.as_slice().cmp(name.as_bytes())).ok()?;
        self.refs.get(at)
    }

    /// The commit that this ref leads to.
    pub(crate) fn commit(&self, name: &RefName) -> Option<&Oid> {
        self.find(name.as_str())?.commit.as_ref()
    }

    fn is_current(&self) -> bool {
        self.stamps.iter().all(|(path, stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp))
    }
}

/// The tables of a site.
#[derive(Debug)]
pub(crate) struct Tables {
    kept: Kept<i64, Arc<Table>>,
    readings: Mutex<HashMap<i64, Weak<Reading>>>,
}

/// One reading of all refs of a repository, of which all have the fruit who waited when it began.
type Reading = Mutex<Option<(Instant, Arc<Table>)>>;

impl Tables {
    pub(crate) fn new() -> Self {
        Self { kept: Kept::new(KEPT_REFS), readings: Mutex::default() }
    }

    /// The refs as they are now.
    pub(crate) fn get(&self, id: i64, path: &Path, git: &gix::Repository) -> Result<Arc<Table>, Cause> {
        if let Some(table) = self.kept.get(&id).filter(|table| table.is_current()) {
            return Ok(table);
        }
        let (asked, reading) = (Instant::now(), self.reading(id));
        let mut last = reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((begun, table)) = last.as_ref()
            && *begun > asked
        {
            return Ok(Arc::clone(table));
        }
        let begun = Instant::now();
        let table = self.read(id, path, git)?;
        *last = Some((begun, Arc::clone(&table)));
        Ok(table)
    }

    /// Gone with the last one who waits for it.
    fn reading(&self, id: i64) -> Arc<Reading> {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = readings.get(&id).and_then(Weak::upgrade) {
            return reading;
        }
        readings.retain(|_, reading| reading.strong_count() > 0);
        let reading = Arc::default();
        readings.insert(id, Arc::downgrade(&reading));
        reading
    }

    fn read(&self, id: i64, path: &Path, git: &gix::Repository) -> Result<Arc<Table>, Cause> {
        let known = self.kept.get(&id);
        if let Some(table) = known.as_ref().filter(|table| table.is_current()) {
            return Ok(Arc::clone(table));
        }
        let begun = now();
        // Before the refs are read: what moves meanwhile is seen the next time.
        let stamps = stamps(path);
        let mut table = settled(git, || read(git, known.as_deref()))?;
        // Git tells of the boundary as well.
        table.is_exact &= !path.join(SHALLOW).exists();
        let is_settled = |stamps: &[(PathBuf, Stamp)]| stamps.iter().all(|(_, stamp)| stamp.is_older_than(begun));
        match stamps.ok().flatten().filter(|stamps| is_settled(stamps)) {
            Some(stamps) => {
                table.stamps = stamps;
                let table = Arc::new(table);
                self.kept.put(id, table.refs.len() + 8, Arc::clone(&table));
                Ok(table)
            }
            None => Ok(Arc::new(table)),
        }
    }

    /// Drops what is kept of a repository.
    pub(crate) fn forget(&self, id: i64) {
        self.kept.forget(&id);
    }
}

/// What tells one state of a file or directory from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// A file that is not there has a state as well.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) => Ok(Self {
                inode: found.ino(),
                size: found.size(),
                modified: (found.mtime(), found.mtime_nsec()),
                changed: (found.ctime(), found.ctime_nsec()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { inode: 0, size: 0, modified: (0, 0), changed: (0, 0) })
            }
            Err(error) => Err(error),
        }
    }

    fn is_older_than(&self, moment: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed.max(self.modified);
        let since = Duration::new(seconds.unsigned_abs(), u32::try_from(nanoseconds).unwrap_or(0));
        moment.duration_since(SystemTime::UNIX_EPOCH + since).is_ok_and(|age| age > YOUNG)
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of files, which are of this clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// HEAD, the packed refs and every directory that loose ones are in; `None` when these are too many.
fn stamps(repository: &Path) -> io::Result<Option<Vec<(PathBuf, Stamp)>>> {
    let mut found = Vec::new();
    for name in ["HEAD", "packed-refs", SHALLOW] {
        let path = repository.join(name);
        found.push((path.clone(), Stamp::of(&path)?));
    }
    let mut waiting = vec![repository.join("refs")];
    while let Some(directory) = waiting.pop() {
        // Its time before its entries: what is made in between is seen the next time.
        found.push((directory.clone(), Stamp::of(&directory)?));
        if found.len() > DIRECTORIES {
            return Ok(None);
        }
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(Some(found))
}

/// Reads refs until Git packed none meanwhile: the packed ones are opened before loose ones are looked for, and one that is packed in between
/// would be in neither; one that goes in between does not read.
pub(super) fn settled<T>(git: &gix::Repository, mut read: impl FnMut() -> Result<T, Cause>) -> Result<T, Cause> {
    let packed = git.git_dir().join("packed-refs");
    for _ in 0..READINGS {
        let begun = Stamp::of(&packed)?;
        let found = read();
        if found.is_ok() && Stamp::of(&packed)? == begun {
            return found;
        }
    }
    read()
}

fn read(git: &gix::Repository, before: Option<&Table>) -> Result<Table, Cause> {
    // Most refs are where they were: what they lead to need not be looked up again.
    let known: HashMap<ObjectId, &Held> =
        before.map(|table| table.refs.iter().map(|held| (held.id, held)).collect()).unwrap_or_default();
    let mut is_exact = true;
    let mut refs = Vec::new();
    for found in git.references()?.all()? {
        let mut found = found?;
        let name = found.name().as_bstr().to_vec();
        let symbolic = match found.target() {
            TargetRef::Symbolic(target) => Some(target.as_bstr().to_vec()),
            TargetRef::Object(_) => None,
        };
        let Ok(id) = found.follow_to_object() else {
            is_exact = false;
            continue;
        };
        let id = id.detach();
        match known.get(&id) {
            Some(held) => refs.push(Held { name, id, symbolic, peeled: held.peeled, commit: held.commit.clone() }),
            None => match follow(git, id)? {
                Some((peeled, commit)) => refs.push(Held { name, id, peeled, commit, symbolic }),
                None => is_exact = false,
            },
        }
    }
    refs.sort_by(|a, b| a.name.cmp(&b.name));
    let head = head(git, &refs, &mut is_exact)?;
    let branches = names(&refs, b"refs/heads/").into();
    let mut tags = names(&refs, b"refs/tags/");
    tags.sort_by(|a, b| natural(b.as_str().as_bytes(), a.as_str().as_bytes()));
    Ok(Table { head, refs, branches, tags: tags.into(), is_exact, stamps: Vec::new() })
}

type Followed = (Option<ObjectId>, Option<Oid>);

/// What a tag leads to, and the commit; `None` when there is no such object, or the chain of tags is too long.
fn follow(git: &gix::Repository, id: ObjectId) -> Result<Option<Followed>, Cause> {
    let mut at = id;
    for _ in 0..=CHAIN {
        match header(git, at)? {
            None => return Ok(None),
            Some((Kind::Tag, _)) => {
                let Some(data) = load(git, at, Kind::Tag, COMMIT_BYTES)? else { return Ok(None) };
                at = gix::objs::TagRefIter::from_bytes(&data, at.kind()).target_id()?;
            }
            Some((kind, _)) => {
                let commit = if kind == Kind::Commit { Some(oid(at)?) } else { None };
                return Ok(Some(((at != id).then_some(at), commit)));
            }
        }
    }
    Ok(None)
}

fn head(git: &gix::Repository, refs: &[Held], is_exact: &mut bool) -> Result<Head, Cause> {
    let head = git.head()?;
    if let gix::head::Kind::Detached { target, .. } = head.kind {
        *is_exact &= matches!(header(git, target)?, Some((Kind::Commit, _)));
        return Ok(Head { target: None, id: Some(target) });
    }
    let target = head.referent_name().ok_or("HEAD names no branch")?.as_bstr().to_vec();
    let held = refs.binary_search_by(|held| held.name.cmp(&target)).ok().and_then(|at| refs.get(at));
    // A ref that was left out is there for Git, and so is one that HEAD leads to through another.
    *is_exact &= held.is_some_and(|held| held.symbolic.is_none()) || matches!(head.kind, gix::head::Kind::Unborn(_));
    Ok(Head { target: Some(target), id: held.map(|held| held.id) })
}

/// A ref whose name is none of ours was not pushed here; pages could not link to it.
fn names(refs: &[Held], prefix: &[u8]) -> Vec<RefName> {
    let named = refs.iter().filter(|held| held.commit.is_some() && held.name.starts_with(prefix));
    named.filter_map(|held| RefName::parse(std::str::from_utf8(&held.name).ok()?).ok()).collect()
}
