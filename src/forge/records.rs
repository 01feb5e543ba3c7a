//! What machines read of a repository, a page at a time with the number of all. Every function takes the proof that the
//! actor may read it; nothing here writes.

use std::time::Duration;

use base::name::{Oid, RefName, TreePath};
// What machines read is Git's own; there is nothing to say about it in other words.
pub use git::{ChangeSums, CommitPerson, CommitRecord, RefRecord, TagRecord, WalkEntry, WalkedTree};

use crate::browse::in_time;
use crate::{EntryKind, Error, Forge, RefKind, RepoRead};

/// Bytes of a file that travel inside an answer.
const CONTENT: u64 = 16 << 20;
/// Entries of a directory.
const ENTRIES: usize = 5_000;

/// How long a counted history is remembered.
const COUNTED: Duration = Duration::from_hours(24);

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How many to leave out.
    pub skip: usize,
    /// How many at most.
    pub limit: usize,
}

impl Stretch {
    /// Limit and offset for the database.
    pub(crate) fn in_rows(self) -> (i64, i64) {
        (i64::try_from(self.limit).unwrap_or(i64::MAX), i64::try_from(self.skip).unwrap_or(i64::MAX))
    }
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    /// The part.
    pub rows: Vec<T>,
    /// How many there are in all.
    pub total: usize,
}

/// A branch or a tag with the commit that it leads to.
#[derive(Clone, Debug)]
pub struct RefView {
    /// The ref.
    pub record: RefRecord,
    /// The commit.
    pub commit: CommitRecord,
}

/// A file, a directory, a link or a submodule in a commit.
#[derive(Clone, Debug)]
pub struct ContentEntry {
    /// Its path from the root.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
    /// The object.
    pub id: Oid,
    /// Bytes; files and links only.
    pub size: u64,
    /// The commit that last changed it; `None` when it was not found in time.
    pub latest: Option<Oid>,
    /// Its bytes: one file or link asked for by its path, and no more than 16 MiB.
    pub bytes: Option<Vec<u8>>,
}

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Contents {
    /// A directory's entries, at most 5,000.
    Directory(Vec<ContentEntry>),
    /// Anything else.
    One(Box<ContentEntry>),
}

/// A blob by its own id.
#[derive(Clone, Debug)]
pub struct BlobView {
    /// Its id.
    pub id: Oid,
    /// Bytes.
    pub size: u64,
    /// Its bytes; `None` for more than 16 MiB.
    pub bytes: Option<Vec<u8>>,
}

impl Forge {
    /// The branch that HEAD names, and whether it has a commit.
    pub async fn default_branch(&self, repo: &RepoRead) -> Result<(RefName, bool), Error> {
        let handle = self.handle(repo)?;
        let head = handle.head().await?;
        let is_there = handle.target(&head).await?.is_some();
        Ok((head, is_there))
    }

    /// A page of the history behind `from` (a branch, a tag or an object id; the default branch when empty), newest
    /// first, and how many commits there are in all; those alone that changed what is at `path`.
    pub async fn commit_page(
        &self,
        repo: &RepoRead,
        from: &str,
        path: &str,
        window: Stretch,
    ) -> Result<Paged<CommitRecord>, Error> {
        let handle = self.handle(repo)?;
        let path = TreePath::parse(path.as_bytes()).map_err(|_| Error::NotFound)?;
        let from = if from.is_empty() {
            self.tip_of_default(repo).await?
        } else {
            Some(self.revision(repo, from).await?.commit)
        };
        let Some(from) = from else { return Ok(Paged { rows: Vec::new(), total: 0 }) };
        let Stretch { skip, limit } = window;
        let log = if path.is_root() {
            handle.log(&from, skip, limit).await?
        } else {
            handle.log_of_path(&from, &path, skip, limit).await.map_err(in_time)?
        };
        let rows = handle.commit_records(log.commits.into_iter().map(|commit| commit.id).collect()).await?;
        // Whoever sees the end of a list has counted it.
        let seen = skip.saturating_add(rows.len());
        let is_end = !log.has_more && (!rows.is_empty() || skip == 0);
        let total = if is_end { seen } else { self.counted(repo, &from, &path).await? };
        Ok(Paged { rows, total })
    }

