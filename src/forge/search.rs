//! Search in one repository, by whoever may read it. What a search costs is bounded below; what it left out is said.

use std::time::Duration;

use base::name::TreePath;
use git::search::{self, Pattern, SearchLimits};

use crate::browse::default_revision;
use crate::{Error, Forge, RepoRead, Revision};

/// Files that a search for names shows.
const NAMES: usize = 100;
/// Time that a search for names may take.
const TIME: Duration = Duration::from_secs(2);

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// The text.
    pub text: String,
    /// Where: a branch, tag or object id; the default branch when empty.
    pub revision: String,
    /// Says whether the text is a regular expression.
    pub is_expression: bool,
    /// Says whether capitals count.
    pub has_case: bool,
    /// Which files: a part of the path, or a pattern with `*`; all when empty.
    pub paths: String,
    /// Says whether names of files are looked for, not their lines.
    pub is_for_names: bool,
}

/// What a search gave.
#[derive(Clone, Debug)]
pub struct SearchResult {
    /// Where it looked; `None` in a repository without commits.
    pub revision: Option<Revision>,
    /// What it found; `None` when nothing was looked for.
    pub found: Option<SearchFound>,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum SearchFound {
    /// Lines of files.
    Lines(SearchLines),
    /// Files.
    Names(SearchNames),
}

/// Lines of files.
#[derive(Clone, Debug)]
pub struct SearchLines {
    /// Files with a result; at most 50.
    pub files: Vec<SearchFile>,
    /// Files looked into.
    pub searched: usize,
    /// Files that are no text and were skipped.
    pub binary: usize,
    /// Files of more than 1 MiB, skipped.
    pub large: usize,
    /// Why it ended early.
    pub stop: Option<SearchStop>,
}

/// Why a search ended before it had seen all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchStop {
    /// The time was used up.
    Time,
    /// There was more to read than is read.
    Bytes,
    /// There was no room for more results.
    Results,
}

/// A file with a result.
#[derive(Clone, Debug)]
pub struct SearchFile {
    /// The file.
    pub path: TreePath,
    /// The first lines with a match; at most 8.
    pub lines: Vec<SearchLine>,
    /// Further lines with a match.
    pub more: usize,
}

/// A line with a match.
#[derive(Clone, Debug)]
pub struct SearchLine {
    /// Its number, from 1.
    pub number: usize,
    /// Its text in pieces; `true` marks what was looked for.
    pub pieces: Vec<(String, bool)>,
}

/// Files by name.
#[derive(Clone, Debug)]
pub struct SearchNames {
    /// The nearest, at most 100.
    pub files: Vec<TreePath>,
    /// Files that fit.
    pub fitting: usize,
    /// Says whether there are more files than were looked at.
    pub is_cut: bool,
}

impl Forge {
    /// Looks for what the query says; nothing is found where its text is empty. `NotFound` for a revision that is not
    /// there, `Field` for what is no pattern.
    pub async fn search(&self, repo: &RepoRead, query: &SearchQuery) -> Result<SearchResult, Error> {
        let handle = self.handle(repo)?;
        let revision = if query.revision.is_empty() {
            default_revision(&handle).await?
        } else {
            Some(self.revision(repo, &query.revision).await?)
        };
        let Some(at) = revision.as_ref().filter(|_| !query.text.trim().is_empty()) else {
            return Ok(SearchResult { revision, found: None });
        };
        if query.is_for_names {
            let found = handle.find_names(&at.commit, &query.text, NAMES, TIME).await?;
            let files = found.files.into_iter().map(|hit| hit.path).collect();
            let names = SearchNames { files, fitting: found.fitting, is_cut: found.is_cut };
            return Ok(SearchResult { revision, found: Some(SearchFound::Names(names)) });
        }
        let compile = if query.is_expression { Pattern::expression } else { Pattern::text };
        let pattern = compile(&query.text, query.has_case).map_err(|problem| field("q", &problem))?;
        let paths = if query.paths.is_empty() { None } else { Some(Pattern::paths(&query.paths)) };
        let paths = paths.transpose().map_err(|problem| field("path", &problem))?;
        let found = handle.search(&at.commit, pattern, paths, SearchLimits::PAGE).await?;
        Ok(SearchResult { revision, found: Some(SearchFound::Lines(found.into())) })
    }
}

fn field(field: &'static str, problem: &search::PatternProblem) -> Error {
    Error::Field { field, problem: problem.to_string() }
}

impl From<search::Found> for SearchLines {
    fn from(found: search::Found) -> Self {
        let stop = found.stop.map(|stop| match stop {
            search::Stop::Time => SearchStop::Time,
            search::Stop::Bytes => SearchStop::Bytes,
            search::Stop::Results => SearchStop::Results,
        });
        let line = |hit: search::LineHit| SearchLine {
            number: hit.number,
            pieces: hit.pieces.into_iter().map(|piece| (piece.text, piece.is_match)).collect(),
        };
        let file = |hit: search::FileHit| SearchFile {
            path: hit.path,
            lines: hit.lines.into_iter().map(line).collect(),
            more: hit.more,
        };
        let files = found.files.into_iter().map(file).collect();
        Self { files, searched: found.searched, binary: found.binary, large: found.large, stop }
    }
}
