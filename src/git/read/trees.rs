//! Directories and files at a commit. Sizes come from object headers; a blob is loaded only below the caller's limit.

use base::name::{Oid, TreePath};
use gix::ObjectId;
use gix::objs::tree::EntryMode;
use gix::objs::{CommitRefIter, Kind, TreeRefIter};

use super::{COMMIT_BYTES, TREE_BYTES, header, load, object_id, oid};
use crate::error::Cause;
use crate::{Blob, Entry, EntryKind, Listing};

/// The root tree of a commit.
pub(crate) fn root(git: &gix::Repository, commit: ObjectId) -> Result<Option<ObjectId>, Cause> {
    let Some(data) = load(git, commit, Kind::Commit, COMMIT_BYTES)? else { return Ok(None) };
    Ok(Some(CommitRefIter::from_bytes(&data, commit.kind()).tree_id()?))
}

pub(crate) fn entry(git: &gix::Repository, commit: &Oid, path: &TreePath) -> Result<Option<Entry>, Cause> {
    let Some(mut id) = root(git, object_id(commit)?)? else { return Ok(None) };
    let mut found = (EntryKind::Tree, Vec::new());
    for part in path.parts() {
        if found.0 != EntryKind::Tree {
            return Ok(None);
        }
        let Some(data) = load(git, id, Kind::Tree, TREE_BYTES)? else { return Ok(None) };
        let mut below = None;
        for item in TreeRefIter::from_bytes(&data, id.kind()) {
            let item = item?;
            if item.filename == part {
                below = Some((kind(item.mode), item.oid.to_owned()));
                break;
            }
        }
        let Some((kind, below)) = below else { return Ok(None) };
        found = (kind, part.to_vec());
        id = below;
    }
    let (kind, name) = found;
    Ok(Some(Entry { name, path: path.clone(), kind, id: oid(id)?, size: size(git, kind, id)? }))
}

pub(crate) fn listing(
    git: &gix::Repository,
    commit: &Oid,
    path: &TreePath,
    limit: usize,
) -> Result<Option<Listing>, Cause> {
    let Some(directory) = entry(git, commit, path)?.filter(|found| found.kind == EntryKind::Tree) else {
        return Ok(None);
    };
    let id = object_id(&directory.id)?;
    let Some(data) = load(git, id, Kind::Tree, TREE_BYTES)? else { return Ok(None) };
    let mut items = TreeRefIter::from_bytes(&data, id.kind()).collect::<Result<Vec<_>, _>>()?;
    items.sort_by_key(|item| !item.mode.is_tree());
    let is_cut = items.len() > limit;
    let mut entries = Vec::new();
    for item in items.into_iter().take(limit) {
        let kind = kind(item.mode);
        // Names that are no names (`..`) are refused at the door; an entry that has one is not shown.
        let Ok(path) = path.join(item.filename) else { continue };
        let size = size(git, kind, item.oid.to_owned())?;
        entries.push(Entry { name: item.filename.to_vec(), path, kind, id: oid(item.oid)?, size });
    }
    Ok(Some(Listing { entries, is_cut }))
}

pub(crate) fn blob(git: &gix::Repository, id: &Oid, limit: u64) -> Result<Option<Blob>, Cause> {
    let id = object_id(id)?;
    let Some((Kind::Blob, size)) = header(git, id)? else { return Ok(None) };
    let content = if size <= limit { load(git, id, Kind::Blob, limit)? } else { None };
    Ok(Some(Blob { size, content }))
}

/// What an entry's mode says it is.
pub(crate) fn kind(mode: EntryMode) -> EntryKind {
    match mode.kind() {
        gix::objs::tree::EntryKind::Tree => EntryKind::Tree,
        gix::objs::tree::EntryKind::Blob => EntryKind::File,
        gix::objs::tree::EntryKind::BlobExecutable => EntryKind::Executable,
        gix::objs::tree::EntryKind::Link => EntryKind::Symlink,
        gix::objs::tree::EntryKind::Commit => EntryKind::Submodule,
    }
}

fn size(git: &gix::Repository, kind: EntryKind, id: ObjectId) -> Result<Option<u64>, Cause> {
    match kind {
        EntryKind::Tree | EntryKind::Submodule => Ok(None),
        EntryKind::File | EntryKind::Executable | EntryKind::Symlink => Ok(header(git, id)?.map(|(_, size)| size)),
    }
}
