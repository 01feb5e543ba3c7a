//! What differs between two commits, worked out until one of the limits is reached.

use base::name::Oid;
use gix::objs::Kind;

use super::changes::{self, Change, Side};
use super::{commits, header, lines, load, object_id, renames, trees};
use crate::error::Cause;
use crate::{ChangeKind, Diff, DiffContent, DiffLimits, DiffOptions, FileDiff};

/// What differs between two commits; without a base, what the commit changed against its first parent.
pub(crate) fn between(
    git: &gix::Repository,
    base: Option<&Oid>,
    head: &Oid,
    options: &DiffOptions,
) -> Result<Diff, Cause> {
    let id = object_id(head)?;
    let new = trees::root(git, id)?;
    let base = match base {
        Some(base) => Some(object_id(base)?),
        None => commits::first_parent(git, id)?,
    };
    let old = base.map(|base| trees::root(git, base)).transpose()?.flatten();
    let mut changes = renames::find(git, changes::between(git, old, new)?)?;
    if let Some(only) = &options.only {
        changes.retain(|change| change.path == *only);
    }
    let limits = &options.limits;
    let mut diff = Diff { files: Vec::new(), file_count: changes.len(), added: 0, removed: 0 };
    let mut budget = Budget { lines: limits.total_lines, bytes: limits.total_bytes };
    for change in changes.into_iter().take(limits.files) {
        let file = file(git, change, options, &mut budget)?;
        diff.added += file.added;
        diff.removed += file.removed;
        diff.files.push(file);
    }
    Ok(diff)
}

/// What is left for the files that follow.
struct Budget {
    lines: usize,
    bytes: u64,
}

fn file(git: &gix::Repository, change: Change, options: &DiffOptions, budget: &mut Budget) -> Result<FileDiff, Cause> {
    let kind = match (&change.old, &change.new, &change.old_path) {
        (None, _, _) => ChangeKind::Added,
        (_, None, _) => ChangeKind::Deleted,
        (_, _, Some(_)) => ChangeKind::Renamed,
        _ => ChangeKind::Modified,
    };
    let (content, added, removed) = content(git, &change, options, budget)?;
    let likeness = change.old_path.as_ref().map(|_| change.likeness);
    Ok(FileDiff { path: change.path, old_path: change.old_path, likeness, kind, added, removed, content })
}

fn content(
    git: &gix::Repository,
    change: &Change,
    options: &DiffOptions,
    budget: &mut Budget,
) -> Result<(DiffContent, u64, u64), Cause> {
    let too_large = (DiffContent::TooLarge, 0, 0);
    let limits = &options.limits;
    if change.old.map(|side| side.id) == change.new.map(|side| side.id) {
        return Ok((DiffContent::Hunks(Vec::new()), 0, 0));
    }
    let sizes = size(git, change.old)?.zip(size(git, change.new)?);
    let Some((old_size, new_size)) = sizes else { return Ok(too_large) };
    let bytes = old_size.saturating_add(new_size);
    if old_size.max(new_size) > limits.file_bytes || bytes > budget.bytes || budget.lines == 0 {
        return Ok(too_large);
    }
    budget.bytes -= bytes;
    let (old, new) = (bytes_of(git, change.old, limits)?, bytes_of(git, change.new, limits)?);
    if lines::is_binary(&old) || lines::is_binary(&new) {
        return Ok((DiffContent::Binary, 0, 0));
    }
    let Some(compared) = lines::compare(&old, &new, limits.file_lines.min(budget.lines), options) else {
        return Ok(too_large);
    };
    budget.lines = budget.lines.saturating_sub(compared.shown);
    Ok((DiffContent::Hunks(compared.hunks), compared.added, compared.removed))
}

/// Bytes of one version: 0 where there is no file, about a line for a submodule, `None` for an object that is lost.
fn size(git: &gix::Repository, side: Option<Side>) -> Result<Option<u64>, Cause> {
    match side {
        None => Ok(Some(0)),
        Some(side) if side.mode.is_commit() => Ok(Some(60)),
        Some(side) => Ok(header(git, side.id)?.map(|(_, size)| size)),
    }
}

fn bytes_of(git: &gix::Repository, side: Option<Side>, limits: &DiffLimits) -> Result<Vec<u8>, Cause> {
    match side {
        None => Ok(Vec::new()),
        // As git shows it.
        Some(side) if side.mode.is_commit() => Ok(format!("Subproject commit {}\n", side.id).into_bytes()),
        Some(side) => Ok(load(git, side.id, Kind::Blob, limits.file_bytes)?.unwrap_or_default()),
    }
}
