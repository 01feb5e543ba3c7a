//! Which deleted file is which added one: the same content, or at least half of it in common. Bounded in pairs and
//! bytes; beyond that a rename shows as a deletion and an addition.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use gix::ObjectId;
use gix::objs::Kind;

use super::changes::{Change, Side};
use super::{header, load};
use crate::error::Cause;

/// Pairs of a deleted and an added file that are compared by content.
const PAIRS: usize = 2_500;
/// The largest file that is compared by content.
const FILE_BYTES: u64 = 512 << 10;
/// Bytes that are read to compare files by content.
const ALL_BYTES: u64 = 24 << 20;
/// Content in common, in percent, that makes a rename.
const LIKENESS: u64 = 50;

/// Joins deletions and additions into renames.
pub(crate) fn find(git: &gix::Repository, changes: Vec<Change>) -> Result<Vec<Change>, Cause> {
    let is_file = |side: &Side| side.mode.is_blob_or_symlink();
    let (mut deleted, rest): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| change.new.is_none() && change.old.as_ref().is_some_and(is_file));
    let (mut added, mut others): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|change| change.old.is_none() && change.new.as_ref().is_some_and(is_file));
    same_content(&mut deleted, &mut added);
    if deleted.len().saturating_mul(added.len()) <= PAIRS {
        like_content(git, &mut deleted, &mut added)?;
    }
    others.extend(added);
    others.extend(deleted);
    others.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(others)
}

fn same_content(deleted: &mut Vec<Change>, added: &mut [Change]) {
    let mut by_content: HashMap<ObjectId, Vec<usize>> = HashMap::new();
    for (at, change) in deleted.iter().enumerate().rev() {
        if let Some(old) = change.old {
            by_content.entry(old.id).or_default().push(at);
        }
    }
    let mut taken = vec![false; deleted.len()];
    for change in added {
        let at = change.new.and_then(|new| by_content.get_mut(&new.id)?.pop());
        if let Some((at, source)) = at.and_then(|at| Some((at, deleted.get(at)?))) {
            join(change, source, 100);
            if let Some(taken) = taken.get_mut(at) {
                *taken = true;
            }
        }
    }
    let mut taken = taken.into_iter();
    deleted.retain(|_| !taken.next().unwrap_or(false));
}

fn like_content(git: &gix::Repository, deleted: &mut Vec<Change>, added: &mut [Change]) -> Result<(), Cause> {
    let mut budget = ALL_BYTES;
    let mut old = Vec::new();
    for change in deleted.iter() {
        old.push(lines(git, change.old, &mut budget)?);
    }
    let mut pairs = Vec::new();
    for (to, change) in added.iter().enumerate().filter(|(_, change)| change.old_path.is_none()) {
        let Some(new) = lines(git, change.new, &mut budget)? else { continue };
        for (from, old) in old.iter().enumerate().filter_map(|(from, old)| old.as_ref().map(|old| (from, old))) {
            let likeness = likeness(old, &new);
            if likeness >= LIKENESS {
                pairs.push((std::cmp::Reverse(likeness), from, to));
            }
        }
    }
    pairs.sort_unstable();
    let mut taken = vec![false; deleted.len()];
    for (std::cmp::Reverse(likeness), from, to) in pairs {
        let (Some(source), Some(target), Some(taken)) = (deleted.get(from), added.get_mut(to), taken.get_mut(from))
        else {
            continue;
        };
        if !*taken && target.old_path.is_none() {
            join(target, source, u8::try_from(likeness).unwrap_or(100));
            *taken = true;
        }
    }
    let mut taken = taken.into_iter();
    deleted.retain(|_| !taken.next().unwrap_or(false));
    Ok(())
}

fn join(target: &mut Change, source: &Change, likeness: u8) {
    target.likeness = likeness;
    target.old = source.old;
    target.old_path = Some(source.path.clone());
}

/// A file's lines as hashes, each with the bytes it stands for.
struct Lines {
    bytes: u64,
    by_hash: HashMap<u64, u64>,
}

/// `None` for what is not compared: no file, an empty or large one, or one that the budget has no room for.
fn lines(git: &gix::Repository, side: Option<Side>, budget: &mut u64) -> Result<Option<Lines>, Cause> {
    let Some(side) = side else { return Ok(None) };
    match header(git, side.id)? {
        Some((Kind::Blob, size)) if (1..=FILE_BYTES.min(*budget)).contains(&size) => *budget -= size,
        _ => return Ok(None),
    }
    let Some(data) = load(git, side.id, Kind::Blob, FILE_BYTES)? else { return Ok(None) };
    let mut by_hash = HashMap::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        *by_hash.entry(hasher.finish()).or_insert(0) += line.len() as u64;
    }
    Ok(Some(Lines { bytes: data.len() as u64, by_hash }))
}

/// Bytes in lines that both have, in percent of the larger file.
fn likeness(a: &Lines, b: &Lines) -> u64 {
    let larger = a.bytes.max(b.bytes).max(1);
    if a.bytes.min(b.bytes) * 100 / larger < LIKENESS {
        return 0;
    }
    let common: u64 =
        a.by_hash.iter().filter_map(|(hash, bytes)| b.by_hash.get(hash).map(|others| bytes.min(others))).sum();
    common * 100 / larger
}