    /// How many commits there are behind a commit, of those that changed what is at `path`. Another commit is another
    /// key, so what one replica counted holds at all of them for good; without Redis it is counted again.
    async fn counted(&self, repo: &RepoRead, from: &Oid, path: &TreePath) -> Result<usize, Error> {
        let key = format!("commits:{}:{from}:{}", repo.id, vault::digest::sha256_hex(path.as_bytes()));
        if let Some(known) = self.0.signals.get(&key).await.and_then(|text| text.parse().ok()) {
            return Ok(known);
        }
        let total = self.handle(repo)?.count_commits(from, path).await.map_err(in_time)?;
        self.0.signals.put(&key, &total.to_string(), COUNTED).await;
        Ok(total)
    }

    /// The commit that `text` names: a branch, a tag or an object id of at least seven digits.
    pub async fn commit_record(&self, repo: &RepoRead, text: &str) -> Result<CommitRecord, Error> {
        let id = self.revision(repo, text).await?.commit;
        self.handle(repo)?.commit_records(vec![id]).await?.pop().ok_or(Error::NotFound)
    }

    /// A part of the commits behind `head` and not behind `base`, newest first.
    pub async fn commits_between(
        &self,
        repo: &RepoRead,
        base: &str,
        head: &str,
        window: Stretch,
    ) -> Result<Paged<CommitRecord>, Error> {
        let (base, head) = (self.revision(repo, base).await?.commit, self.revision(repo, head).await?.commit);
        let handle = self.handle(repo)?;
        let found = handle.commits_between(&base, &head, window.skip, window.limit).await.map_err(in_time)?;
        let (ids, total) = found;
        Ok(Paged { rows: handle.commit_records(ids).await?, total })
    }

    /// What each commit changed against its first parent, in sums.
    pub async fn change_sums(&self, repo: &RepoRead, commits: &[CommitRecord]) -> Result<Vec<ChangeSums>, Error> {
        let handle = self.handle(repo)?;
        let mut sums = Vec::with_capacity(commits.len());
        for commit in commits {
            sums.push(handle.change_sums(&commit.id).await?);
        }
        Ok(sums)
    }

