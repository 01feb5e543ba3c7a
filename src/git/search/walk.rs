//! The files of a commit, one after the other. Bounded: a tree that names itself without end is given up, not walked.

use std::time::Instant;

use base::name::{Oid, TreePath};
use gix::ObjectId;
use gix::objs::tree::EntryMode;
use gix::objs::{Kind, TreeRefIter};

use crate::error::Cause;
use crate::read::{TREE_BYTES, load, object_id, trees};

/// Directories below one another at most.
const DEPTH: usize = 200;
/// Files and directories seen at most.
const ENTRIES: usize = 400_000;

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All files were seen.
    Whole,
    /// The time or the number of entries was used up.
    Late,
    /// Whoever looked had enough.
    Enough,
}

/// Shows every file (and link) of the commit to `look`, in the order of its trees, until that says `false`.
pub(super) fn files(
    git: &gix::Repository,
    commit: &Oid,
    until: Instant,
    mut look: impl FnMut(&TreePath, EntryMode, ObjectId) -> Result<bool, Cause>,
) -> Result<End, Cause> {
    let Some(root) = trees::root(git, object_id(commit)?)? else { return Ok(End::Whole) };
    let mut waiting = vec![(TreePath::default(), root, 0_usize)];
    let mut seen = 0_usize;
    while let Some((path, id, depth)) = waiting.pop() {
        let Some(data) = load(git, id, Kind::Tree, TREE_BYTES)? else { continue };
        let mut below = Vec::new();
        for item in TreeRefIter::from_bytes(&data, id.kind()) {
            let item = item?;
            seen += 1;
            if seen > ENTRIES || Instant::now() >= until {
                return Ok(End::Late);
            }
            let Ok(path) = path.join(item.filename) else { continue };
            let id = item.oid.to_owned();
            if item.mode.is_tree() {
                if depth < DEPTH {
                    below.push((path, id, depth + 1));
                }
            } else if !item.mode.is_commit() && !look(&path, item.mode, id)? {
                return Ok(End::Enough);
            }
        }
        waiting.extend(below.into_iter().rev());
    }
    Ok(End::Whole)
}
