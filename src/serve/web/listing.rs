//! Lists of repositories: the dashboard and what there is to explore.

use askama::Template;
use axum::extract::State;
use base::clock::Timestamp;
use forge::{RepoSummary, Visibility};

use super::failure::PageResult;
use super::moment;
use super::page::{Shell, draw};
use super::target;
use super::visit::Visit;
use crate::state::AppState;

/// A repository in a list.
pub(crate) struct RepoRow {
    pub(crate) href: String,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) visibility: &'static str,
    pub(crate) pushed: Option<String>,
}

#[derive(Template)]
#[template(path = "pages/dashboard.html")]
pub(crate) struct DashboardPage {
    pub(crate) shell: Shell,
    pub(crate) mine: Vec<RepoRow>,
    pub(crate) others: Vec<RepoRow>,
}

#[derive(Template)]
#[template(path = "pages/explore.html")]
pub(crate) struct ExplorePage {
    pub(crate) shell: Shell,
    pub(crate) repos: Vec<RepoRow>,
}

/// `GET /`: the dashboard of who is signed in, else what is public.
pub(crate) async fn start(State(state): State<AppState>, visit: Visit) -> PageResult {
    let repos = state.forge.repos(&visit.actor).await?;
    match visit.actor.user() {
        Some(user) => {
            let (mine, others): (Vec<_>, Vec<_>) = repos.iter().partition(|repo| repo.path.owner == user.name);
            let (mine, others) = (rows(mine, visit.now), rows(others, visit.now));
            draw(&DashboardPage { shell: Shell::of(&visit), mine, others })
        }
        None => draw(&ExplorePage { shell: Shell::of(&visit), repos: rows(&repos, visit.now) }),
    }
}

/// `GET /explore`.
pub(crate) async fn explore(State(state): State<AppState>, visit: Visit) -> PageResult {
    let repos = state.forge.repos(&visit.actor).await?;
    draw(&ExplorePage { shell: Shell::of(&visit), repos: rows(&repos, visit.now) })
}

/// The word for a visibility.
pub(crate) fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Internal => "internal",
        Visibility::Private => "private",
    }
}

/// The visibility that a form names; private, so that nothing is published by accident, when it names none.
pub(crate) fn visibility_of(word: &str) -> Visibility {
    match word {
        "public" => Visibility::Public,
        "internal" => Visibility::Internal,
        _ => Visibility::Private,
    }
}

/// The rows of a list.
pub(crate) fn rows<'r>(repos: impl IntoIterator<Item = &'r RepoSummary>, now: Timestamp) -> Vec<RepoRow> {
    let row = |repo: &RepoSummary| RepoRow {
        href: target::repository(&repo.path),
        owner: repo.path.owner.to_string(),
        name: repo.path.name.to_string(),
        description: repo.description.clone(),
        visibility: visibility_word(repo.visibility),
        pushed: repo.pushed.map(|at| moment::ago(at, now)),
    };
    repos.into_iter().map(row).collect()
}
