//! Two revisions beside each other, one file of a diff, and both as patches. Whoever may read the repository may see
//! them. Names from outside become refs or object ids here, and nothing else reaches Git.

use std::time::Duration;

use base::name::{Oid, TreePath};
use bytes::Bytes;
use git::{DiffLimits, DiffOptions, Repo};

use crate::browse::{default_revision, in_time};
use crate::convert::commit_summary;
use crate::{CommitSummary, Error, FileDiff, Forge, RepoRead, Revision};

/// Commits listed by a comparison.
const LISTED: usize = 100;
/// Bytes of a patch that are sent.
const PATCH: u64 = 64 << 20;
/// Time to wait for a place among what is on its way.
const PATIENCE: Duration = Duration::from_secs(10);
/// Unchanged lines that may be asked for around a change: more stands for all.
const CONTEXT: u32 = 100_000;

/// What a visitor chose for a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffChoice {
    /// Says whether lines that differ in blanks alone are taken for the same.
    pub ignores_blanks: bool,
    /// Unchanged lines around a change.
    pub context: u32,
}

impl Default for DiffChoice {
    fn default() -> Self {
        Self { ignores_blanks: false, context: 3 }
    }
}

/// Which two revisions are compared, as an address writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareSpec {
    /// The older one, as text; the default branch when empty.
    pub base: String,
    /// The newer one, as text; the default branch when empty.
    pub head: String,
    /// Says whether they are compared as they are (`..`), not from where their histories parted (`...`).
    pub is_direct: bool,
}

impl CompareSpec {
    /// Reads `base...head` or `base..head`; a single name is the head, compared with the default branch. `None` for
    /// what is not UTF-8.
    pub fn parse(rest: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(rest).ok()?;
        let spec = |base: &str, head: &str, is_direct| Self { base: base.into(), head: head.into(), is_direct };
        Some(match (text.split_once("..."), text.split_once("..")) {
            (Some((base, head)), _) => spec(base, head, false),
            (None, Some((base, head))) => spec(base, head, true),
            (None, None) => spec("", text, false),
        })
    }
}

/// What came of a comparison.
#[derive(Clone, Debug)]
pub enum Compared {
    /// They can be compared.
    Found(Box<Comparison>),
    /// These names lead to no commit.
    Missing(Vec<String>),
    /// Their histories have nothing in common.
    Unrelated,
}

/// Two revisions beside each other.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The older one.
    pub base: Revision,
    /// The newer one.
    pub head: Revision,
    /// The commit that the diff begins with: where the histories parted, or the base itself.
    pub from: Oid,
    /// What the newer one has and the older one has not, newest first; at most 100.
    pub commits: Vec<CommitSummary>,
    /// How many there are; 10,000 stands for that many or more.
    pub commit_count: usize,
    /// Changed files; at most 300.
    pub files: Vec<FileDiff>,
    /// Files changed in all.
    pub file_count: usize,
    /// Lines added in the files shown.
    pub added: u64,
    /// Lines removed in the files shown.
    pub removed: u64,
}

/// One file of a diff on a page of its own.
#[derive(Clone, Debug)]
pub struct OneDiff {
    /// The commit before; `None` for the first parent of `head`.
    pub base: Option<Oid>,
    /// The commit after.
    pub head: Oid,
    /// The file, and what is shown of it.
    pub file: FileDiff,
}

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchFormat {
    /// As `git diff` prints it.
    Diff,
    /// As mails that `git am` takes.
    Mail,
}

/// Bytes on their way to a reader; what makes them ends when this is dropped.
pub struct Pieces {
    first: Option<Bytes>,
    rest: git::Piped,
}

impl Pieces {
    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => Ok(self.rest.next().await?),
        }
    }

    /// The bytes that come first; empty when there are none.
    pub fn first(&self) -> &[u8] {
        self.first.as_deref().unwrap_or_default()
    }

    /// Waits for the first bytes, so that a failure before them is an error and no cut download. `Busy` when there is
    /// no place for ten seconds.
    pub(crate) async fn begun(pieces: impl Future<Output = Result<git::Piped, git::Error>>) -> Result<Self, Error> {
        let begun = async {
            let mut rest = pieces.await?;
            let first = rest.next().await?;
            Ok::<_, git::Error>(Self { first, rest })
        };
        tokio::time::timeout(PATIENCE, begun).await.map_err(|_| Error::Busy)?.map_err(in_time)
    }
}

