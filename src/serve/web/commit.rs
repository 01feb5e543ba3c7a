//! One commit and what it changed, and one file of a diff on a page of its own.

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use base::name::{Oid, TreePath};
use forge::{CommitView, OneDiff, PatchFormat, RepoFrame};

use super::diff::{self, DiffBody, DiffFile, DiffPlace, DiffView, Look, Switch};
use super::failure::PageResult;
use super::frame::{At, RepoHead, Tab};
use super::page::{Shell, draw};
use super::patch;
use super::query::Query;
use super::target;
use super::unchanged::Tag;
use super::visit::Visit;
use super::{missing, moment};
use crate::state::AppState;

/// A link to a parent.
pub(crate) struct Parent {
    href: String,
    short: String,
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
    pub(crate) parents: Vec<Parent>,
    pub(crate) browse: String,
    pub(crate) here: String,
    pub(crate) diff: DiffView,
}

#[derive(Template)]
#[template(path = "pages/file-diff.html")]
pub(crate) struct FileDiffPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) file: DiffFile,
    pub(crate) switches: Vec<Switch>,
    pub(crate) back: String,
    pub(crate) back_label: String,
}

/// `GET /{owner}/{repo}/commit/{id}`; `{id}.diff` and `{id}.patch` are texts.
pub(crate) async fn show(
    State(state): State<AppState>,
    visit: Visit,
    at: At,
    Path((_, _, id)): Path<(String, String, String)>,
    (RawQuery(query), headers): (RawQuery, HeaderMap),
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    for (ending, format) in [(".diff", PatchFormat::Diff), (".patch", PatchFormat::Mail)] {
        if let Some(id) = id.strip_suffix(ending) {
            return Ok(patch::respond(&state, state.forge.commit_patch(&repo, id, format).await?));
        }
    }
    let look = Look::of(&Query::of(query.as_deref()));
    let commit = state.forge.commit_as(&repo, &id, look.choice);
    let (frame, commit) = tokio::join!(state.forge.frame(&repo), commit);
    let commit = commit.map_err(|error| missing::commit(&at.repository, &id, error))?;
    let frame = frame?;
    let tag = Tag::of(&visit, &frame, &commit.summary.id);
    let tag = tag.at(commit.summary.authored, visit.now).at(commit.committed, visit.now);
    match tag.known(&headers) {
        Some(answer) => Ok(answer),
        None => tag.on(draw(&page(&visit, &frame, commit, look)), true),
    }
}

/// `GET /{owner}/{repo}/diff/{rest}`.
pub(crate) async fn one_file(
    State(state): State<AppState>,
    visit: Visit,
    at: At,
    RawQuery(query): RawQuery,
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let look = Look::of(&Query::of(query.as_deref()));
    let one = state.forge.one_diff(&repo, &at.rest, look.choice);
    let (frame, one) = tokio::try_join!(state.forge.frame(&repo), one)?;
    draw(&file_page(&visit, &frame, one, look))
}

/// The page of a commit.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, commit: CommitView, look: Look) -> CommitPage {
    let path = &frame.repo.path;
    let summary = &commit.summary;
    let parent =
        |id: &Oid| Parent { href: format!("{}/commit/{id}", target::repository(path)), short: id.short().to_owned() };
    let here = format!("{}/commit/{}", target::repository(path), summary.id);
    let place = DiffPlace { repository: path, base: None, head: &summary.id, look };
    let counts = (commit.file_count, commit.added, commit.removed);
    let is_merge = summary.parents.len() > 1;
    let empty =
        if is_merge { "The merge changed nothing against its first parent." } else { "This commit changes no file." };
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
        parents: summary.parents.iter().map(parent).collect(),
        browse: target::within(path, "src", summary.id.as_str(), &TreePath::default()),
        diff: DiffView { empty, ..diff::view(place, &here, commit.files, counts) },
        here,
    }
}

/// The page of one file of a diff.
pub(crate) fn file_page(visit: &Visit, frame: &RepoFrame, one: OneDiff, look: Look) -> FileDiffPage {
    let path = &frame.repo.path;
    let place = DiffPlace { repository: path, base: one.base.as_ref(), head: &one.head, look };
    let file = diff::alone(place, one.file);
    let base = target::repository(path);
    let (back, back_label) = match &one.base {
        Some(from) => {
            (format!("{base}/compare/{from}..{}", one.head), format!("{}..{}", from.short(), one.head.short()))
        }
        None => (format!("{base}/commit/{}", one.head), format!("commit {}", one.head.short())),
    };
    let here = file.alone.split('?').next().unwrap_or_default().to_owned();
    FileDiffPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Commits, None),
        switches: diff::switches(look, &here),
        back: format!("{back}#{}", "changed"),
        back_label,
        file,
    }
}
