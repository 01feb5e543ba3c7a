//! Which files differ between two trees. Bounded: a tree that names itself a million times is given up, not walked.

use base::name::TreePath;
use gix::ObjectId;
use gix::objs::tree::EntryMode;
use gix::objs::{Kind, TreeRefIter};

use super::{TREE_BYTES, load};
use crate::error::Cause;

/// Changes found at most.
pub(crate) const CHANGES: usize = 100_000;
/// Trees read at most for one comparison.
const TREES: usize = 20_000;
/// Directories below one another at most.
const DEPTH: usize = 200;

/// One version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) id: ObjectId,
    pub(crate) mode: EntryMode,
}

/// A path whose file (or link, or submodule) differs.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) path: TreePath,
    /// The former path, once a rename was found.
    pub(crate) old_path: Option<TreePath>,
    pub(crate) old: Option<Side>,
    pub(crate) new: Option<Side>,
}

/// The changes from one tree to the other, by path. `None` stands for no tree at all.
pub(crate) fn between(
    git: &gix::Repository,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
) -> Result<Vec<Change>, Cause> {
    let mut changes = Vec::new();
    let mut waiting = vec![(TreePath::default(), old, new, 0_usize)];
    let mut trees = 0_usize;
    while let Some((path, old, new, depth)) = waiting.pop() {
        trees += 1;
        if old == new || depth > DEPTH || trees > TREES {
            continue;
        }
        for (name, old, new) in pair(entries(git, old)?, entries(git, new)?) {
            let Ok(path) = path.join(&name) else { continue };
            let tree = |side: &Option<Side>| side.filter(|side| side.mode.is_tree()).map(|side| side.id);
            let file = |side: &Option<Side>| side.filter(|side| !side.mode.is_tree());
            if tree(&old).is_some() || tree(&new).is_some() {
                waiting.push((path.clone(), tree(&old), tree(&new), depth + 1));
            }
            let (old, new) = (file(&old), file(&new));
            if old != new {
                changes.push(Change { path, old_path: None, old, new });
            }
            if changes.len() >= CHANGES {
                return Ok(changes);
            }
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

type Named = (Vec<u8>, Side);

/// Entries by plain name: Git's own order sorts a directory as if its name ended with a slash.
fn entries(git: &gix::Repository, id: Option<ObjectId>) -> Result<Vec<Named>, Cause> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let Some(data) = load(git, id, Kind::Tree, TREE_BYTES)? else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for item in TreeRefIter::from_bytes(&data, id.kind()) {
        let item = item?;
        entries.push((item.filename.to_vec(), Side { id: item.oid.to_owned(), mode: item.mode }));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// Joins two sorted lists; what is equal on both sides is left out.
fn pair(old: Vec<Named>, new: Vec<Named>) -> Vec<(Vec<u8>, Option<Side>, Option<Side>)> {
    let mut pairs = Vec::new();
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        let (a, b) = (before.as_ref().map(|item| item.1), after.as_ref().map(|item| item.1));
        if let Some((name, _)) = before.or(after).filter(|_| a != b) {
            pairs.push((name, a, b));
        }
    }
}
