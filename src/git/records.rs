//! What machines read of a repository: commits, refs and trees whole, a page at a time, and how many there are in all.
//! Counts are kept by commit, so that each is worked out once. Never writes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use base::clock::Timestamp;
use base::name::{Oid, RefName, TreePath};

use crate::child::{finish, one_line};
use crate::gates::{blocking, enter};
use crate::read::{records, walks};
use crate::{DiffLimits, EntryKind, Error, RefKind, Repo, environment};

/// Time that counting commits may take.
const COUNTING: Duration = Duration::from_secs(15);
/// Counts and sums that are kept.
pub(crate) const KEPT_COUNTS: usize = 20_000;
/// Changed files whose names are kept for one commit.
const FILES: usize = 300;

/// How much of a diff is worked out where only its sums are told.
const SUMS: DiffLimits =
    DiffLimits { files: FILES, file_bytes: 1 << 20, file_lines: 20_000, total_lines: 200_000, total_bytes: 8 << 20 };

/// A commit with all that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// Its id.
    pub id: Oid,
    /// The id of its root tree.
    pub tree: Oid,
    /// Parents, first parent first; at most 100.
    pub parents: Vec<Oid>,
    /// The whole message, lossily decoded, at most 64 KiB.
    pub message: String,
    /// Who wrote the change.
    pub author: CommitPerson,
    /// Who made the commit.
    pub committer: CommitPerson,
}

/// A person as a commit or tag names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPerson {
    /// At most 200 characters.
    pub name: String,
    /// The address, at most 200 characters; it may be anything.
    pub email: String,
    /// When.
    pub at: Timestamp,
}

/// An annotated tag's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// Its own id.
    pub id: Oid,
    /// The name inside it.
    pub name: String,
    /// Its message, at most 64 KiB.
    pub message: String,
    /// Who made it; old tags name nobody.
    pub tagger: Option<CommitPerson>,
    /// What it is of.
    pub target: Oid,
    /// `commit`, or `tree` for whatever else.
    pub target_kind: &'static str,
}

/// A branch or tag and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefRecord {
    /// Its full name.
    pub name: RefName,
    /// What it holds, tags not peeled.
    pub target: Oid,
    /// The commit it leads to; `None` when it leads to none.
    pub commit: Option<Oid>,
    /// The annotated tag's object, when it is one.
    pub note: Option<TagRecord>,
}

/// A page of refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefRecords {
    /// The refs of the page.
    pub rows: Vec<RefRecord>,
    /// How many there are in all.
    pub total: usize,
}

/// One entry of a tree, as Git has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkEntry {
    /// Its path below the tree.
    pub path: Vec<u8>,
    /// Its mode, as in `0o100644`.
    pub mode: u16,
    /// What it is.
    pub kind: EntryKind,
    /// The object.
    pub id: Oid,
    /// Bytes; files and links only.
    pub size: Option<u64>,
}

/// A page of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedTree {
    /// The tree's id.
    pub id: Oid,
    /// The entries of the page, in Git's order.
    pub entries: Vec<WalkEntry>,
    /// How many there are in all, at most 200,000.
    pub total: usize,
    /// Says whether entries were left uncounted.
    pub is_cut: bool,
}

/// What a commit changed, in sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSums {
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// Changed files by path with `added`, `removed`, `modified` or `renamed`; at most 300.
    pub files: Vec<(TreePath, &'static str)>,
}

impl Repo {
    /// These commits with all that they say; ids of none are left out.
    pub async fn commit_records(&self, ids: Vec<Oid>) -> Result<Vec<CommitRecord>, Error> {
        self.read("commits", move |git| records::commits(git, &ids)).await
    }

    /// The annotated tag with this id; `None` when the id is not that of a tag's object.
    pub async fn tag_record(&self, id: &Oid) -> Result<Option<TagRecord>, Error> {
        let id = id.clone();
        self.read("a tag", move |git| records::tag(git, &id)).await
    }

    /// One ref and what it holds; `None` when there is no such ref.
    pub async fn ref_record(&self, name: &RefName) -> Result<Option<RefRecord>, Error> {
        let name = name.clone();
        self.read("a ref", move |git| records::reference(git, &name)).await
    }

    /// A page of refs of these kinds whose full names begin with `prefix`.
    pub async fn ref_records(
        &self,
        kinds: &'static [RefKind],
        prefix: &str,
        skip: usize,
        limit: usize,
    ) -> Result<RefRecords, Error> {
        let prefix = prefix.to_owned();
        self.read_refs("refs", move |git, table| records::refs(git, table, (kinds, &prefix), (skip, limit))).await
    }

    /// The entries of a tree (or of a commit's), with all that is below them when asked so. `None` when the id leads to
    /// no tree.
    pub async fn walk_tree(
        &self,
        id: &Oid,
        is_recursive: bool,
        skip: usize,
        limit: usize,
    ) -> Result<Option<WalkedTree>, Error> {
        let id = id.clone();
        self.read("a tree", move |git| walks::walk(git, &id, is_recursive, (skip, limit))).await
    }

    /// How many commits lead to `from`, those alone that changed what is at `path` unless it is the root. Fails with
    /// `Stalled` when Git did not count them within 15 s.
    pub async fn count_commits(&self, from: &Oid, path: &TreePath) -> Result<usize, Error> {
        let place = (self.id(), from.clone(), path.clone());
        if let Some(known) = self.shared().counts.get(&place) {
            return Ok(known);
        }
        let mut program = environment::in_repository("rev-list", self.path())
            .env("GIT_LITERAL_PATHSPECS", "1")
            .options(["--count", "--end-of-options", from.as_str()]);
        if !path.is_root() {
            program = program.operands([OsStr::from_bytes(path.as_bytes())]);
        }
        let said = {
            let _place = enter(&self.gates().spawned).await?;
            finish(program, "rev-list", b"", COUNTING).await?
        };
        let counted = said.stdout.trim().parse().ok().filter(|_| said.status.success());
        let count = counted.ok_or_else(|| Error::Git { command: "rev-list", message: one_line(&said.stderr) })?;
        self.shared().counts.put(place, 1, count);
        Ok(count)
    }

