//! Commits, one or a stretch of history. A commit that does not parse in part is shown in part.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use base::clock::Timestamp;
use base::name::Oid;
use gix::ObjectId;
use gix::objs::{CommitRef, Kind};

use super::{COMMIT_BYTES, load, object_id, oid};
use crate::error::Cause;
use crate::{Commit, CommitSummary, Log};

/// Commits that a page may be behind.
const DEEPEST: usize = 50_000;
/// Bytes of a commit that are kept while it waits for its turn; a larger one is read again then.
const KEPT: usize = 1 << 10;
pub(crate) const TITLE: usize = 1_000;
const NAME: usize = 200;
/// Parents of one commit that are shown and followed.
pub(crate) const PARENTS: usize = 100;
const BODY: usize = 64 << 10;

pub(crate) fn log(git: &gix::Repository, from: &Oid, skip: usize, limit: usize) -> Result<Log, Cause> {
    let nothing = Log { commits: Vec::new(), has_more: false };
    if skip > DEEPEST {
        return Ok(nothing);
    }
    let mut walk = Walk::new(git, object_id(from)?)?;
    for _ in 0..skip {
        if walk.next()?.is_none() {
            return Ok(nothing);
        }
    }
    let mut commits = Vec::new();
    while let Some((id, data)) = walk.next()? {
        if commits.len() == limit {
            return Ok(Log { commits, has_more: true });
        }
        commits.push(summary(id, &CommitRef::from_bytes(&data, id.kind())?)?);
    }
    Ok(Log { commits, has_more: false })
}

pub(crate) fn commit(git: &gix::Repository, id: &Oid) -> Result<Option<Commit>, Cause> {
    let id = object_id(id)?;
    let Some(data) = load(git, id, Kind::Commit, COMMIT_BYTES)? else { return Ok(None) };
    let commit = CommitRef::from_bytes(&data, id.kind())?;
    let message = String::from_utf8_lossy(commit.message);
    let body = message.trim_start().split_once('\n').map_or("", |(_, body)| body).trim();
    let (committer, committed) = person(commit.committer);
    Ok(Some(Commit { summary: summary(id, &commit)?, body: cut(body, BODY), committer, committed }))
}

pub(crate) fn summaries(git: &gix::Repository, ids: &[Oid]) -> Result<Vec<CommitSummary>, Cause> {
    let mut summaries = Vec::new();
    for id in ids {
        let id = object_id(id)?;
        if let Some(data) = load(git, id, Kind::Commit, COMMIT_BYTES)? {
            summaries.push(summary(id, &CommitRef::from_bytes(&data, id.kind())?)?);
        }
    }
    Ok(summaries)
}

/// First parent and root tree, for a diff.
pub(crate) fn first_parent(git: &gix::Repository, id: ObjectId) -> Result<Option<ObjectId>, Cause> {
    let Some(data) = load(git, id, Kind::Commit, COMMIT_BYTES)? else { return Ok(None) };
    Ok(CommitRef::from_bytes(&data, id.kind())?.parents().next())
}

pub(crate) fn summary(id: ObjectId, commit: &CommitRef<'_>) -> Result<CommitSummary, Cause> {
    let message = String::from_utf8_lossy(commit.message);
    let title = message.trim_start().lines().next().unwrap_or_default();
    let (author, authored) = person(commit.author);
    let parents = commit.parents().take(PARENTS).map(oid).collect::<Result<_, _>>()?;
    Ok(CommitSummary { id: oid(id)?, title: cut(title.trim_end(), TITLE), author, authored, parents })
}

/// Name and time of `Name <mail> 1700000000 +0100`.
pub(crate) fn person(raw: &[u8]) -> (String, Timestamp) {
    let text = String::from_utf8_lossy(raw);
    let name = text.split('<').next().unwrap_or_default().trim();
    (cut(name, NAME), Timestamp(seconds(raw).saturating_mul(1_000_000)))
}

/// The seconds after the last `>`; 0 when there are none.
pub(crate) fn seconds(raw: &[u8]) -> i64 {
    let after = raw.iter().rposition(|byte| *byte == b'>').and_then(|at| raw.get(at + 1..)).unwrap_or_default();
    let number = String::from_utf8_lossy(after);
    number.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub(crate) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Commit date, then reversed order of arrival, then the commit, with its bytes when they are few.
type Waiting = (i64, Reverse<usize>, ObjectId, Option<Vec<u8>>);

/// Walks from a tip to older commits, by commit date. A commit that is not there (a shallow history) ends its line.
struct Walk<'g> {
    git: &'g gix::Repository,
    waiting: BinaryHeap<Waiting>,
    seen: HashSet<ObjectId>,
}

impl<'g> Walk<'g> {
    fn new(git: &'g gix::Repository, tip: ObjectId) -> Result<Self, Cause> {
        let mut walk = Self { git, waiting: BinaryHeap::new(), seen: HashSet::new() };
        walk.add(tip)?;
        Ok(walk)
    }

    fn next(&mut self) -> Result<Option<(ObjectId, Vec<u8>)>, Cause> {
        let Some((_, _, id, kept)) = self.waiting.pop() else { return Ok(None) };
        let data = match kept {
            Some(data) => data,
            None => load(self.git, id, Kind::Commit, COMMIT_BYTES)?.ok_or("a commit is gone")?,
        };
        let parents: Vec<_> = CommitRef::from_bytes(&data, id.kind())?.parents().take(PARENTS).collect();
        for parent in parents {
            self.add(parent)?;
        }
        Ok(Some((id, data)))
    }

    fn add(&mut self, id: ObjectId) -> Result<(), Cause> {
        if !self.seen.insert(id) {
            return Ok(());
        }
        if let Some(data) = load(self.git, id, Kind::Commit, COMMIT_BYTES)? {
            let date = seconds(CommitRef::from_bytes(&data, id.kind())?.committer);
            self.waiting.push((date, Reverse(self.seen.len()), id, Some(data).filter(|data| data.len() <= KEPT)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_that_hardly_parse_still_have_a_name() {
        let cases: [(&[u8], &str, i64); 5] = [
            (b"A B <a@b> 1700000000 +0100", "A B", 1_700_000_000),
            (b"A > B <a@b> 5 +0000", "A > B", 5),
            (b"A <a", "A", 0),
            (b"\xff <a@b> x y", "\u{fffd}", 0),
            (b"", "", 0),
        ];
        for (raw, name, at) in cases {
            assert_eq!(person(raw), (name.to_owned(), Timestamp(at * 1_000_000)));
        }
    }
}
