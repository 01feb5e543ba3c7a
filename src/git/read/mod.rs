//! Reading objects and refs in process. Every object's header is looked at before its bytes are loaded; no text from
//! outside is ever parsed as a revision expression.

pub(crate) mod changes;
pub(crate) mod commits;
pub(crate) mod diff;
pub(crate) mod latest;
pub(crate) mod lines;
pub(crate) mod records;
pub(crate) mod ref_pages;
pub(crate) mod refs;
pub(crate) mod renames;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod trees;
pub(crate) mod walks;
mod words;

use base::name::Oid;
use gix::ObjectId;
use gix::objs::Kind;

use crate::error::Cause;

/// The largest commit or tag that is read.
pub(crate) const COMMIT_BYTES: u64 = 1 << 20;
/// The largest tree that is read: some 300,000 entries.
pub(crate) const TREE_BYTES: u64 = 16 << 20;

/// Our id of Git's.
pub(crate) fn oid(id: impl AsRef<gix::oid>) -> Result<Oid, Cause> {
    Ok(Oid::parse(&id.as_ref().to_string())?)
}

/// Git's id of ours.
pub(crate) fn object_id(oid: &Oid) -> Result<ObjectId, Cause> {
    Ok(ObjectId::from_hex(oid.as_str().as_bytes())?)
}

/// Kind and size, without the content; `None` when there is no such object.
pub(crate) fn header(git: &gix::Repository, id: ObjectId) -> Result<Option<(Kind, u64)>, Cause> {
    Ok(git.try_find_header(id)?.map(|header| (header.kind(), header.size())))
}

/// The bytes of an object of this kind; `None` when there is none. Fails when it is larger than `limit`.
pub(crate) fn load(git: &gix::Repository, id: ObjectId, kind: Kind, limit: u64) -> Result<Option<Vec<u8>>, Cause> {
    match header(git, id)? {
        Some((found, size)) if found == kind => {
            if size > limit {
                return Err(Box::new(crate::Error::Object { oid: oid(id)?, problem: "larger than is read" }));
            }
            Ok(Some(git.find_object(id)?.detach().data))
        }
        _ => Ok(None),
    }
}

/// The commit that `id` leads to through any tags; `None` when it leads elsewhere.
pub(crate) fn peel(git: &gix::Repository, mut id: ObjectId) -> Result<Option<ObjectId>, Cause> {
    // A tag of a tag is rare; a chain of ten is an attack.
    for _ in 0..10 {
        match header(git, id)? {
            Some((Kind::Commit, _)) => return Ok(Some(id)),
            Some((Kind::Tag, _)) => {
                let Some(data) = load(git, id, Kind::Tag, COMMIT_BYTES)? else { return Ok(None) };
                id = gix::objs::TagRefIter::from_bytes(&data, id.kind()).target_id()?;
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}
