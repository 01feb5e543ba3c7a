//! What pages show: plain values, already permitted, with no handle back into the forge.

use base::clock::Timestamp;
use base::name::{Oid, OwnerName, RefName, RepoPath, TreePath};

/// Who may read a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everyone who reaches the site, signed in or not.
    Public,
    /// Everyone who is signed in.
    Internal,
    /// The owner, and those whom the owner lets in.
    Private,
}

/// A repository in a list.
#[derive(Clone, Debug)]
pub struct RepoSummary {
    /// Owner and name.
    pub path: RepoPath,
    /// One line, perhaps empty.
    pub description: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// When it was made.
    pub created: Timestamp,
    /// The last push; `None` before the first.
    pub pushed: Option<Timestamp>,
}

/// The addresses to clone from.
#[derive(Clone, Debug)]
pub struct CloneUrls {
    /// Over HTTP(S), on SITE_URL.
    pub http: String,
    /// Over SSH, on SSH_CLONE_HOST and SSH_PORT.
    pub ssh: String,
}

/// What every page of a repository shows around its content.
#[derive(Clone, Debug)]
pub struct RepoFrame {
    /// The repository.
    pub repo: RepoSummary,
    /// Where to clone it from.
    pub clone: CloneUrls,
    /// The branch that HEAD names, also when it has no commit yet.
    pub default_branch: RefName,
    /// Branches, by name; at most 1,000.
    pub branches: Vec<RefName>,
    /// Tags, newest name first; at most 1,000.
    pub tags: Vec<RefName>,
    /// Says whether the actor may push.
    pub can_write: bool,
    /// Says whether the actor may change what the repository says of itself.
    pub can_maintain: bool,
    /// Says whether the actor may change who may do what, and remove it.
    pub can_admin: bool,
}

/// A revision that a URL named, resolved.
#[derive(Clone, Debug)]
pub struct Revision {
    /// As it goes into URLs: a branch's or tag's short name, or a full object id.
    pub name: String,
    /// The ref, unless the URL named an object id.
    pub reference: Option<RefName>,
    /// The commit.
    pub commit: Oid,
}

/// A commit in a list.
#[derive(Clone, Debug)]
pub struct CommitSummary {
    /// Its id.
    pub id: Oid,
    /// First line of the message.
    pub title: String,
    /// Author's name as the commit has it.
    pub author: String,
    /// When it was authored.
    pub authored: Timestamp,
    /// Parents, first parent first.
    pub parents: Vec<Oid>,
}

/// One page of a history, newest first.
#[derive(Clone, Debug)]
pub struct History {
    /// What it starts from.
    pub revision: Revision,
    /// What the commits changed; the root for all commits.
    pub path: TreePath,
    /// At most the page's length.
    pub commits: Vec<CommitSummary>,
    /// The page's number, from 1.
    pub page: u32,
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

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, bytes as Git has them.
    pub name: Vec<u8>,
    /// Its path from the root.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
    /// The object.
    pub id: Oid,
    /// Bytes; files only.
    pub size: Option<u64>,
    /// The commit that last changed it; `None` while it is not known.
    pub latest: Option<LatestCommit>,
}

/// The commit that last changed an entry.
#[derive(Clone, Debug)]
pub struct LatestCommit {
    /// Its id.
    pub id: Oid,
    /// First line of the message, at most 100 characters.
    pub title: String,
    /// When it was authored.
    pub authored: Timestamp,
}

/// A directory at a revision, directories first.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The revision.
    pub revision: Revision,
    /// The directory's path.
    pub path: TreePath,
    /// Its entries; at most 5,000.
    pub entries: Vec<Entry>,
    /// Says whether entries were left out.
    pub is_cut: bool,
    /// The revision's commit.
    pub latest: CommitSummary,
    /// The directory's README, when it has one that is text of at most 512 KiB.
    pub readme: Option<Readme>,
}

/// A README's text.
#[derive(Clone, Debug)]
pub struct Readme {
    /// Its file name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Says whether the name ends as Markdown does.
    pub is_markdown: bool,
    /// The blob, a cache key.
    pub id: Oid,
}

/// A file at a revision.
#[derive(Clone, Debug)]
pub struct File {
    /// The revision.
    pub revision: Revision,
    /// The file's path.
    pub path: TreePath,
    /// The blob, a cache key.
    pub id: Oid,
    /// Bytes.
    pub size: u64,
    /// What can be shown of it.
    pub content: FileContent,
}

