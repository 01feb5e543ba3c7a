//! One repository: what can be read from it, each on the room's bounded blocking pool.

use base::name::{Oid, RefName, TreePath};

use crate::{Blob, Commit, Diff, DiffLimits, Entry, Error, Listing, Log, RefList, Resolved};

/// A repository on disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repo {}

impl Repo {
    /// Its id.
    pub fn id(&self) -> i64 {
        todo!("skeleton")
    }

    /// The branch that HEAD names, also when it has no commit yet.
    pub async fn head(&self) -> Result<RefName, Error> {
        todo!("skeleton")
    }

    /// Branches by name, at most `limit`.
    pub async fn branches(&self, limit: usize) -> Result<RefList, Error> {
        let _ = limit;
        todo!("skeleton")
    }

    /// Tags that lead to commits, greatest name first (numbers compared as numbers), at most `limit`.
    pub async fn tags(&self, limit: usize) -> Result<RefList, Error> {
        let _ = limit;
        todo!("skeleton")
    }

    /// The commit that a ref leads to; `None` when there is no such ref, or it leads to no commit.
    pub async fn tip(&self, name: &RefName) -> Result<Option<Oid>, Error> {
        let _ = name;
        todo!("skeleton")
    }

    /// What `text` names: a branch, a tag, a full ref name, or an object id of at least seven digits. `None` when it
    /// names nothing, several objects, or no commit.
    pub async fn resolve(&self, text: &str) -> Result<Option<Resolved>, Error> {
        let _ = text;
        todo!("skeleton")
    }

    /// Splits `<revision>/<path>`: the longest branch, else tag, that fits the front, else an object id.
    pub async fn resolve_path(&self, rest: &[u8]) -> Result<Option<(Resolved, TreePath)>, Error> {
        let _ = rest;
        todo!("skeleton")
    }

    /// What is at `path` in the commit; the root tree for the empty path.
    pub async fn entry(&self, commit: &Oid, path: &TreePath) -> Result<Option<Entry>, Error> {
        let _ = (commit, path);
        todo!("skeleton")
    }

    /// The directory at `path`, at most `limit` entries; `None` when there is no directory.
    pub async fn tree(&self, commit: &Oid, path: &TreePath, limit: usize) -> Result<Option<Listing>, Error> {
        let _ = (commit, path, limit);
        todo!("skeleton")
    }

    /// A blob of at most `limit` bytes; only its size when it is larger. `None` when there is no such blob.
    pub async fn blob(&self, id: &Oid, limit: u64) -> Result<Option<Blob>, Error> {
        let _ = (id, limit);
        todo!("skeleton")
    }

    /// `limit` commits from `from` after the first `skip`, newest first by commit date.
    pub async fn log(&self, from: &Oid, skip: usize, limit: usize) -> Result<Log, Error> {
        let _ = (from, skip, limit);
        todo!("skeleton")
    }

    /// A commit in full; `None` when the id is not that of a commit.
    pub async fn commit(&self, id: &Oid) -> Result<Option<Commit>, Error> {
        let _ = id;
        todo!("skeleton")
    }

    /// What the commit changed against its first parent.
    pub async fn diff(&self, commit: &Oid, limits: DiffLimits) -> Result<Diff, Error> {
        let _ = (commit, limits);
        todo!("skeleton")
    }
}
