//! Locks of large files: a word to others that somebody is at work on a path. Git LFS clients keep to them; a push is
//! not judged by them.

use store::lfs_locks::{self, LfsLockRecord, NewLfsLock};

use base::clock::Timestamp;
use base::name::TreePath;

use crate::events::{Happened, record};
use crate::{Access, Actor, Error, Forge, RepoRead, RepoWrite, Scope, User};

/// Locks of one repository.
const MOST: i64 = 10_000;
/// Locks on one page of a list.
const PAGE: u32 = 100;

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LfsLock {
    /// Its id.
    pub id: String,
    /// The path in the repository.
    pub path: String,
    /// Whose it is.
    pub owner: String,
    /// When it was taken.
    pub created: Timestamp,
    /// Says whether it is the asking actor's own.
    pub is_own: bool,
}

/// Some of a repository's locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LfsLocks {
    /// By path.
    pub locks: Vec<LfsLock>,
    /// What to ask for next, when there are more.
    pub next: Option<String>,
}

/// What came of asking for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LfsLocked {
    /// It is the actor's now.
    Taken(LfsLock),
    /// The path has one, perhaps the actor's own.
    Held(LfsLock),
}

/// Which locks are asked for.
#[derive(Clone, Debug, Default)]
pub struct LfsLockFilter {
    /// The lock of this path alone.
    pub path: Option<String>,
    /// The lock of this id alone.
    pub id: Option<String>,
    /// What the page before said to ask for next.
    pub cursor: Option<String>,
    /// How many at most; 100 at most.
    pub limit: Option<u32>,
}

impl Forge {
    /// A page of the repository's locks.
    pub async fn lfs_locks(&self, repo: &RepoRead, filter: &LfsLockFilter) -> Result<LfsLocks, Error> {
        let database = self.0.store.read();
        let one = |found: Option<LfsLockRecord>| {
            let locks = found.into_iter().map(|lock| view(repo, lock)).collect();
            LfsLocks { locks, next: None }
        };
        if let Some(id) = &filter.id {
            let found = lfs_locks::by_id(&database, repo.id, id).await?;
            return Ok(one(found.filter(|lock| filter.path.as_ref().is_none_or(|path| *path == lock.path))));
        }
        if let Some(path) = &filter.path {
            return Ok(one(lfs_locks::by_path(&database, repo.id, path).await?));
        }
        let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE);
        let after = filter.cursor.as_deref().unwrap_or_default();
        let mut found = lfs_locks::behind(&database, repo.id, after, i64::from(limit) + 1).await?;
        let has_more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if has_more {
            found.pop();
        }
        let next = found.last().filter(|_| has_more).map(|lock| lock.path.clone());
        Ok(LfsLocks { locks: found.into_iter().map(|lock| view(repo, lock)).collect(), next })
    }

    /// Takes the lock of a path. Fails with `Field` on `path`.
    pub async fn take_lfs_lock(&self, repo: &RepoWrite, path: &str) -> Result<LfsLocked, Error> {
        let repo = &repo.0;
        // A key has no name that others could turn to.
        let nobody = || Error::Denied { action: "lock files with a deploy key".into() };
        let owner_id = repo.who()?.id.ok_or_else(nobody)?;
        let path = path_of(path)?;
        let id = vault::random::token();
        let tx = self.0.store.begin().await?;
        if lfs_locks::count(&tx, repo.id).await? >= MOST {
            return Err(Error::Field { field: "path", problem: format!("is one too many; {MOST} locks are the most") });
        }
        let new = NewLfsLock { id: id.expose(), repo_id: repo.id, path: &path, owner_id, created: self.now() };
        let is_taken = lfs_locks::insert(&tx, &new).await?;
        let lock = lfs_locks::by_path(&tx, repo.id, &path).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        let lock = view(repo, lock);
        Ok(if is_taken { LfsLocked::Taken(lock) } else { LfsLocked::Held(lock) })
    }

    /// Gives a lock back: one's own, or with `force` anybody's, for who maintains the repository.
    /// `Denied` names whose it is.
    pub async fn release_lfs_lock(
        &self,
        repo: &RepoWrite,
        actor: &Actor,
        id: &str,
        is_forced: bool,
    ) -> Result<LfsLock, Error> {
        let repo = &repo.0;
        let may_break = is_forced && self.may_break_locks(repo, actor).await?;
        let tx = self.0.store.begin().await?;
        let found = lfs_locks::by_id(&tx, repo.id, id).await?.ok_or(Error::NotFound)?;
        let lock = view(repo, found);
        if !lock.is_own {
            if !may_break {
                return Err(Error::Denied { action: format!("take the lock of {} on `{}`", lock.owner, lock.path) });
            }
            let by = repo.by.as_ref().ok_or(Error::SignInNeeded)?;
            let event = Happened::LfsLockBroken { id: repo.id, path: &lock.path, owner: &lock.owner };
            record(&tx, self.now(), by, event).await?;
        }
        lfs_locks::remove(&tx, repo.id, id).await?;
        tx.commit().await?;
        Ok(lock)
    }

    /// Who may take another one's lock away: whose account maintains the repository, also when they come with a token or a
    /// key that only pushes, which is all that a Git client has.
    async fn may_break_locks(&self, repo: &RepoRead, actor: &Actor) -> Result<bool, Error> {
        let Actor::User(user) = actor else { return Ok(false) };
        let account = Actor::User(User { scope: Scope::Full, ..user.clone() });
        match self.repo(&account, &repo.summary.path).await {
            Ok(now) => Ok(now.id == repo.id && now.access >= Access::Maintain),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A path as clients name it, kept as it is: no file of ours is named by it.
fn path_of(text: &str) -> Result<String, Error> {
    let refused = |problem: &str| Error::Field { field: "path", problem: problem.into() };
    let parsed = TreePath::parse(text.as_bytes()).map_err(|_| refused("is not a path inside a repository"))?;
    if parsed.is_root() || text.chars().any(char::is_control) {
        return Err(refused("is not a path inside a repository"));
    }
    Ok(parsed.to_string())
}

fn view(repo: &RepoRead, lock: LfsLockRecord) -> LfsLock {
    let LfsLockRecord { id, path, owner_id, owner, created } = lock;
    let is_own = repo.by.as_ref().is_some_and(|who| who.id == Some(owner_id));
    LfsLock { id, path, owner, created, is_own }
}
