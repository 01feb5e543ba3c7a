//! What reading a repository gives: plain values with every list capped. Nothing here holds a handle into Git.

use base::clock::Timestamp;
use base::name::{Oid, RefName, TreePath};

/// A ref and the commit it leads to, tags peeled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Its full name.
    pub name: RefName,
    /// The commit.
    pub commit: Oid,
}

/// Refs of one kind, up to the caller's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefList {
    /// The refs, by name.
    pub refs: Vec<Ref>,
    /// Says whether more were left out.
    pub is_cut: bool,
}

/// Which refs a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// Branches, by name.
    Branches,
    /// Tags, greatest name first (numbers compared as numbers).
    Tags,
}

/// A branch or tag that leads to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefRow {
    /// Its full name.
    pub name: RefName,
    /// The commit.
    pub commit: CommitSummary,
    /// What an annotated tag says of itself.
    pub note: Option<TagNote>,
}

/// What an annotated tag says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagNote {
    /// First line of its message, lossily decoded, at most 1,000 characters.
    pub title: String,
    /// The tagger's name, at most 200 characters; empty when the tag names none.
    pub tagger: String,
    /// When it was made.
    pub tagged: Timestamp,
}

/// One page of refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefPage {
    /// The refs; those that lead to no commit are left out.
    pub rows: Vec<RefRow>,
    /// Says whether there are more.
    pub has_more: bool,
}

/// A revision named from outside, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// As it goes into addresses: a branch's or tag's short name, or a full object id.
    pub name: String,
    /// The ref, unless an object id was given.
    pub reference: Option<RefName>,
    /// The commit, tags peeled.
    pub commit: Oid,
}

/// A commit in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSummary {
    /// Its id.
    pub id: Oid,
    /// First line of the message, lossily decoded, at most 1,000 characters.
    pub title: String,
    /// Author's name as the commit has it, lossily decoded, at most 200 characters.
    pub author: String,
    /// When it was authored.
    pub authored: Timestamp,
    /// Parents, first parent first; at most 100.
    pub parents: Vec<Oid>,
}

/// A commit in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// What a list shows of it.
    pub summary: CommitSummary,
    /// The message after the first line, trimmed, at most 64 KiB.
    pub body: String,
    /// Committer's name, at most 200 characters.
    pub committer: String,
    /// When it was committed.
    pub committed: Timestamp,
}

/// A stretch of a history, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The commits.
    pub commits: Vec<CommitSummary>,
    /// Says whether there are older ones.
    pub has_more: bool,
}

/// What a tree entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Tree,
    /// A file.
    File,
    /// An executable file.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A submodule's commit.
    Submodule,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, bytes as Git has them; empty for the root tree.
    pub name: Vec<u8>,
    /// Its path from the root.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
    /// The object.
    pub id: Oid,
    /// Bytes; files and links only.
    pub size: Option<u64>,
}

/// A directory at a commit, directories first, then by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its entries, up to the caller's limit.
    pub entries: Vec<Entry>,
    /// Says whether entries were left out.
    pub is_cut: bool,
}

/// A blob, or only its size when it is over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Bytes in all.
    pub size: u64,
    /// Its bytes; `None` when there are more than the caller takes.
    pub content: Option<Vec<u8>>,
}

/// How much of a diff is worked out. What is over becomes [`DiffContent::TooLarge`] or is left out.
#[derive(Clone, Copy, Debug)]
pub struct DiffLimits {
    /// Files listed.
    pub files: usize,
    /// Bytes of one version of one file.
    pub file_bytes: u64,
    /// Lines shown of one file, context included.
    pub file_lines: usize,
    /// Lines shown of all files together.
    pub total_lines: usize,
    /// Bytes read for all files together, both versions.
    pub total_bytes: u64,
}

impl DiffLimits {
    /// What one page shows.
    pub const PAGE: Self =
        Self { files: 300, file_bytes: 1 << 20, file_lines: 1_000, total_lines: 5_000, total_bytes: 24 << 20 };
    /// What a page of one file shows.
    pub const FILE: Self =
        Self { files: 1, file_bytes: 4 << 20, file_lines: 20_000, total_lines: 20_000, total_bytes: 8 << 20 };
}

/// How a diff is worked out.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// How much of it.
    pub limits: DiffLimits,
    /// Unchanged lines shown around a change, above it and below.
    pub context: u32,
    /// Says whether lines that differ in blanks alone are taken for the same.
    pub ignores_blanks: bool,
    /// The one file to work out, by its path after the change (before it, for a deleted one).
    pub only: Option<TreePath>,
}

impl From<DiffLimits> for DiffOptions {
    fn from(limits: DiffLimits) -> Self {
        Self { limits, context: 3, ignores_blanks: false, only: None }
    }
}

/// What a commit changed against its first parent (against nothing, for a root commit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// Changed files by path, up to the limit.
    pub files: Vec<FileDiff>,
    /// Files changed in all; at most 100,000 are counted.
    pub file_count: usize,
    /// Lines added in the files worked out.
    pub added: u64,
    /// Lines removed in the files worked out.
    pub removed: u64,
}

/// How a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content or mode differs.
    Modified,
    /// It moved.
    Renamed,
}

/// One file of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff {
    /// The path after the change (before it, for a deleted file).
    pub path: TreePath,
    /// The former path of a renamed file.
    pub old_path: Option<TreePath>,
    /// Content in common with the former file, in percent; renamed files only.
    pub likeness: Option<u8>,
    /// How it changed.
    pub kind: ChangeKind,
    /// Lines added; 0 when it was not worked out.
    pub added: u64,
    /// Lines removed; 0 when it was not worked out.
    pub removed: u64,
    /// What is shown.
    pub content: DiffContent,
}

/// The lines of a changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffContent {
    /// Hunks with three lines of context; none when only the mode or the path changed.
    Hunks(Vec<Hunk>),
    /// Not text.
    Binary,
    /// Over one of the limits.
    TooLarge,
}

/// A run of changed lines and their context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// `@@ -1,3 +1,4 @@`, without what Git adds behind it.
    pub header: String,
    /// The nearest line above that looks like the beginning of a function or section, at most 80 characters; often
    /// empty.
    pub section: String,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// What a diff line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// In both.
    Context,
    /// Only after.
    Added,
    /// Only before.
    Removed,
}

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// What it is.
    pub kind: LineKind,
    /// Line number before, from 1.
    pub old: Option<u32>,
    /// Line number after, from 1.
    pub new: Option<u32>,
    /// The text without its line end, lossily decoded.
    pub text: String,
    /// The parts of the text that its counterpart has not, as byte ranges in order; none when all of it differs.
    pub emphasis: Vec<std::ops::Range<usize>>,
}
