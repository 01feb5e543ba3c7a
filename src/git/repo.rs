//! One repository: what can be read from it, each on the room's bounded blocking pool. Never writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::name::{NameError, Oid, RefName, TreePath};
use tokio::sync::Semaphore;

use crate::error::Cause;
use crate::gates::{Gates, blocking};
use crate::read::table::Table;
use crate::read::{commits, diff, ref_pages, refs, trees};
use crate::receive::INCOMING;
use crate::repositories::Shared;
use crate::{
    Blob, Commit, CommitSummary, Diff, DiffOptions, Entry, Error, Listing, Log, Overview, RefKind, RefList, RefPage,
    Resolved,
};

/// A repository on disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repo {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: i64,
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Repo {
    pub(crate) fn new(id: i64, path: PathBuf, shared: &Arc<Shared>) -> Self {
        Self { inner: Arc::new(Inner { id, path, shared: Arc::clone(shared) }) }
    }

    /// Its id.
    pub fn id(&self) -> i64 {
        self.inner.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.inner.path
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.inner.shared.gates
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// The branch that HEAD names, also when it has no commit yet.
    pub async fn head(&self) -> Result<RefName, Error> {
        self.read("HEAD", refs::head).await
    }

    /// HEAD's branch and the names of branches and tags, all of one moment: what surrounds a page.
    pub async fn overview(&self) -> Result<Overview, Error> {
        self.read_refs("refs", |_, table| {
            let head = table.head.target.as_deref().and_then(|name| std::str::from_utf8(name).ok());
            let default_branch = RefName::parse(head.ok_or("HEAD names no branch")?)?;
            let tip = table.commit(&default_branch).cloned();
            Ok(Overview { default_branch, tip, branches: Arc::clone(&table.branches), tags: Arc::clone(&table.tags) })
        })
        .await
    }

    /// Branches by name, at most `limit`.
    pub async fn branches(&self, limit: usize) -> Result<RefList, Error> {
        self.read_refs("branches", move |_, table| Ok(refs::list(table, &table.branches, limit))).await
    }

    /// Tags that lead to commits, greatest name first (numbers compared as numbers), at most `limit`.
    pub async fn tags(&self, limit: usize) -> Result<RefList, Error> {
        self.read_refs("tags", move |_, table| Ok(refs::list(table, &table.tags, limit))).await
    }

    /// A page of branches or tags: `limit` of them after the first `skip`, with what each leads to.
    pub async fn ref_page(&self, kind: RefKind, skip: usize, limit: usize) -> Result<RefPage, Error> {
        self.read_refs("refs", move |git, table| ref_pages::page(git, table, kind, skip, limit)).await
    }

    /// The commit that a ref leads to; `None` when there is no such ref, or it leads to no commit.
    pub async fn tip(&self, name: &RefName) -> Result<Option<Oid>, Error> {
        let name = name.clone();
        self.read("a ref", move |git| refs::tip(git, &name)).await
    }

    /// What a ref holds, tags not peeled; `None` when there is no such ref.
    pub async fn target(&self, name: &RefName) -> Result<Option<Oid>, Error> {
        let name = name.clone();
        self.read("a ref", move |git| refs::target(git, &name)).await
    }

    /// What `text` names: a branch, a tag, a full ref name, or an object id of at least seven digits. `None` when it
    /// names nothing, several commits, or no commit.
    pub async fn resolve(&self, text: &str) -> Result<Option<Resolved>, Error> {
        let text = text.to_owned();
        self.read_refs("a revision", move |git, table| refs::resolve(git, table, &text)).await
    }

    /// Splits `<revision>/<path>`: the branch, else the tag, that fits the front, else an object id.
    pub async fn resolve_path(&self, rest: &[u8]) -> Result<Option<(Resolved, TreePath)>, Error> {
        let rest = rest.to_vec();
        self.read_refs("a revision", move |git, table| refs::resolve_path(git, table, &rest)).await
    }

    /// What is at `path` in the commit; the root tree for the empty path.
    pub async fn entry(&self, commit: &Oid, path: &TreePath) -> Result<Option<Entry>, Error> {
        let (commit, path) = (commit.clone(), path.clone());
        self.read("a tree", move |git| trees::entry(git, &commit, &path)).await
    }

    /// The directory at `path`, at most `limit` entries; `None` when there is no directory.
    pub async fn tree(&self, commit: &Oid, path: &TreePath, limit: usize) -> Result<Option<Listing>, Error> {
        let (commit, path) = (commit.clone(), path.clone());
        self.read("a tree", move |git| trees::listing(git, &commit, &path, limit)).await
    }

    /// A blob of at most `limit` bytes; only its size when it is larger. `None` when there is no such blob.
    pub async fn blob(&self, id: &Oid, limit: u64) -> Result<Option<Blob>, Error> {
        let id = id.clone();
        self.read("a blob", move |git| trees::blob(git, &id, limit)).await
    }

    /// `limit` commits from `from` after the first `skip` (at most 50,000), newest first by commit date.
    pub async fn log(&self, from: &Oid, skip: usize, limit: usize) -> Result<Log, Error> {
        let from = from.clone();
        self.read("the history", move |git| commits::log(git, &from, skip, limit)).await
    }

    /// What lists show of these commits; ids of none are left out.
    pub(crate) async fn summaries(&self, ids: Vec<Oid>) -> Result<Vec<CommitSummary>, Error> {
        self.read("commits", move |git| commits::summaries(git, &ids)).await
    }

    /// A commit in full; `None` when the id is not that of a commit.
    pub async fn commit(&self, id: &Oid) -> Result<Option<Commit>, Error> {
        let id = id.clone();
        self.read("a commit", move |git| commits::commit(git, &id)).await
    }

    /// What the commit changed against its first parent; empty when the id is not that of a commit.
    pub async fn diff(&self, commit: &Oid, options: impl Into<DiffOptions>) -> Result<Diff, Error> {
        self.diff_between(None, commit, options).await
    }

    /// What differs between two commits; without a base, what the commit changed against its first parent.
    pub async fn diff_between(
        &self,
        base: Option<&Oid>,
        head: &Oid,
        options: impl Into<DiffOptions>,
    ) -> Result<Diff, Error> {
        let (base, head, options) = (base.cloned(), head.clone(), options.into());
        self.read("a diff", move |git| diff::between(git, base.as_ref(), &head, &options)).await
    }

    /// Every ref as it is stored, by name, tags not peeled.
    pub async fn all_refs(&self) -> Result<Vec<(Vec<u8>, Oid)>, Error> {
        self.read("refs", refs::all).await
    }

    /// Bytes of its objects on disk. What is still in a quarantine does not count.
    pub async fn size_on_disk(&self) -> Result<u64, Error> {
        let objects = self.path().join("objects");
        blocking(&self.gates().reads, move || Ok(size(&objects))).await
    }

    /// Lets the next reader open the repository anew.
    pub(crate) fn forget_handle(&self) {
        self.inner.shared.handles.forget(self.inner.id);
    }

    /// All refs as they are now, for who tells clients of them.
    pub(crate) async fn table(&self) -> Result<Arc<Table>, Error> {
        let inner = Arc::clone(&self.inner);
        self.read("refs", move |git| inner.shared.tables.get(inner.id, &inner.path, git)).await
    }

    /// As [`Repo::read`], for what also looks at refs.
    pub(crate) async fn read_refs<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl Fn(&gix::Repository, &Table) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        self.read(what, move |git| work(git, &*inner.shared.tables.get(inner.id, &inner.path, git)?)).await
    }

    /// Runs `work` on a warm handle. One that fails for what may have been replaced under it is opened anew and tried once
    /// more.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl Fn(&gix::Repository) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Error> {
        self.read_at(&self.gates().reads, what, work).await
    }

    /// As [`Repo::read`], at a place of this gate.
    pub(crate) async fn read_at<T: Send + 'static>(
        &self,
        gate: &Arc<Semaphore>,
        what: &'static str,
        work: impl Fn(&gix::Repository) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        blocking(gate, move || {
            let handles = &inner.shared.handles;
            let attempt = || handles.get(inner.id, &inner.path).and_then(|git| work(&git));
            attempt()
                .or_else(|cause| {
                    if is_lasting(&cause) {
                        return Err(cause);
                    }
                    handles.forget(inner.id);
                    attempt()
                })
                .map_err(|source| Error::Read { what, id: inner.id, source })
        })
        .await
    }
}

/// Says whether it would fail the same on packs that have replaced these: it lies in what was asked for.
fn is_lasting(cause: &Cause) -> bool {
    cause.is::<Error>() || cause.is::<NameError>()
}

/// Bytes of the files below `directory`, quarantines left out. What goes away meanwhile takes no room.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_kept = |entry: &std::fs::DirEntry| !entry.file_name().to_string_lossy().starts_with(INCOMING);
    let sizes = entries.filter(is_kept).filter_map(|entry| {
        let facts = entry.metadata().ok()?;
        Some(if facts.is_dir() { size(&entry.path()) } else { facts.len() })
    });
    sizes.fold(0, u64::saturating_add)
}
