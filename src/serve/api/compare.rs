//! The commits that one revision has and another has not.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::commit::{Commit, commits};
use super::input::{Asked, At, Page};
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;

/// What a comparison finds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Compare {
    /// How many there are in all.
    total_commits: usize,
    /// Those of this page, newest first.
    commits: Vec<Commit>,
}

/// `GET /repos/{owner}/{repo}/compare/{basehead}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At, asked: Asked, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let text = at.text("basehead");
    // A branch's name never holds two dots.
    let split = text.split_once("...").or_else(|| text.split_once(".."));
    let (base, head) = split.ok_or_else(Refusal::not_found)?;
    let found = state.forge.commits_between(&repo, base, head, page.window()).await?;
    let has_sums = asked.truth("stat") == Some(true);
    let commits = commits(&state, &repo, &found.rows, has_sums).await?;
    Ok(page.wrapped(Json(Compare { total_commits: found.total, commits }).into_response(), found.total))
}
