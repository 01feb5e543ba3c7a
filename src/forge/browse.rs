//! What pages read from a repository. Every function takes the proof that the actor may. Never holds more of a
//! repository in memory than one page shows.

use std::sync::Arc;
use std::time::Duration;

use base::name::{Oid, RefName, RepoPath, TreePath};
use git::{DiffLimits, Repo};

use crate::compare::{DiffChoice, options};
use crate::convert::{commit_summary, latest_commit, ref_row};
use crate::{
    Access, Blame, BlameSpan, CloneUrls, CommitView, Entry, EntryKind, Error, File, FileContent, Forge, History,
    Readme, RefKind, RefPage, RepoFrame, RepoRead, Revision, Tree, TreeOrFile,
};

/// Branches, and tags, around a page.
const REFS: usize = 1_000;
/// Entries of a directory on a page.
pub(crate) const ENTRIES: usize = 5_000;
/// Bytes of a file on a page.
const TEXT: u64 = 1 << 20;
/// Bytes of a README on a page.
const README: u64 = 512 << 10;
/// Time that a directory waits for the commits that last changed its entries.
pub(crate) const LATEST: Duration = Duration::from_millis(80);
/// Commits on a page.
const COMMITS: usize = 50;
/// Lines of a file whose last changes are looked for.
const BLAMED_LINES: usize = 20_000;
/// Branches, or tags, on a page of their own.
const REFERENCES: usize = 50;
/// Pages of a history: as far as Git walks for us.
const PAGES: u32 = 4_000;

impl Forge {
    /// What surrounds every page of the repository.
    pub async fn frame(&self, repo: &RepoRead) -> Result<RepoFrame, Error> {
        let handle = self.handle(repo)?;
        let refs = handle.overview().await?;
        let names = |list: &[RefName]| list.iter().take(REFS).cloned().collect();
        Ok(RepoFrame {
            repo: repo.summary.clone(),
            clone: self.clone_urls(&repo.summary.path),
            branches: names(&refs.branches),
            tags: names(&refs.tags),
            default_branch: refs.default_branch,
            can_write: repo.access >= Access::Write,
            can_maintain: repo.access >= Access::Maintain,
            can_admin: repo.access >= Access::Admin,
        })
    }

    /// Where a repository is cloned from.
    pub(crate) fn clone_urls(&self, path: &RepoPath) -> CloneUrls {
        let settings = self.settings();
        let ssh_host = &settings.ssh_clone_host;
        let ssh = if settings.ssh_port == 22 {
            format!("git@{ssh_host}:{path}.git")
        } else {
            format!("ssh://git@{ssh_host}:{}/{path}.git", settings.ssh_port)
        };
        CloneUrls { http: format!("{}/{path}.git", settings.site_url), ssh }
    }

    /// The root directory of the default branch; `None` while the repository is empty.
    pub async fn home(&self, repo: &RepoRead) -> Result<Option<Tree>, Error> {
        let handle = self.handle(repo)?;
        match default_revision(&handle).await? {
            Some(revision) => self.tree(&handle, revision, TreePath::default()).await.map(Some),
            None => Ok(None),
        }
    }

    /// What `<revision>/<path>` names, percent-decoded bytes: the longest branch or tag name that fits, else an object id.
    pub async fn tree_or_file(&self, repo: &RepoRead, rest: &[u8]) -> Result<TreeOrFile, Error> {
        let handle = self.handle(repo)?;
        let (revision, path) = locate(&handle, rest).await?;
        let entry = handle.entry(&revision.commit, &path).await?.ok_or(Error::NotFound)?;
        match entry.kind {
            git::EntryKind::Tree => self.tree(&handle, revision, path).await.map(TreeOrFile::Tree),
            git::EntryKind::Submodule => Err(Error::NotFound),
            kind => file(&handle, revision, path, &entry.id, kind).await.map(TreeOrFile::File),
        }
    }

