//! The branches and the tags of a repository, a page at a time, each with the commit that it leads to.

use askama::Template;
use axum::extract::{RawQuery, State};
use base::name::TreePath;
use forge::{RefKind, RefPage, RefRow, RepoFrame};

use super::failure::PageResult;
use super::frame::{At, RepoHead, Tab};
use super::history::page_number;
use super::moment;
use super::page::{Shell, draw};
use super::target;
use super::visit::Visit;
use crate::state::AppState;

/// A branch or tag in the list.
pub(crate) struct Row {
    name: String,
    href: String,
    history: String,
    is_default: bool,
    note: String,
    title: String,
    commit: String,
    short: String,
    when: String,
}

#[derive(Template)]
#[template(path = "pages/references.html")]
pub(crate) struct ReferencesPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) is_tags: bool,
    pub(crate) branches: String,
    pub(crate) tags: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
}

/// `GET /{owner}/{repo}/branches`.
pub(crate) async fn branches(state: State<AppState>, visit: Visit, at: At, query: RawQuery) -> PageResult {
    show(state, visit, at, query, RefKind::Branches).await
}

/// `GET /{owner}/{repo}/tags`.
pub(crate) async fn tags(state: State<AppState>, visit: Visit, at: At, query: RawQuery) -> PageResult {
    show(state, visit, at, query, RefKind::Tags).await
}

async fn show(
    State(state): State<AppState>,
    visit: Visit,
    at: At,
    RawQuery(query): RawQuery,
    kind: RefKind,
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let refs = state.forge.references(&repo, kind, page_number(query.as_deref()));
    let (frame, refs) = tokio::try_join!(state.forge.frame(&repo), refs)?;
    draw(&page(&visit, &frame, &refs))
}

/// The page of branches or of tags.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, refs: &RefPage) -> ReferencesPage {
    let base = target::repository(&frame.repo.path);
    let (branches, tags) = (format!("{base}/branches"), format!("{base}/tags"));
    let is_tags = refs.kind == RefKind::Tags;
    let here = if is_tags { &tags } else { &branches };
    let link = |page: u32| if page <= 1 { here.clone() } else { format!("{here}?page={page}") };
    ReferencesPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, None),
        is_tags,
        rows: refs.rows.iter().map(|row| shown(visit, frame, row)).collect(),
        newer: (refs.page > 1).then(|| link(refs.page - 1)),
        older: refs.has_more.then(|| link(refs.page.saturating_add(1))),
        branches,
        tags,
    }
}

fn shown(visit: &Visit, frame: &RepoFrame, row: &RefRow) -> Row {
    let (path, name, root) = (&frame.repo.path, row.name.short(), TreePath::default());
    let note = row.note.as_ref();
    Row {
        href: target::within(path, "src", name, &root),
        history: target::within(path, "commits", name, &root),
        name: name.to_owned(),
        is_default: row.name == frame.default_branch,
        note: note.map(|note| note.title.clone()).unwrap_or_default(),
        title: if row.commit.title.is_empty() { "(no message)".into() } else { row.commit.title.clone() },
        commit: format!("{}/commit/{}", target::repository(path), row.commit.id),
        short: row.commit.id.short().to_owned(),
        when: moment::ago(note.map_or(row.commit.authored, |note| note.tagged), visit.now),
    }
}
