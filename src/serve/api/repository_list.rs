//! Lists of repositories as JSON: one's own, an owner's, those that a search finds.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::OwnerName;
use forge::RepoQuery;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Asked, At, Page, Taken};
use super::links::Links;
use super::refusal::{ApiResult, Refusal};
use super::repository::{CreateRepoOption, Repository};
use crate::state::AppState;

/// What a search for repositories finds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchResults {
    ok: bool,
    data: Vec<Repository>,
}

/// The repositories of a page, and how many there are in all.
async fn found(
    state: &AppState,
    caller: &Caller,
    page: &Page,
    query: RepoQuery,
) -> Result<(Vec<Repository>, usize), Refusal> {
    let (page, limit) = page.numbered();
    let found = state.forge.find_repos(&caller.actor, &RepoQuery { page, limit, ..query }).await?;
    let mut rows = Vec::with_capacity(found.repositories.len());
    for summary in &found.repositories {
        // Gone or hidden since the list was made.
        let repo = match state.forge.repo(&caller.actor, &summary.path).await {
            Err(forge::Error::NotFound) => continue,
            repo => repo?,
        };
        rows.push(Repository::of(Links::of(state), &state.forge.describe(&repo).await?));
    }
    Ok((rows, usize::try_from(found.total).unwrap_or(usize::MAX)))
}

/// `GET /user/repos`.
pub(crate) async fn own(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    caller.name()?;
    let (rows, total) = found(&state, &caller, &page, RepoQuery { is_mine: true, ..RepoQuery::default() }).await?;
    Ok(page.list(&rows, total))
}

/// `GET /users/{username}/repos`.
pub(crate) async fn of_user(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    of_owner(&state, &caller, &page, at.owner("username")?).await
}

/// `GET /orgs/{org}/repos`.
pub(crate) async fn of_organisation(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let name = at.owner("org")?;
    state.forge.organisation(&caller.actor, &name).await?;
    of_owner(&state, &caller, &page, name).await
}

async fn of_owner(state: &AppState, caller: &Caller, page: &Page, owner: OwnerName) -> ApiResult {
    state.forge.owner(&caller.actor, &owner).await?;
    let (rows, total) = found(state, caller, page, RepoQuery { owner: Some(owner), ..RepoQuery::default() }).await?;
    Ok(page.list(&rows, total))
}

/// `POST /orgs/{org}/repos`.
pub(crate) async fn create_in_organisation(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<CreateRepoOption>,
) -> ApiResult {
    let made = state.forge.create_repo_in(&caller.actor, &at.owner("org")?, option.asked()?).await?;
    let repo = state.forge.repo(&caller.actor, &made.path).await?;
    let details = state.forge.describe(&repo).await?;
    Ok((StatusCode::CREATED, Json(Repository::of(Links::of(&state), &details))).into_response())
}

/// `GET /repos/search`.
pub(crate) async fn search(State(state): State<AppState>, caller: Caller, asked: Asked, page: Page) -> ApiResult {
    let text = asked.text("q").trim().to_owned();
    let owner = match asked.number("uid").filter(|id| *id > 0) {
        Some(id) => Some(state.forge.owner_name(id).await?),
        None => None,
    };
    // None is archived, and an owner that is not there has none.
    let has_none = asked.truth("archived") == Some(true) || matches!(owner, Some(None));
    let (data, total) = if has_none {
        (Vec::new(), 0)
    } else {
        found(&state, &caller, &page, RepoQuery { owner: owner.flatten(), text, ..RepoQuery::default() }).await?
    };
    Ok(page.wrapped(Json(SearchResults { ok: true, data }).into_response(), total))
}

/// `GET /repositories/{id}`.
pub(crate) async fn by_id(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo_by_id(&caller.actor, at.number("id")?).await?;
    let details = state.forge.describe(&repo).await?;
    Ok(Json(Repository::of(Links::of(&state), &details)).into_response())
}