    /// A page of 50 commits from what `rest` names (a branch, tag or object id; the default branch when empty), those
    /// alone that changed what is at the path, when `rest` names one behind it. `NotFound` past page 4,000, for an empty
    /// repository, and for a path that no commit changed.
    pub async fn history(&self, repo: &RepoRead, rest: &[u8], page: u32) -> Result<History, Error> {
        let handle = self.handle(repo)?;
        if page > PAGES {
            return Err(Error::NotFound);
        }
        let (revision, path) = starting_point(&handle, rest).await?;
        let page = page.max(1);
        let skip = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(COMMITS);
        let place = (repo.id, revision.commit.clone(), path.clone(), page);
        let log = match self.0.seen.logs.get(&place) {
            Some(log) => log,
            None if path.is_root() => Arc::new(handle.log(&revision.commit, skip, COMMITS).await?),
            None => Arc::new(handle.log_of_path(&revision.commit, &path, skip, COMMITS).await.map_err(in_time)?),
        };
        if log.commits.is_empty() && page == 1 {
            return Err(Error::NotFound);
        }
        self.0.seen.logs.put(place, log.commits.len() + 1, Arc::clone(&log));
        let commits = log.commits.iter().cloned().map(commit_summary).collect();
        Ok(History { revision, path, commits, page, has_more: log.has_more })
    }

    /// Who last changed each line of a file; no line of one that is not text, or larger than 1 MiB or 20,000 lines.
    /// Fails with `Busy` when Git does not find it in time.
    pub async fn blame(&self, repo: &RepoRead, rest: &[u8]) -> Result<Blame, Error> {
        let TreeOrFile::File(file) = self.tree_or_file(repo, rest).await? else { return Err(Error::NotFound) };
        let has_lines = matches!(&file.content, FileContent::Text(text) if text.lines().count() <= BLAMED_LINES);
        if !has_lines {
            return Ok(Blame { file, spans: Vec::new() });
        }
        let found = self.handle(repo)?.blame(&file.revision.commit, &file.path).await.map_err(in_time)?;
        let span = |span: &git::BlameSpan| BlameSpan {
            lines: span.lines,
            commit: commit_summary(git::CommitSummary::clone(&span.commit)),
        };
        let spans = found.iter().map(span).collect();
        Ok(Blame { file, spans })
    }

    /// A page of 50 branches or tags. `NotFound` past page 4,000.
    pub async fn references(&self, repo: &RepoRead, kind: RefKind, page: u32) -> Result<RefPage, Error> {
        if page > PAGES {
            return Err(Error::NotFound);
        }
        let page = page.max(1);
        let skip = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(REFERENCES);
        let found = self.handle(repo)?.ref_page(kind.into(), skip, REFERENCES).await?;
        let rows = found.rows.into_iter().map(ref_row).collect();
        Ok(RefPage { kind, rows, page, has_more: found.has_more })
    }

    /// A commit and its diff. `id` may be an abbreviation of at least seven digits.
    pub async fn commit(&self, repo: &RepoRead, id: &str) -> Result<CommitView, Error> {
        self.commit_as(repo, id, DiffChoice::default()).await
    }

    /// A commit and its diff, as a visitor chose it.
    pub async fn commit_as(&self, repo: &RepoRead, id: &str, choice: DiffChoice) -> Result<CommitView, Error> {
        let id = self.commit_id(repo, id).await?;
        let handle = self.handle(repo)?;
        let commit = handle.commit(&id).await?.ok_or(Error::NotFound)?;
        let diff = handle.diff(&commit.summary.id, options(choice, DiffLimits::PAGE, None)).await?;
        Ok(CommitView {
            summary: commit_summary(commit.summary),
            body: commit.body,
            committer: commit.committer,
            committed: commit.committed,
            files: diff.files.into_iter().map(Into::into).collect(),
            file_count: diff.file_count,
            added: diff.added,
            removed: diff.removed,
        })
    }

