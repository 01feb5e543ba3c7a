//! Trees by their own ids, whole or with all that is below them. Never holds more entries than the caller's bound, and
//! never follows what is nested deeper than any honest project.

use base::name::Oid;
use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use super::trees::kind;
use super::{TREE_BYTES, header, load, object_id, oid, peel};
use crate::error::Cause;
use crate::{EntryKind, WalkEntry, WalkedTree};

/// Directories inside directories that are followed.
const DEPTH: usize = 128;
/// Entries that are counted.
const COUNTED: usize = 200_000;

pub(crate) fn walk(
    git: &gix::Repository,
    id: &Oid,
    is_recursive: bool,
    (skip, limit): (usize, usize),
) -> Result<Option<WalkedTree>, Cause> {
    let given = object_id(id)?;
    let root = match header(git, given)? {
        Some((Kind::Tree, _)) => Some(given),
        Some(_) => peel(git, given)?.map(|commit| super::trees::root(git, commit)).transpose()?.flatten(),
        None => None,
    };
    let Some(root) = root else { return Ok(None) };
    let mut walk = Walk { git, is_recursive, found: Vec::new(), is_cut: false };
    walk.below(root, &[], 0)?;
    let total = walk.found.len();
    let mut entries = Vec::new();
    for (path, mode, id) in walk.found.into_iter().skip(skip).take(limit) {
        let entry_kind = kind(mode);
        let has_size = !matches!(entry_kind, EntryKind::Tree | EntryKind::Submodule);
        let size = if has_size { header(git, id)?.map(|(_, size)| size) } else { None };
        entries.push(WalkEntry { path, mode: mode.value(), kind: entry_kind, id: oid(id)?, size });
    }
    Ok(Some(WalkedTree { id: oid(root)?, entries, total, is_cut: walk.is_cut }))
}

struct Walk<'g> {
    git: &'g gix::Repository,
    is_recursive: bool,
    found: Vec<(Vec<u8>, gix::objs::tree::EntryMode, ObjectId)>,
    is_cut: bool,
}

impl Walk<'_> {
    fn below(&mut self, tree: ObjectId, above: &[u8], depth: usize) -> Result<(), Cause> {
        let Some(data) = load(self.git, tree, Kind::Tree, TREE_BYTES)? else { return Ok(()) };
        for item in TreeRefIter::from_bytes(&data, tree.kind()) {
            let item = item?;
            if self.found.len() >= COUNTED {
                self.is_cut = true;
                return Ok(());
            }
            let mut path = above.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(item.filename);
            let below = item.oid.to_owned();
            self.found.push((path.clone(), item.mode, below));
            if self.is_recursive && item.mode.is_tree() {
                if depth >= DEPTH {
                    self.is_cut = true;
                } else {
                    self.below(below, &path, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}
