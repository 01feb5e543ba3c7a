//! Commits made on this side, without a work tree: changed files become blobs, trees and a commit in a pack, and the
//! pack goes in by the door that every push uses. Nothing here writes to a repository or moves a ref.

mod commit;
mod directory;
mod door;
mod pack;
mod tag;
#[cfg(test)]
mod tests;

use base::clock::Timestamp;
use base::file_path::FilePath;
use base::name::Oid;

pub use door::{Outcome, as_push, outcome};
pub use tag::TagDraft;

/// What is to become of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// A new file; nothing may be at its path yet.
    Create {
        /// Where.
        path: FilePath,
        /// Its bytes.
        content: Vec<u8>,
        /// Says whether it may be executed.
        is_executable: bool,
    },
    /// New content for a file that is there; its mode stays.
    Update {
        /// Where.
        path: FilePath,
        /// Its bytes.
        content: Vec<u8>,
        /// The blob that the change began with, when the caller knows: another one there is refused.
        expected: Option<Oid>,
    },
    /// No file any more. Directories that become empty go with it.
    Delete {
        /// Where.
        path: FilePath,
        /// The blob that the change began with, when the caller knows: another one there is refused.
        expected: Option<Oid>,
    },
    /// Another path, and perhaps other content; the mode stays.
    Rename {
        /// From where.
        from: FilePath,
        /// To where; nothing may be there yet.
        to: FilePath,
        /// The blob that the change began with, when the caller knows: another one there is refused.
        expected: Option<Oid>,
        /// Its new bytes; as they were, when `None`.
        content: Option<Vec<u8>>,
    },
}

impl FileChange {
    /// The path that the change is about; for a rename, the new one.
    pub const fn path(&self) -> &FilePath {
        match self {
            Self::Create { path, .. } | Self::Update { path, .. } | Self::Delete { path, .. } => path,
            Self::Rename { to, .. } => to,
        }
    }

    /// Bytes of the new content.
    pub fn size(&self) -> usize {
        match self {
            Self::Create { content, .. } | Self::Update { content, .. } => content.len(),
            Self::Rename { content, .. } => content.as_ref().map_or(0, Vec::len),
            Self::Delete { .. } => 0,
        }
    }
}

/// Who wrote a commit, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name. What Git takes for its own marks (`<`, `>`, line ends) is left out.
    pub name: String,
    /// The address, with the same left out.
    pub email: String,
    /// When.
    pub at: Timestamp,
    /// Minutes east of UTC of the clock that said so.
    pub offset: i32,
}

/// A commit to be made.
#[derive(Clone, Debug)]
pub struct CommitDraft {
    /// What it is built on; `None` for the first commit of a repository.
    pub parent: Option<Oid>,
    /// The changes, done one after the other.
    pub changes: Vec<FileChange>,
    /// The message. Line ends of other systems and blanks at line ends are mended.
    pub message: String,
    /// Who wrote it.
    pub author: Person,
    /// Who puts it in.
    pub committer: Person,
}

/// A commit that was made, and is nowhere yet.
#[derive(Clone, Debug)]
pub struct NewCommit {
    /// Its id.
    pub id: Oid,
    /// The new objects as a pack.
    pub pack: Vec<u8>,
    /// The blob of each path that was written, in the order of the changes.
    pub blobs: Vec<(FilePath, Oid)>,
}

/// Why an edit cannot be done on this tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditProblem {
    /// There is no such file.
    #[error("there is no file `{0}`")]
    Absent(FilePath),
    /// Something is there already.
    #[error("there is a {what} at `{path}` already")]
    Present {
        /// Where.
        path: FilePath,
        /// What it is, in a word.
        what: &'static str,
    },
    /// The file is not the one that the change began with.
    #[error("`{path}` is not what it was when the change began")]
    Stale {
        /// Where.
        path: FilePath,
        /// The blob that is there now; `None` when there is none.
        now: Option<Oid>,
    },
    /// What is there is no file: writing would go through it, or lose it.
    #[error("`{path}` is or leads through a {what}, which can be changed in a clone only")]
    NotAFile {
        /// Where.
        path: FilePath,
        /// What it is, in a word.
        what: &'static str,
    },
    /// All changes together change nothing.
    #[error("the commit would change nothing")]
    Nothing,
}
