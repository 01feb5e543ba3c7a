//! Commits and annotated tags with all that they say, for those who read them by machine. What does not parse in part
//! is told in part.

use base::clock::Timestamp;
use base::name::{Oid, RefName};
use gix::objs::{CommitRef, Kind, TagRef};

use super::commits::{PARENTS, cut, person, seconds};
use super::table::Table;
use super::{COMMIT_BYTES, header, load, object_id, oid, peel};
use crate::error::Cause;
use crate::{CommitPerson, CommitRecord, RefKind, RefRecord, RefRecords, TagRecord};

/// Bytes of a message that are told.
const MESSAGE: usize = 64 << 10;
/// Characters of a name or an address that are told.
const NAME: usize = 200;

pub(crate) fn commits(git: &gix::Repository, ids: &[Oid]) -> Result<Vec<CommitRecord>, Cause> {
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        let id = object_id(id)?;
        let Some(data) = load(git, id, Kind::Commit, COMMIT_BYTES)? else { continue };
        let commit = CommitRef::from_bytes(&data, id.kind())?;
        records.push(CommitRecord {
            id: oid(id)?,
            tree: oid(commit.tree())?,
            parents: commit.parents().take(PARENTS).map(oid).collect::<Result<_, _>>()?,
            message: message(commit.message),
            author: who(commit.author),
            committer: who(commit.committer),
        });
    }
    Ok(records)
}

pub(crate) fn tag(git: &gix::Repository, id: &Oid) -> Result<Option<TagRecord>, Cause> {
    let id = object_id(id)?;
    let Some(data) = load(git, id, Kind::Tag, COMMIT_BYTES)? else { return Ok(None) };
    let tag = TagRef::from_bytes(&data, id.kind())?;
    let tagger = tag.tagger.map(|tagger| who(tagger));
    let target = tag.target();
    let target_kind = if tag.target_kind == Kind::Commit { "commit" } else { "tree" };
    Ok(Some(TagRecord {
        id: oid(id)?,
        name: cut(&String::from_utf8_lossy(tag.name), NAME),
        message: message(tag.message),
        tagger,
        target: oid(target)?,
        target_kind,
    }))
}

/// Branches or tags by name or version, with what each holds; those whose full name begins with `prefix`.
pub(crate) fn refs(
    git: &gix::Repository,
    table: &Table,
    (kinds, prefix): (&[RefKind], &str),
    (skip, limit): (usize, usize),
) -> Result<RefRecords, Cause> {
    let mut names: Vec<RefName> = Vec::new();
    for kind in kinds {
        names.extend(match kind {
            RefKind::Branches => table.branches.iter().cloned(),
            RefKind::Tags => table.tags.iter().cloned(),
        });
    }
    names.retain(|name| name.as_str().starts_with(prefix));
    let total = names.len();
    let mut rows = Vec::new();
    for name in names.into_iter().skip(skip).take(limit) {
        rows.extend(reference(git, &name)?);
    }
    Ok(RefRecords { rows, total })
}

/// What one ref holds; `None` when there is no such ref.
pub(crate) fn reference(git: &gix::Repository, name: &RefName) -> Result<Option<RefRecord>, Cause> {
    let Some(target) = super::refs::target(git, name)? else { return Ok(None) };
    let id = object_id(&target)?;
    let is_tag = matches!(header(git, id)?, Some((Kind::Tag, _)));
    let commit = peel(git, id)?.map(oid).transpose()?;
    let note = if is_tag { tag(git, &target)? } else { None };
    Ok(Some(RefRecord { name: name.clone(), target, commit, note }))
}

fn message(bytes: &[u8]) -> String {
    let end = bytes.len().min(MESSAGE);
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// Name, address and time of `Name <mail> 1700000000 +0100`.
fn who(raw: &[u8]) -> CommitPerson {
    let text = String::from_utf8_lossy(raw);
    let email = text.rsplit_once('<').and_then(|(_, rest)| rest.split('>').next()).unwrap_or_default().trim();
    let (name, _) = person(raw);
    CommitPerson { name, email: cut(email, NAME), at: Timestamp(seconds(raw).saturating_mul(1_000_000)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_that_hardly_parses_has_what_can_be_read() {
        for (raw, name, email, at) in [
            (&b"A B <a@b> 1700000000 +0100"[..], "A B", "a@b", 1_700_000_000),
            (b"A <x> B <a@b> 5 +0000", "A", "a@b", 5),
            (b"A <a", "A", "a", 0),
            (b"", "", "", 0),
        ] {
            let expected = CommitPerson { name: name.into(), email: email.into(), at: Timestamp(at * 1_000_000) };
            assert_eq!(who(raw), expected);
        }
    }
}