    /// The commit that an id, or an abbreviation of at least seven digits, names.
    pub(crate) async fn commit_id(&self, repo: &RepoRead, id: &str) -> Result<Oid, Error> {
        if !(7..=64).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::NotFound);
        }
        if let Ok(id) = Oid::parse(id) {
            return Ok(id);
        }
        // A branch may be named like an abbreviation; that is not what this address means.
        match self.handle(repo)?.resolve(id).await? {
            Some(found) if found.reference.is_none() => Ok(found.commit),
            _ => Err(Error::NotFound),
        }
    }

    /// The commit that a branch or tag names.
    pub async fn tip(&self, repo: &RepoRead, reference: &RefName) -> Result<Option<Oid>, Error> {
        Ok(self.handle(repo)?.tip(reference).await?)
    }

    /// Resolves the text of a revision.
    pub async fn revision(&self, repo: &RepoRead, text: &str) -> Result<Revision, Error> {
        self.handle(repo)?.resolve(text).await?.map(Revision::from).ok_or(Error::NotFound)
    }

    pub(crate) fn handle(&self, repo: &RepoRead) -> Result<Repo, Error> {
        Ok(self.0.repositories.repo(repo.id)?)
    }
}

pub(crate) async fn default_revision(handle: &Repo) -> Result<Option<Revision>, Error> {
    let git::Overview { default_branch: head, tip, .. } = handle.overview().await?;
    Ok(tip.map(|commit| Revision { name: head.short().into(), reference: Some(head), commit }))
}

/// What a history starts from: the whole of `rest` as a revision, else a revision and a path.
async fn starting_point(handle: &Repo, rest: &[u8]) -> Result<(Revision, TreePath), Error> {
    if rest.is_empty() {
        let revision = default_revision(handle).await?.ok_or(Error::NotFound)?;
        return Ok((revision, TreePath::default()));
    }
    let whole = std::str::from_utf8(rest).unwrap_or_default();
    match handle.resolve(whole).await? {
        Some(resolved) => Ok((resolved.into(), TreePath::default())),
        None => locate(handle, rest).await,
    }
}

/// Git that does not end in time has too much to do for us: no fault of the site.
pub(crate) fn in_time(error: git::Error) -> Error {
    match error {
        git::Error::Stalled { .. } => Error::Busy,
        other => other.into(),
    }
}

pub(crate) async fn locate(handle: &Repo, rest: &[u8]) -> Result<(Revision, TreePath), Error> {
    let (resolved, path) = handle.resolve_path(rest).await?.ok_or(Error::NotFound)?;
    Ok((resolved.into(), path))
}

impl Forge {
    /// A directory, as it was seen before when nothing was left to find in it.
    async fn tree(&self, handle: &Repo, revision: Revision, path: TreePath) -> Result<Tree, Error> {
        let place = (handle.id(), revision.commit.clone(), path.clone());
        if let Some(seen) = self.0.seen.trees.get(&place) {
            return Ok(Tree { revision, ..Tree::clone(&seen) });
        }
        let tree = read_tree(handle, revision, path).await?;
        if tree.entries.iter().all(|entry| entry.latest.is_some()) {
            let weight = tree.entries.len() + tree.readme.as_ref().map_or(0, |readme| readme.text.len() >> 9) + 1;
            self.0.seen.trees.put(place, weight, Arc::new(tree.clone()));
        }
        Ok(tree)
    }
}

async fn read_tree(handle: &Repo, revision: Revision, path: TreePath) -> Result<Tree, Error> {
    let listing = handle.tree(&revision.commit, &path, ENTRIES).await?.ok_or(Error::NotFound)?;
    let latest = handle.commit(&revision.commit).await?.ok_or(Error::NotFound)?;
    let readme = match choose_readme(&listing.entries) {
        Some(entry) => readme(handle, entry).await?,
        None => None,
    };
    let names = listing.entries.iter().map(|entry| entry.name.clone()).collect();
    let commits = handle.latest_commits(&revision.commit, &path, names, LATEST).await?;
    let mut entries: Vec<_> = listing.entries.into_iter().map(Entry::from).collect();
    for (entry, commit) in entries.iter_mut().zip(commits) {
        entry.latest = commit.map(|commit| latest_commit(&commit));
    }
    let latest = commit_summary(latest.summary);
    Ok(Tree { revision, path, entries, is_cut: listing.is_cut, latest, readme })
}

