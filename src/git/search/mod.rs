//! Search in the files of one commit: text or a regular expression in their lines, and files by name. In process, with
//! an engine whose time is linear in what it reads, until the time, the bytes or the room for results are used up;
//! what was left out is said.

mod lines;
mod names;
mod pattern;
#[cfg(test)]
mod tests;
mod walk;

use std::time::{Duration, Instant};

use base::name::{Oid, TreePath};

pub use names::NameHit;
pub use pattern::{Pattern, PatternProblem};

use crate::{Error, Repo};

/// The largest file that is searched, in bytes.
pub const FILE: u64 = 1 << 20;

/// How long a search may take and how much it may read and find.
#[derive(Clone, Copy, Debug)]
pub struct SearchLimits {
    /// Time.
    pub time: Duration,
    /// Bytes of files read.
    pub bytes: u64,
    /// Files with a result.
    pub files: usize,
    /// Lines shown of one file.
    pub lines: usize,
}

impl SearchLimits {
    /// What one page shows.
    pub const PAGE: Self = Self { time: Duration::from_secs(2), bytes: 512 << 20, files: 50, lines: 8 };
}

/// Why a search ended before it had seen all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time was used up.
    Time,
    /// There was more to read than is read.
    Bytes,
    /// There was no room for more results.
    Results,
}

/// What a search in lines gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Files with a result, in the order of the tree.
    pub files: Vec<FileHit>,
    /// Files looked into.
    pub searched: usize,
    /// Files that are no text and were skipped.
    pub binary: usize,
    /// Files of more than 1 MiB, skipped.
    pub large: usize,
    /// Why it ended early.
    pub stop: Option<Stop>,
}

/// A file with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHit {
    /// The file.
    pub path: TreePath,
    /// The first lines with a match.
    pub lines: Vec<LineHit>,
    /// Further lines with a match.
    pub more: usize,
}

/// A line with a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineHit {
    /// Its number, from 1.
    pub number: usize,
    /// Its text in pieces, cut to some 300 bytes around the first match, lossily decoded.
    pub pieces: Vec<Piece>,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Says whether it is what was looked for.
    pub is_match: bool,
}

/// What a search for names gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundNames {
    /// The best of them, best first.
    pub files: Vec<NameHit>,
    /// Files that fit.
    pub fitting: usize,
    /// Says whether there were more files than are looked at.
    pub is_cut: bool,
}

impl Repo {
    /// Lines of the commit's files in which `pattern` is; only files whose path fits `paths`, when there is one.
    pub async fn search(
        &self,
        commit: &Oid,
        pattern: Pattern,
        paths: Option<Pattern>,
        limits: SearchLimits,
    ) -> Result<Found, Error> {
        let commit = commit.clone();
        self.read_at(&self.gates().searches, "files", move |git| {
            lines::search(git, &commit, &pattern, paths.as_ref(), limits)
        })
        .await
    }

    /// Files of the commit whose path has the letters of `text` in this order, the nearest first, at most `limit`.
    pub async fn find_names(
        &self,
        commit: &Oid,
        text: &str,
        limit: usize,
        time: Duration,
    ) -> Result<FoundNames, Error> {
        let (commit, text) = (commit.clone(), text.to_owned());
        self.read_at(&self.gates().searches, "file names", move |git| {
            names::find(git, &commit, &text, limit, Instant::now() + time)
        })
        .await
    }
}