    /// The commits behind `head` and not behind `base`: `limit` (at most 1,000) after the first `skip`, newest first,
    /// and how many there are in all.
    pub async fn commits_between(
        &self,
        base: &Oid,
        head: &Oid,
        skip: usize,
        limit: usize,
    ) -> Result<(Vec<Oid>, usize), Error> {
        let between = |how: &[String]| {
            environment::in_repository("rev-list", self.path()).options(how).options([
                "--end-of-options",
                head.as_str(),
                &format!("^{base}"),
            ])
        };
        let _place = enter(&self.gates().spawned).await?;
        let counted = finish(between(&["--count".into()]), "rev-list", b"", COUNTING).await?;
        let total = counted.stdout.trim().parse().ok().filter(|_| counted.status.success());
        let total = total.ok_or_else(|| Error::Git { command: "rev-list", message: one_line(&counted.stderr) })?;
        let how = [format!("--skip={skip}"), format!("--max-count={}", limit.min(1_000))];
        let listed = finish(between(&how), "rev-list", b"", COUNTING).await?;
        let ids = listed.stdout.lines().map(Oid::parse).collect::<Result<Vec<_>, _>>()?;
        Ok((ids, total))
    }

    /// Bytes of the repository's packs on disk.
    pub async fn pack_bytes(&self) -> Result<u64, Error> {
        let packs = self.path().join("objects/pack");
        blocking(&self.gates().reads, move || {
            // A pack may be replaced while this looks: what is gone weighs nothing.
            let files = std::fs::read_dir(&packs).into_iter().flatten().flatten();
            Ok(files.filter_map(|file| file.metadata().ok()).map(|facts| facts.len()).sum())
        })
        .await
    }

    /// What the commit changed against its first parent, in sums.
    pub async fn change_sums(&self, commit: &Oid) -> Result<ChangeSums, Error> {
        let place = (self.id(), commit.clone(), TreePath::default());
        if let Some(known) = self.shared().sums.get(&place) {
            return Ok(known);
        }
        let diff = self.diff(commit, SUMS).await?;
        let word = |kind| match kind {
            crate::ChangeKind::Added => "added",
            crate::ChangeKind::Deleted => "removed",
            crate::ChangeKind::Modified => "modified",
            crate::ChangeKind::Renamed => "renamed",
        };
        let files = diff.files.into_iter().map(|file| (file.path, word(file.kind))).collect::<Vec<_>>();
        let sums = ChangeSums { added: diff.added, removed: diff.removed, files };
        self.shared().sums.put(place, sums.files.len().max(1), sums.clone());
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn machines_read_commits_refs_and_trees_as_git_has_them() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a/b/c", b"1\n2\n");
        let second = tree.commit("d", b"3\n");
        tree.git(&["tag", "--annotate", "--message", "first", "v1"]);
        tree.git(&["tag", "plain"]);
        tree.git(&["push", "--quiet", "origin", "main", "v1", "plain"]);
        let id = Oid::parse(&second).unwrap();

        let record = site.block_on(site.repo.commit_records(vec![id.clone()])).unwrap().pop().unwrap();
        assert_eq!((record.tree.to_string(), record.parents.len()), (tree.git(&["rev-parse", "HEAD^{tree}"]), 1));
        assert_eq!(record.author.email, tree.git(&["show", "--no-patch", "--format=%ae", "HEAD"]));

        let count = |path: &[u8]| site.block_on(site.repo.count_commits(&id, &TreePath::parse(path).unwrap())).unwrap();
        assert_eq!((count(b""), count(b"d"), count(b"a"), count(b"none")), (2, 1, 1, 0));

        let refs = site.block_on(site.repo.ref_records(&[RefKind::Branches, RefKind::Tags], "", 0, 9)).unwrap();
        let rows: Vec<_> = refs.rows.iter().map(|row| (row.name.as_str(), row.note.is_some())).collect();
        let expected = vec![("refs/heads/main", false), ("refs/tags/v1", true), ("refs/tags/plain", false)];
        assert_eq!((rows, refs.total), (expected, 3));
        assert!(refs.rows.iter().all(|row| row.commit.as_ref() == Some(&id)));

        let walked = site.block_on(site.repo.walk_tree(&id, true, 1, 2)).unwrap().unwrap();
        let paths: Vec<_> = walked.entries.iter().map(|entry| (entry.path.as_slice(), entry.mode)).collect();
        assert_eq!(paths, [(&b"a/b"[..], 0o040_000), (b"a/b/c", 0o100_644)]);
        assert_eq!((walked.total, walked.is_cut, walked.id), (4, false, record.tree));

        let first = Oid::parse(&tree.git(&["rev-parse", "HEAD~1"])).unwrap();
        let between = |base, head| site.block_on(site.repo.commits_between(base, head, 0, 9)).unwrap();
        assert_eq!(between(&first, &id), (vec![id.clone()], 1));
        assert_eq!(between(&id, &first), (vec![], 0));
        assert!(site.block_on(site.repo.pack_bytes()).unwrap() > 0);

        let sums = site.block_on(site.repo.change_sums(&id)).unwrap();
        assert_eq!((sums.added, sums.removed, sums.files.len()), (1, 0, 1));
    }
}