impl Forge {
    /// Compares two revisions. Fails with `Busy` when Git does not find where their histories parted in time.
    pub async fn compare(&self, repo: &RepoRead, spec: &CompareSpec, choice: DiffChoice) -> Result<Compared, Error> {
        let handle = self.handle(repo)?;
        let (base, head) = (side(&handle, &spec.base).await?, side(&handle, &spec.head).await?);
        let (Some(base), Some(head)) = (&base, &head) else {
            let sides = [(base.is_none(), &spec.base), (head.is_none(), &spec.head)];
            let missing = sides.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, name)| name.clone());
            return Ok(Compared::Missing(missing.collect()));
        };
        let from = if spec.is_direct {
            base.commit.clone()
        } else {
            match handle.merge_base(&base.commit, &head.commit).await.map_err(in_time)? {
                Some(from) => from,
                None => return Ok(Compared::Unrelated),
            }
        };
        let ahead = handle.ahead(&base.commit, &head.commit, LISTED).await.map_err(in_time)?;
        let diff = handle.diff_between(Some(&from), &head.commit, options(choice, DiffLimits::PAGE, None)).await?;
        Ok(Compared::Found(Box::new(Comparison {
            base: base.clone(),
            head: head.clone(),
            from,
            commits: ahead.commits.into_iter().map(commit_summary).collect(),
            commit_count: ahead.count,
            files: diff.files.into_iter().map(Into::into).collect(),
            file_count: diff.file_count,
            added: diff.added,
            removed: diff.removed,
        })))
    }

    /// One file of a diff, by `<commit>/<path>` or `<commit>..<commit>/<path>`, full ids. `NotFound` when it does not
    /// differ.
    pub async fn one_diff(&self, repo: &RepoRead, rest: &[u8], choice: DiffChoice) -> Result<OneDiff, Error> {
        let cut = rest.iter().position(|byte| *byte == b'/').ok_or(Error::NotFound)?;
        let (range, path) = rest.split_at(cut);
        let range = std::str::from_utf8(range).map_err(|_| Error::NotFound)?;
        let (base, head) = match range.split_once("..") {
            Some((base, head)) => (Some(Oid::parse(base)?), Oid::parse(head)?),
            None => (None, Oid::parse(range)?),
        };
        let only = Some(TreePath::parse(path)?);
        let handle = self.handle(repo)?;
        for id in base.iter().chain([&head]) {
            handle.commit(id).await?.ok_or(Error::NotFound)?;
        }
        let diff = handle.diff_between(base.as_ref(), &head, options(choice, DiffLimits::FILE, only)).await?;
        let file = diff.files.into_iter().next().ok_or(Error::NotFound)?.into();
        Ok(OneDiff { base, head, file })
    }

    /// A commit as a patch. Fails in the middle when it is larger than 64 MiB.
    pub async fn commit_patch(&self, repo: &RepoRead, id: &str, format: PatchFormat) -> Result<Pieces, Error> {
        let handle = self.handle(repo)?;
        let id = self.commit_id(repo, id).await?;
        let patch = patch(&handle, None, &id, format).await?;
        self.tell_read(repo, "patch");
        Ok(patch)
    }

    /// Two revisions' difference as a patch. `NotFound` when one of them is missing or they have nothing in common;
    /// fails in the middle when it is larger than 64 MiB.
    pub async fn compare_patch(
        &self,
        repo: &RepoRead,
        spec: &CompareSpec,
        format: PatchFormat,
    ) -> Result<Pieces, Error> {
        let handle = self.handle(repo)?;
        let (base, head) = (side(&handle, &spec.base).await?, side(&handle, &spec.head).await?);
        let (base, head) = (base.ok_or(Error::NotFound)?.commit, head.ok_or(Error::NotFound)?.commit);
        let from = if spec.is_direct {
            base
        } else {
            handle.merge_base(&base, &head).await.map_err(in_time)?.ok_or(Error::NotFound)?
        };
        let patch = patch(&handle, Some(&from), &head, format).await?;
        self.tell_read(repo, "patch");
        Ok(patch)
    }
}

pub(crate) fn options(choice: DiffChoice, limits: DiffLimits, only: Option<TreePath>) -> DiffOptions {
    DiffOptions { limits, context: choice.context.min(CONTEXT), ignores_blanks: choice.ignores_blanks, only }
}

async fn side(handle: &Repo, text: &str) -> Result<Option<Revision>, Error> {
    if text.is_empty() {
        return default_revision(handle).await;
    }
    Ok(handle.resolve(text).await?.map(Revision::from))
}

async fn patch(handle: &Repo, base: Option<&Oid>, head: &Oid, format: PatchFormat) -> Result<Pieces, Error> {
    match format {
        PatchFormat::Diff => Pieces::begun(handle.diff_pieces(base, head, PATCH)).await,
        PatchFormat::Mail => Pieces::begun(handle.patch_pieces(base, head, PATCH)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_and_three_dots_are_told_apart() {
        for (text, base, head, is_direct) in [
            ("main...topic", "main", "topic", false),
            ("main..topic", "main", "topic", true),
            ("feature/a...b.c", "feature/a", "b.c", false),
            ("topic", "", "topic", false),
            ("...topic", "", "topic", false),
            ("main..", "main", "", true),
            ("", "", "", false),
        ] {
            let spec = CompareSpec::parse(text.as_bytes()).unwrap();
            assert_eq!((spec.base.as_str(), spec.head.as_str(), spec.is_direct), (base, head, is_direct), "{text}");
        }
        assert!(CompareSpec::parse(b"\xff").is_none());
    }
}
