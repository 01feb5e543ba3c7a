//! One commit and what it changed.

use std::fmt::Write;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use base::name::{Oid, RepoPath, TreePath};
use forge::{ChangeKind, CommitView, DiffContent, DiffLine, FileDiff, LineKind, RepoFrame};

use super::failure::PageResult;
use super::frame::{At, RepoHead, Tab};
use super::moment;
use super::page::{Shell, draw};
use super::target;
use super::text::{counted, escaped, one_line};
use super::unchanged::Tag;
use super::visit::Visit;
use crate::state::AppState;

/// A link to a parent.
pub(crate) struct Parent {
    href: String,
    short: String,
}

/// A changed file.
pub(crate) struct Change {
    anchor: String,
    path: String,
    old_path: Option<String>,
    kind: &'static str,
    added: u64,
    removed: u64,
    href: Option<String>,
    content: DiffContent,
}

#[derive(Template)]
#[template(path = "pages/commit.html")]
pub(crate) struct CommitPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) author: String,
    pub(crate) authored: String,
    pub(crate) committer: String,
    pub(crate) committed: String,
    pub(crate) is_committed_by_other: bool,
    pub(crate) id: String,
    pub(crate) short: String,
    pub(crate) parents: Vec<Parent>,
    pub(crate) browse: String,
    pub(crate) summary: String,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) files: Vec<Change>,
    pub(crate) is_cut: bool,
}

/// `GET /{owner}/{repo}/commit/{id}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    visit: Visit,
    at: At,
    Path((_, _, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let (frame, commit) = tokio::try_join!(state.forge.frame(&repo), state.forge.commit(&repo, &id))?;
    let tag = Tag::of(&visit, &frame, &commit.summary.id);
    let tag = tag.at(commit.summary.authored, visit.now).at(commit.committed, visit.now);
    match tag.known(&headers) {
        Some(answer) => Ok(answer),
        None => tag.on(draw(&page(&visit, &frame, commit)), true),
    }
}

/// The page of a commit.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, commit: CommitView) -> CommitPage {
    let path = &frame.repo.path;
    let summary = &commit.summary;
    let count = commit.files.len();
    let parent =
        |id: &Oid| Parent { href: format!("{}/commit/{id}", target::repository(path)), short: id.short().to_owned() };
    CommitPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Commits, None),
        title: if summary.title.is_empty() { "(no message)".into() } else { summary.title.clone() },
        body: commit.body,
        author: summary.author.clone(),
        authored: moment::absolute(summary.authored, visit.now),
        is_committed_by_other: commit.committer != summary.author || commit.committed != summary.authored,
        committer: commit.committer,
        committed: moment::absolute(commit.committed, visit.now),
        id: summary.id.to_string(),
        short: summary.id.short().to_owned(),
        parents: summary.parents.iter().map(parent).collect(),
        browse: target::within(path, "src", summary.id.as_str(), &TreePath::default()),
        summary: format!("{} changed", counted(commit.file_count, "file")),
        added: commit.added,
        removed: commit.removed,
        files: commit.files.into_iter().enumerate().map(|file| change(path, &summary.id, file)).collect(),
        is_cut: commit.file_count > count,
    }
}

fn change(repository: &RepoPath, commit: &Oid, (index, file): (usize, FileDiff)) -> Change {
    let is_there = file.kind != ChangeKind::Deleted;
    Change {
        anchor: format!("file-{}", index + 1),
        href: is_there.then(|| target::within(repository, "src", commit.as_str(), &file.path)),
        path: one_line(file.path.as_bytes()),
        old_path: file.old_path.map(|path| one_line(path.as_bytes())),
        kind: match file.kind {
            ChangeKind::Added => "added",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Modified => "changed",
            ChangeKind::Renamed => "renamed",
        },
        added: file.added,
        removed: file.removed,
        content: file.content,
    }
}

impl CommitPage {
    fn line_class(line: &DiffLine) -> &'static str {
        match line.kind {
            LineKind::Context => "",
            LineKind::Added => " class=p",
            LineKind::Removed => " class=m",
        }
    }

    fn line_number(number: Option<u32>) -> String {
        number.map(|number| number.to_string()).unwrap_or_default()
    }

    /// The line's text, marked up as what it is, so that colour alone tells nothing.
    fn line_html(line: &DiffLine) -> String {
        let text = escaped(line.text.strip_suffix('\r').unwrap_or(&line.text));
        let mut html = String::with_capacity(text.len() + 11);
        // Writing into a String cannot fail.
        let _ = match line.kind {
            LineKind::Context => write!(html, "{text}"),
            LineKind::Added => write!(html, "<ins>{text}</ins>"),
            LineKind::Removed => write!(html, "<del>{text}</del>"),
        };
        html
    }
}
