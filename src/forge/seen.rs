//! What pages were made of before, by repository and commit, so that it never has to be thrown away: another commit is
//! another key. Knows no actor: it is asked after [`crate::Forge::repo`] has said yes, with the id that it gave.

use std::sync::Arc;

use base::kept::Kept;
use base::name::{Oid, TreePath};

use crate::Tree;

/// Entries of all directories that are kept, at some 500 bytes each; 512 bytes of a README weigh as much.
const ENTRIES: usize = 8_000;
/// Commits of all pages of histories that are kept, at some 400 bytes each.
const COMMITS: usize = 10_000;

/// The memory of one forge.
pub(crate) struct Seen {
    /// Directories whose entries all have their last commit.
    pub(crate) trees: Kept<(i64, Oid, TreePath), Arc<Tree>>,
    /// Pages of histories: from a commit, of a path, the page's number.
    pub(crate) logs: Kept<(i64, Oid, TreePath, u32), Arc<git::Log>>,
}

impl Seen {
    /// Nothing was seen yet.
    pub(crate) fn new() -> Self {
        Self { trees: Kept::new(ENTRIES), logs: Kept::new(COMMITS) }
    }
}
