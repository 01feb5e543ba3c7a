//! What others say of a commit, as JSON. A status is sent with `state` and read with `status`: so it is in the family.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::{Oid, RepoPath};
use forge::{NewStatus, StatusState, StatusView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::{Links, moment};
use super::refusal::{ApiResult, Refusal};
use super::user::User;
use crate::state::AppState;

/// A status of a commit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommitStatus {
    id: i64,
    /// `pending`, `success`, `error`, `failure`, `warning` or `skipped`.
    status: String,
    context: String,
    description: String,
    target_url: String,
    url: String,
    /// Who said it; null when the account is gone.
    creator: Option<User>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// Where a commit stands: the newest status of each context and their sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CombinedStatus {
    /// `pending` when nobody says anything.
    state: String,
    sha: String,
    total_count: usize,
    statuses: Vec<CommitStatus>,
    commit_url: String,
    url: String,
}

/// A status to add.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateStatusOption {
    /// `pending`, `success`, `error`, `failure`, `warning` or `skipped`.
    state: String,
    /// What says it; `default` when empty.
    context: Option<String>,
    description: Option<String>,
    /// An `http` or `https` address.
    target_url: Option<String>,
}

impl CommitStatus {
    fn of(links: Links<'_>, repo: &RepoPath, commit: &str, view: &StatusView) -> Self {
        Self {
            id: view.id,
            status: view.state.as_str().into(),
            context: view.context.clone(),
            description: view.description.clone(),
            target_url: view.target_url.clone(),
            url: links.repo(repo, &format!("/statuses/{commit}")),
            creator: view.creator.as_ref().map(|account| User::of(links, account)),
            created_at: moment(view.created),
            updated_at: moment(view.created),
        }
    }
}

/// `GET /repos/{owner}/{repo}/statuses/{sha}` and `…/commits/{ref}/statuses`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.statuses(&repo, at.text("sha"), page.window()).await?;
    let (links, path) = (Links::of(&state), &repo.summary().path);
    let rows: Vec<_> = found.rows.iter().map(|view| CommitStatus::of(links, path, at.text("sha"), view)).collect();
    Ok(page.list(&rows, found.total))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/status`.
pub(crate) async fn combined(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.commit_status(&repo, at.text("sha")).await?;
    let (links, path) = (Links::of(&state), &repo.summary().path);
    let commit: &Oid = &found.commit;
    let (views, total_count) = page.cut(found.statuses);
    let statuses = views.iter().map(|view| CommitStatus::of(links, path, commit.as_str(), view)).collect();
    let answer = CombinedStatus {
        state: found.state.as_str().into(),
        sha: commit.to_string(),
        total_count,
        statuses,
        commit_url: links.commit(path, commit),
        url: links.repo(path, &format!("/commits/{commit}/status")),
    };
    Ok(page.wrapped(Json(answer).into_response(), total_count))
}

/// `POST /repos/{owner}/{repo}/statuses/{sha}`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<CreateStatusOption>,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?.for_write()?;
    let known = StatusState::parse(&option.state);
    let new = NewStatus {
        state: known.ok_or_else(|| Refusal::Unfit("state is none of those that are known".into()))?,
        context: option.context.unwrap_or_default(),
        description: option.description.unwrap_or_default(),
        target_url: option.target_url.unwrap_or_default(),
    };
    let view = state.forge.add_status(&repo, at.text("sha"), new).await?;
    let status = CommitStatus::of(Links::of(&state), &at.repo()?, at.text("sha"), &view);
    Ok((StatusCode::CREATED, Json(status)).into_response())
}
