//! Search in a repository: `/search?q=…`, in the lines of its files or in their names.

use askama::Template;
use axum::extract::{RawQuery, State};
use base::name::TreePath;
use forge::{Error, RepoFrame, SearchFound, SearchLines, SearchQuery, SearchResult, SearchStop};

use super::failure::PageResult;
use super::frame::{At, RepoHead, Tab};
use super::page::{Shell, draw, draw_refused};
use super::query::Query;
use super::target::{self, encode};
use super::text::{counted, escaped_between, one_line};
use super::visit::Visit;
use crate::state::AppState;

/// A file with lines.
pub(crate) struct FileHit {
    path: String,
    href: String,
    lines: Vec<LineHit>,
    more: String,
}

struct LineHit {
    number: usize,
    html: String,
}

/// What is shown below the form.
pub(crate) enum Answer {
    /// Nothing was asked yet.
    Nothing,
    /// The repository has no commit.
    Empty,
    /// Why there is no answer.
    Refused(String),
    /// Lines.
    Lines {
        /// What was looked into and what was left out.
        summary: Vec<String>,
        files: Vec<FileHit>,
    },
    /// Files.
    Names { summary: String, files: Vec<(String, String)> },
}

#[derive(Template)]
#[template(path = "pages/search.html")]
pub(crate) struct SearchPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) asked: SearchQuery,
    pub(crate) place: String,
    pub(crate) answer: Answer,
}

/// `GET /{owner}/{repo}/search`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At, RawQuery(query): RawQuery) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let asked = asked(&Query::of(query.as_deref()));
    let (frame, found) = tokio::join!(state.forge.frame(&repo), state.forge.search(&repo, &asked));
    let frame = frame?;
    let refused = |why: String| draw_refused(&page(&visit, &frame, asked.clone(), Answer::Refused(why)));
    match found {
        Err(Error::Field { field: "path", problem }) => refused(format!("The filter for files {problem}.")),
        Err(Error::Field { problem, .. }) => refused(format!("What you look for {problem}.")),
        Err(Error::NotFound) => refused(format!("There is no branch, tag or commit named “{}”.", asked.revision)),
        other => {
            let answer = answer(&frame, other?);
            draw(&page(&visit, &frame, asked.clone(), answer))
        }
    }
}

fn asked(query: &Query) -> SearchQuery {
    SearchQuery {
        text: query.text("q").to_owned(),
        revision: query.text("ref").trim().to_owned(),
        is_expression: query.text("regex") == "1",
        has_case: query.text("case") == "1",
        paths: query.text("path").trim().to_owned(),
        is_for_names: query.text("in") == "names",
    }
}

/// The page of an answer.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, asked: SearchQuery, answer: Answer) -> SearchPage {
    let default = frame.default_branch.short();
    let place = if asked.revision.is_empty() { default.to_owned() } else { asked.revision.clone() };
    SearchPage { shell: Shell::of(visit), repo: RepoHead::of(frame, Tab::Search, None), asked, place, answer }
}

/// What was found, as it is shown.
pub(crate) fn answer(frame: &RepoFrame, result: SearchResult) -> Answer {
    let Some(revision) = result.revision else { return Answer::Empty };
    let href = |path: &TreePath| target::within(&frame.repo.path, "src", &revision.name, path);
    match result.found {
        None => Answer::Nothing,
        Some(SearchFound::Names(names)) => {
            let shown = names.files.len();
            let mut summary = counted(names.fitting, "file");
            if names.fitting > shown {
                summary = format!("{summary}, the nearest {shown} are shown");
            }
            if names.is_cut {
                summary.push_str("; the search stopped before it had seen all files");
            }
            let files = names.files.iter().map(|path| (one_line(path.as_bytes()), href(path))).collect();
            Answer::Names { summary, files }
        }
        Some(SearchFound::Lines(lines)) => {
            let summary = summary(&lines);
            let files = lines.files.iter().map(|file| FileHit {
                path: one_line(file.path.as_bytes()),
                href: href(&file.path),
                lines: file
                    .lines
                    .iter()
                    .map(|line| LineHit { number: line.number, html: html(&line.pieces) })
                    .collect(),
                more: if file.more == 0 {
                    String::new()
                } else {
                    format!("{} more in this file", counted(file.more, "line"))
                },
            });
            Answer::Lines { summary, files: files.collect() }
        }
    }
}

fn summary(lines: &SearchLines) -> Vec<String> {
    let many = if lines.stop == Some(SearchStop::Results) { " or more" } else { "" };
    let found = format!("{}{many} of {} searched", counted(lines.files.len(), "file"), lines.searched);
    let mut said = vec![found];
    if lines.binary + lines.large > 0 {
        let kinds = format!("{} not text, {} larger than 1 MiB", lines.binary, lines.large);
        said.push(format!("Left out: {kinds}."));
    }
    let why = match lines.stop {
        Some(SearchStop::Time) => "The search stopped after two seconds; a filter for files makes it smaller.",
        Some(SearchStop::Bytes) => "There was more to read than a search reads; a filter for files makes it smaller.",
        Some(SearchStop::Results) => "The first files are shown; more words or a filter find the others.",
        None => return said,
    };
    said.push(why.into());
    said
}

fn html(pieces: &[(String, bool)]) -> String {
    let piece = |(text, is_match): &(String, bool)| {
        let text = escaped_between(text);
        if *is_match { format!("<mark>{text}</mark>") } else { text }
    };
    pieces.iter().map(piece).collect()
}

/// The address of the search for names, from which a file is found.
pub(crate) fn names_href(repository: &str, revision: Option<&str>) -> String {
    let revision = revision.map(|revision| format!("&ref={}", encode(revision.as_bytes()))).unwrap_or_default();
    format!("{repository}/search?in=names{revision}")
}