/// What a page can show of a file.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// UTF-8 (or lossily decoded) text of at most 1 MiB.
    Text(String),
    /// Holds NUL bytes.
    Binary,
    /// Larger than a page shows.
    TooLarge,
    /// A symbolic link's target.
    Symlink(String),
}

/// A tree or a file, as a URL of the form `<revision>/<path>` turned out to name.
#[derive(Clone, Debug)]
pub enum TreeOrFile {
    /// A directory.
    Tree(Tree),
    /// A file.
    File(File),
}

/// A commit with what it changed against its first parent.
#[derive(Clone, Debug)]
pub struct CommitView {
    /// The commit.
    pub summary: CommitSummary,
    /// The message after the first line, trimmed.
    pub body: String,
    /// Committer's name.
    pub committer: String,
    /// When it was committed.
    pub committed: Timestamp,
    /// Changed files; at most 300.
    pub files: Vec<FileDiff>,
    /// Files changed in all.
    pub file_count: usize,
    /// Lines added in the files shown.
    pub added: u64,
    /// Lines removed in the files shown.
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
#[derive(Clone, Debug)]
pub struct FileDiff {
    /// The path after the change (before it, for a deleted file).
    pub path: TreePath,
    /// The former path of a renamed file.
    pub old_path: Option<TreePath>,
    /// Content in common with the former file, in percent; renamed files only.
    pub likeness: Option<u8>,
    /// How it changed.
    pub kind: ChangeKind,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// What is shown.
    pub content: DiffContent,
}

/// The lines of a changed file.
#[derive(Clone, Debug)]
pub enum DiffContent {
    /// Hunks with three lines of context; none when only the mode changed.
    Hunks(Vec<Hunk>),
    /// Not text.
    Binary,
    /// More lines or bytes than a page shows.
    TooLarge,
}

/// A run of changed lines and their context.
#[derive(Clone, Debug)]
pub struct Hunk {
    /// `@@ -1,3 +1,4 @@`, without what Git adds behind it.
    pub header: String,
    /// The nearest line above that looks like the beginning of a function or section; often empty.
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
#[derive(Clone, Debug)]
pub struct DiffLine {
    /// What it is.
    pub kind: LineKind,
    /// Line number before, from 1.
    pub old: Option<u32>,
    /// Line number after, from 1.
    pub new: Option<u32>,
    /// The text without its line end.
    pub text: String,
    /// The parts of the text that its counterpart has not, as byte ranges in order.
    pub emphasis: Vec<std::ops::Range<usize>>,
}

/// An SSH key of a user.
#[derive(Clone, Debug)]
pub struct SshKeyView {
    /// Its id among the user's keys.
    pub id: i64,
    /// The title the user gave it.
    pub title: String,
    /// `SHA256:…`, as ssh-keygen prints it.
    pub fingerprint: String,
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// When it was added.
    pub created: Timestamp,
    /// When it last signed somebody in.
    pub used: Option<Timestamp>,
}

/// An access token, without its secret.
#[derive(Clone, Debug)]
pub struct TokenView {
    /// Its id among the user's tokens.
    pub id: i64,
    /// The name the user gave it.
    pub name: String,
    /// What it opens.
    pub scopes: crate::Scopes,
    /// The repositories that it is for alone; all of the user's, when `None`.
    pub repositories: Option<Vec<RepoPath>>,
    /// How many more there are of which the user may know no longer.
    pub hidden_repositories: usize,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; never, when `None`.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used: Option<Timestamp>,
}

/// A user in the administrator's list.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The name to sign in with.
    pub name: OwnerName,
    /// The name to show; the sign-in name when none was given.
    pub full_name: String,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// Says whether the user may sign in.
    pub is_active: bool,
    /// When the account was made.
    pub created: Timestamp,
    /// The last sign-in.
    pub seen: Option<Timestamp>,
}

/// One of the actor's own security keys.
#[derive(Clone, Debug)]
pub struct SecurityKeyView {
    /// Names it in forms.
    pub id: i64,
    /// What its user calls it.
    pub name: String,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// One of the actor's own sessions.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Names it in forms; opens nothing.
    pub id: String,
    /// Says whether it is the one at hand.
    pub is_this: bool,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
    /// Where it was begun from; empty when it is not known.
    pub address: String,
    /// The kind of program that it was begun with; empty when it is not known.
    pub agent: String,
}