    /// A page of branches by name, or of tags by version. Tags that lead to no commit are left out.
    pub async fn ref_views(&self, repo: &RepoRead, kind: RefKind, window: Stretch) -> Result<Paged<RefView>, Error> {
        let handle = self.handle(repo)?;
        let kinds: &'static [git::RefKind] = match kind {
            RefKind::Branches => &[git::RefKind::Branches],
            RefKind::Tags => &[git::RefKind::Tags],
        };
        let found = handle.ref_records(kinds, "", window.skip, window.limit).await?;
        let mut rows = Vec::with_capacity(found.rows.len());
        for record in found.rows {
            rows.extend(view(&handle, record).await?);
        }
        Ok(Paged { rows, total: found.total })
    }

    /// One branch or tag.
    pub async fn ref_view(&self, repo: &RepoRead, name: &RefName) -> Result<RefView, Error> {
        let handle = self.handle(repo)?;
        let record = handle.ref_record(name).await?.ok_or(Error::NotFound)?;
        view(&handle, record).await?.ok_or(Error::NotFound)
    }

    /// A page of branches and tags whose full names begin with `prefix`.
    pub async fn ref_records(&self, repo: &RepoRead, prefix: &str, window: Stretch) -> Result<Paged<RefRecord>, Error> {
        const BOTH: &[git::RefKind] = &[git::RefKind::Branches, git::RefKind::Tags];
        let found = self.handle(repo)?.ref_records(BOTH, prefix, window.skip, window.limit).await?;
        Ok(Paged { rows: found.rows, total: found.total })
    }

    /// The object of an annotated tag.
    pub async fn tag_record(&self, repo: &RepoRead, id: &Oid) -> Result<TagRecord, Error> {
        self.handle(repo)?.tag_record(id).await?.ok_or(Error::NotFound)
    }

    /// A page of a tree: of one by its id, or of what `text` names.
    pub async fn walk(
        &self,
        repo: &RepoRead,
        text: &str,
        is_recursive: bool,
        window: Stretch,
    ) -> Result<WalkedTree, Error> {
        let id = match Oid::parse(text) {
            Ok(id) => id,
            Err(_) => self.revision(repo, text).await?.commit,
        };
        let walked = self.handle(repo)?.walk_tree(&id, is_recursive, window.skip, window.limit).await?;
        walked.ok_or(Error::NotFound)
    }

    /// The id of what is at `path` in a commit.
    pub async fn file_id(&self, repo: &RepoRead, commit: &Oid, path: &TreePath) -> Result<Oid, Error> {
        let entry = self.handle(repo)?.entry(commit, path).await?;
        entry.map(|entry| entry.id).ok_or(Error::NotFound)
    }

    /// A blob by its id.
    pub async fn blob(&self, repo: &RepoRead, id: &Oid) -> Result<BlobView, Error> {
        let blob = self.handle(repo)?.blob(id, CONTENT).await?.ok_or(Error::NotFound)?;
        self.tell_read(repo, "file");
        Ok(BlobView { id: id.clone(), size: blob.size, bytes: blob.content })
    }

    /// What is at `path` in the commit that `from` names (the default branch when empty).
    pub async fn contents(&self, repo: &RepoRead, from: &str, path: &TreePath) -> Result<Contents, Error> {
        let handle = self.handle(repo)?;
        let commit = if from.is_empty() {
            self.tip_of_default(repo).await?.ok_or(Error::NotFound)?
        } else {
            self.revision(repo, from).await?.commit
        };
        let entry = handle.entry(&commit, path).await?.ok_or(Error::NotFound)?;
        if entry.kind == git::EntryKind::Tree {
            let tree = handle.tree(&commit, path, ENTRIES).await?.ok_or(Error::NotFound)?;
            let names = tree.entries.iter().map(|entry| entry.name.clone()).collect();
            let latest = handle.latest_commits(&commit, path, names, crate::browse::LATEST).await?;
            let rows = tree.entries.into_iter().zip(latest);
            return Ok(Contents::Directory(
                rows.map(|(entry, latest)| content(entry, latest.map(|commit| commit.id.clone()))).collect(),
            ));
        }
        let log = handle.log_of_path(&commit, path, 0, 1).await.map_err(in_time)?;
        let mut one = content(entry, log.commits.into_iter().next().map(|commit| commit.id));
        if one.kind != EntryKind::Submodule {
            one.bytes = handle.blob(&one.id, CONTENT).await?.and_then(|blob| blob.content);
            self.tell_read(repo, "file");
        }
        Ok(Contents::One(Box::new(one)))
    }

    async fn tip_of_default(&self, repo: &RepoRead) -> Result<Option<Oid>, Error> {
        let handle = self.handle(repo)?;
        Ok(handle.tip(&handle.head().await?).await?)
    }
}

async fn view(handle: &git::Repo, record: RefRecord) -> Result<Option<RefView>, Error> {
    let Some(commit) = record.commit.clone() else { return Ok(None) };
    let commit = handle.commit_records(vec![commit]).await?.pop();
    Ok(commit.map(|commit| RefView { record, commit }))
}

fn content(entry: git::Entry, latest: Option<Oid>) -> ContentEntry {
    let entry = crate::Entry::from(entry);
    ContentEntry {
        path: entry.path,
        kind: entry.kind,
        id: entry.id,
        size: entry.size.unwrap_or_default(),
        latest,
        bytes: None,
    }
}
