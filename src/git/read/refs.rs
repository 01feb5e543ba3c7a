//! Branches, tags, and what a text from outside names. Only whole ref names and hexadecimal ids are looked up.

use std::cmp::Ordering;
use std::collections::HashSet;

use base::name::{Oid, RefName, TreePath};
use gix::refs::FullNameRef;

use super::table::{Table, settled};
use super::{object_id, oid, peel};
use crate::error::Cause;
use crate::{Ref, RefList, Resolved};

/// Leading parts of `<revision>/<path>` that may be a ref's name.
const NAME_PARTS: usize = 64;
/// The shortest abbreviation of an id.
const SHORTEST: usize = 7;

pub(crate) fn head(git: &gix::Repository) -> Result<RefName, Cause> {
    let head = git.head()?;
    let name = head.referent_name().ok_or("HEAD names no branch")?;
    Ok(RefName::parse(&name.as_bstr().to_string())?)
}

/// The first `limit` of these names with the commits that they lead to.
pub(crate) fn list(table: &Table, names: &[RefName], limit: usize) -> RefList {
    let with_commit = |name: &RefName| Some(Ref { name: name.clone(), commit: table.commit(name)?.clone() });
    RefList { refs: names.iter().take(limit).filter_map(with_commit).collect(), is_cut: names.len() > limit }
}

pub(crate) fn tip(git: &gix::Repository, name: &RefName) -> Result<Option<Oid>, Cause> {
    let full: &FullNameRef = name.as_str().try_into()?;
    // A whole name is asked for, so that `refs/heads/x` can never be `refs/tags/refs/heads/x`.
    let Some(mut found) = git.try_find_reference(full)?.filter(|found| found.name() == full) else { return Ok(None) };
    let Ok(id) = found.follow_to_object() else { return Ok(None) };
    peel(git, id.detach())?.map(oid).transpose()
}

pub(crate) fn target(git: &gix::Repository, name: &RefName) -> Result<Option<Oid>, Cause> {
    let full: &FullNameRef = name.as_str().try_into()?;
    let Some(found) = git.try_find_reference(full)?.filter(|found| found.name() == full) else { return Ok(None) };
    found.try_id().map(oid).transpose()
}

pub(crate) fn resolve(git: &gix::Repository, table: &Table, text: &str) -> Result<Option<Resolved>, Cause> {
    let named = ["refs/heads/", "refs/tags/", ""].iter().find_map(|prefix| by_name(table, &format!("{prefix}{text}")));
    match named {
        Some(found) => Ok(Some(found)),
        None => by_id(git, text),
    }
}

pub(crate) fn resolve_path(
    git: &gix::Repository,
    table: &Table,
    rest: &[u8],
) -> Result<Option<(Resolved, TreePath)>, Cause> {
    let mut cuts: Vec<usize> = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).collect();
    cuts.push(rest.len());
    cuts.truncate(NAME_PARTS);
    let split = |cut: usize| {
        let name = rest.get(..cut).and_then(|name| std::str::from_utf8(name).ok())?;
        let path = TreePath::parse(rest.get(cut..)?).ok()?;
        Some((name, path))
    };
    for prefix in ["refs/heads/", "refs/tags/"] {
        for (name, path) in cuts.iter().rev().filter_map(|cut| split(*cut)) {
            if let Some(found) = by_name(table, &format!("{prefix}{name}")) {
                return Ok(Some((found, path)));
            }
        }
    }
    let Some((name, path)) = cuts.first().and_then(|cut| split(*cut)) else { return Ok(None) };
    Ok(by_id(git, name)?.map(|found| (found, path)))
}

pub(crate) fn all(git: &gix::Repository) -> Result<Vec<(Vec<u8>, Oid)>, Cause> {
    settled(git, || listed(git))
}

fn listed(git: &gix::Repository) -> Result<Vec<(Vec<u8>, Oid)>, Cause> {
    let mut all = Vec::new();
    for found in git.references()?.all()? {
        let found = found?;
        if let Some(id) = found.try_id() {
            all.push((found.name().as_bstr().to_vec(), oid(id)?));
        }
    }
    Ok(all)
}

fn by_name(table: &Table, name: &str) -> Option<Resolved> {
    let name = RefName::parse(name).ok()?;
    let commit = table.commit(&name)?.clone();
    Some(Resolved { name: name.short().to_owned(), reference: Some(name), commit })
}

fn by_id(git: &gix::Repository, text: &str) -> Result<Option<Resolved>, Cause> {
    let text = text.to_ascii_lowercase();
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(SHORTEST..=40).contains(&text.len()) {
        return Ok(None);
    }
    let id = match Oid::parse(&text) {
        Ok(full) => Some(object_id(&full)?),
        Err(_) => only_commit(git, &text)?,
    };
    let commit = id.map(|id| peel(git, id)).transpose()?.flatten();
    let Some(commit) = commit.map(oid).transpose()? else { return Ok(None) };
    Ok(Some(Resolved { name: commit.as_str().to_owned(), reference: None, commit }))
}

/// The only commit whose id begins so; blobs and trees that share the beginning do not matter.
fn only_commit(git: &gix::Repository, text: &str) -> Result<Option<gix::ObjectId>, Cause> {
    let mut candidates = HashSet::new();
    git.objects.lookup_prefix(gix::hash::Prefix::from_hex(text)?, Some(&mut candidates))?;
    let mut commits = Vec::new();
    for id in candidates {
        if matches!(super::header(git, id)?, Some((gix::objs::Kind::Commit, _))) {
            commits.push(id);
        }
    }
    Ok(commits.pop().filter(|_| commits.is_empty()))
}

/// Compares texts with runs of digits as numbers: `v1.10` is after `v1.9`.
pub(crate) fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, rest_a) = leading_digits(a);
        let (digits_b, rest_b) = leading_digits(b);
        if !digits_a.is_empty() && !digits_b.is_empty() {
            match digits_a.len().cmp(&digits_b.len()).then_with(|| digits_a.cmp(digits_b)) {
                Ordering::Equal => (a, b) = (rest_a, rest_b),
                other => return other,
            }
            continue;
        }
        match (a.split_first(), b.split_first()) {
            (Some((first_a, rest_a)), Some((first_b, rest_b))) if first_a == first_b => (a, b) = (rest_a, rest_b),
            (first_a, first_b) => return first_a.map(|(first, _)| first).cmp(&first_b.map(|(first, _)| first)),
        }
    }
}

/// The digits in front, without leading zeros (but at least one digit), and what follows.
fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count().min(end.saturating_sub(1));
    (digits.get(zeros..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (less, more) in [("v1.9", "v1.10"), ("v1", "v1.0"), ("a", "b"), ("1", "a"), ("v01", "v2"), ("", "a")] {
            assert_eq!(natural(less.as_bytes(), more.as_bytes()), Ordering::Less, "{less} {more}");
        }
        assert_eq!(natural(b"v1.0", b"v1.0"), Ordering::Equal);
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_tags_is_an_order(a: Vec<u8>, b: Vec<u8>) {
            proptest::prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
        }
    }
}
