//! Branches and tags with what each leads to, a page at a time. Only the refs of the page are looked at closely.

use base::name::RefName;
use gix::objs::{Kind, TagRef};

use super::commits::{TITLE, cut, person, summaries};
use super::table::Table;
use super::{COMMIT_BYTES, load, object_id};
use crate::error::Cause;
use crate::{RefKind, RefPage, RefRow, TagNote};

pub(crate) fn page(
    git: &gix::Repository,
    table: &Table,
    kind: RefKind,
    skip: usize,
    limit: usize,
) -> Result<RefPage, Cause> {
    // A tag may lead to a tree or a blob; pages have nothing to show for it, and it is not among these.
    let names = match kind {
        RefKind::Branches => &table.branches,
        RefKind::Tags => &table.tags,
    };
    let total = names.len();
    let mut rows = Vec::new();
    for name in names.iter().skip(skip).take(limit) {
        let Some(commit) = table.commit(name) else { continue };
        let note = note(git, name)?;
        if let Some(commit) = summaries(git, std::slice::from_ref(commit))?.pop() {
            rows.push(RefRow { name: name.clone(), commit, note });
        }
    }
    Ok(RefPage { rows, has_more: skip.saturating_add(limit) < total })
}

/// What an annotated tag says of itself; `None` for a branch and a plain tag.
fn note(git: &gix::Repository, name: &RefName) -> Result<Option<TagNote>, Cause> {
    let Some(id) = super::refs::target(git, name)? else { return Ok(None) };
    let id = object_id(&id)?;
    let Some(data) = load(git, id, Kind::Tag, COMMIT_BYTES)? else { return Ok(None) };
    let tag = TagRef::from_bytes(&data, id.kind())?;
    let message = String::from_utf8_lossy(tag.message);
    let title = cut(message.trim_start().lines().next().unwrap_or_default().trim_end(), TITLE);
    let (tagger, tagged) = person(tag.tagger.map_or(&[][..], |tagger| tagger));
    Ok(Some(TagNote { title, tagger, tagged }))
}
