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
/// Bytes that one comparison may take: the trees it reads, and each path it finds with what is kept beside it. Few
/// trees are enough to name any number of others.
const BYTES: usize = 32 << 20;
/// Bytes kept beside a path.
const BESIDE: usize = 128;

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
    /// Content in common with the former file, in percent.
    pub(crate) likeness: u8,
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
    let (mut trees, mut budget) = (0_usize, BYTES);
    'all: while let Some((path, old, new, depth)) = waiting.pop() {
        trees += 1;
        if trees > TREES {
            break;
        }
        if old == new || depth > DEPTH {
            continue;
        }
        let Some(old) = entries(git, old, &mut budget)? else { break };
        let Some(new) = entries(git, new, &mut budget)? else { break };
        for (name, old, new) in pair(old, new) {
            let Ok(path) = path.join(&name) else { continue };
            let Some(left) = budget.checked_sub(path.as_bytes().len() + BESIDE) else { break 'all };
            budget = left;
            let tree = |side: &Option<Side>| side.filter(|side| side.mode.is_tree()).map(|side| side.id);
            let file = |side: &Option<Side>| side.filter(|side| !side.mode.is_tree());
            if tree(&old).is_some() || tree(&new).is_some() {
                waiting.push((path.clone(), tree(&old), tree(&new), depth + 1));
            }
            let (old, new) = (file(&old), file(&new));
            if old != new {
                changes.push(Change { path, old_path: None, likeness: 0, old, new });
            }
            if changes.len() >= CHANGES {
                break 'all;
            }
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

type Named = (Vec<u8>, Side);

/// Entries by plain name: Git's own order sorts a directory as if its name ended with a slash. `None` when the budget
/// has no room for them.
fn entries(git: &gix::Repository, id: Option<ObjectId>, budget: &mut usize) -> Result<Option<Vec<Named>>, Cause> {
    let Some(id) = id else { return Ok(Some(Vec::new())) };
    let Some(data) = load(git, id, Kind::Tree, TREE_BYTES)? else { return Ok(Some(Vec::new())) };
    let Some(left) = budget.checked_sub(data.len()) else { return Ok(None) };
    *budget = left;
    let mut entries = Vec::new();
    for item in TreeRefIter::from_bytes(&data, id.kind()) {
        let item = item?;
        entries.push((item.filename.to_vec(), Side { id: item.oid.to_owned(), mode: item.mode }));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Some(entries))
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