async fn file(
    handle: &Repo,
    revision: Revision,
    path: TreePath,
    id: &Oid,
    kind: git::EntryKind,
) -> Result<File, Error> {
    let blob = handle.blob(id, TEXT).await?.ok_or(Error::NotFound)?;
    let content = match blob.content {
        None => FileContent::TooLarge,
        Some(bytes) if kind == git::EntryKind::Symlink => {
            FileContent::Symlink(String::from_utf8_lossy(&bytes).into_owned())
        }
        Some(bytes) => text(bytes).map_or(FileContent::Binary, FileContent::Text),
    };
    Ok(File { revision, path, id: id.clone(), size: blob.size, content })
}

async fn readme(handle: &Repo, entry: &git::Entry) -> Result<Option<Readme>, Error> {
    let content = handle.blob(&entry.id, README).await?.and_then(|blob| blob.content);
    let name = String::from_utf8_lossy(&entry.name).into_owned();
    let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_markdown = matches!(ending.as_str(), "md" | "markdown");
    Ok(content.and_then(text).map(|text| Readme { name, text, is_markdown, id: entry.id.clone() }))
}

/// Text as a page can show it; `None` when there is a NUL in it.
fn text(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The best of the names that a README has, in whatever case.
fn choose_readme(entries: &[git::Entry]) -> Option<&git::Entry> {
    ["readme.md", "readme.markdown", "readme", "readme.txt"].iter().find_map(|wanted| {
        entries.iter().find(|entry| {
            matches!(entry.kind, git::EntryKind::File | git::EntryKind::Executable)
                && entry.name.eq_ignore_ascii_case(wanted.as_bytes())
        })
    })
}

impl From<git::Entry> for Entry {
    fn from(entry: git::Entry) -> Self {
        let kind = match entry.kind {
            git::EntryKind::Tree => EntryKind::Tree,
            git::EntryKind::File => EntryKind::File,
            git::EntryKind::Executable => EntryKind::Executable,
            git::EntryKind::Symlink => EntryKind::Symlink,
            git::EntryKind::Submodule => EntryKind::Submodule,
        };
        Self { name: entry.name, path: entry.path, kind, id: entry.id, size: entry.size, latest: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: git::EntryKind) -> git::Entry {
        git::Entry {
            name: name.into(),
            path: TreePath::parse(name.as_bytes()).unwrap(),
            kind,
            id: Oid::parse(&"1".repeat(40)).unwrap(),
            size: None,
        }
    }

    #[test]
    fn the_readme_is_a_file_and_markdown_goes_first() {
        use git::EntryKind::{File, Symlink, Tree};
        for (entries, chosen) in [
            (vec![entry("README.txt", File), entry("ReadMe.md", File)], Some("ReadMe.md")),
            (vec![entry("README", File), entry("readme.MARKDOWN", File)], Some("readme.MARKDOWN")),
            (vec![entry("README.md", Tree), entry("readme.txt", File)], Some("readme.txt")),
            (vec![entry("README.md", Symlink)], None),
            (vec![entry("README.rst", File)], None),
        ] {
            let found = choose_readme(&entries).map(|entry| String::from_utf8_lossy(&entry.name).into_owned());
            assert_eq!(found.as_deref(), chosen);
        }
    }

    #[test]
    fn what_holds_a_nul_is_not_text() {
        assert_eq!(text(b"a\0b".to_vec()), None);
        assert_eq!(text(b"a\xffb".to_vec()).as_deref(), Some("a\u{fffd}b"));
    }
}
