//! Branches as JSON. Making one and taking one away are pushes like any other.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::{RefName, RepoPath};
use forge::{BranchRule, CommitPerson, CommitRecord, RefKind, RefView, RepoRead};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::{Links, moment};
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;

/// A branch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Branch {
    name: String,
    commit: PayloadCommit,
    /// Says whether a protection is for it.
    protected: bool,
    required_approvals: i64,
    enable_status_check: bool,
    status_check_contexts: Vec<String>,
    user_can_push: bool,
    user_can_merge: bool,
    /// The protection's pattern, for who administers the repository; empty for all others.
    effective_branch_protection_name: String,
}

/// A commit as branches show it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayloadCommit {
    id: String,
    message: String,
    url: String,
    author: PayloadUser,
    committer: PayloadUser,
    #[schema(format = DateTime)]
    timestamp: String,
    added: Option<Vec<String>>,
    removed: Option<Vec<String>>,
    modified: Option<Vec<String>>,
}

/// Somebody as a commit names them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayloadUser {
    name: String,
    email: String,
    username: String,
}

/// A branch to make.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names that clients send")]
pub(crate) struct CreateBranchRepoOption {
    new_branch_name: String,
    /// A branch, a tag or a commit that it begins at; the default branch, when absent.
    old_ref_name: Option<String>,
    /// The former name of `old_ref_name`.
    old_branch_name: Option<String>,
}

impl PayloadCommit {
    fn of(links: Links<'_>, repo: &RepoPath, record: &CommitRecord) -> Self {
        let user = |person: &CommitPerson| PayloadUser {
            name: person.name.clone(),
            email: person.email.clone(),
            username: String::new(),
        };
        Self {
            id: record.id.to_string(),
            message: record.message.clone(),
            url: links.commit_page(repo, &record.id),
            author: user(&record.author),
            committer: user(&record.committer),
            timestamp: moment(record.committer.at),
            added: None,
            removed: None,
            modified: None,
        }
    }
}

impl Branch {
    fn of(links: Links<'_>, repo: &RepoPath, view: &RefView, rule: BranchRule) -> Self {
        Self {
            name: view.record.name.short().into(),
            commit: PayloadCommit::of(links, repo, &view.commit),
            protected: rule.is_protected,
            required_approvals: 0,
            enable_status_check: false,
            status_check_contexts: Vec::new(),
            user_can_push: rule.can_push,
            user_can_merge: rule.can_push,
            effective_branch_protection_name: rule.pattern.unwrap_or_default(),
        }
    }
}

async fn branches(state: &AppState, repo: &RepoRead, views: &[RefView]) -> Result<Vec<Branch>, Refusal> {
    let names: Vec<_> = views.iter().map(|view| &view.record.name).collect();
    let rules = state.forge.branch_rules(repo, &names).await?;
    let (links, path) = (Links::of(state), &repo.summary().path);
    Ok(views.iter().zip(rules).map(|(view, rule)| Branch::of(links, path, view, rule)).collect())
}

async fn branch(state: &AppState, repo: &RepoRead, name: &RefName) -> Result<Branch, Refusal> {
    let view = state.forge.ref_view(repo, name).await?;
    branches(state, repo, &[view]).await?.pop().ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/branches`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.ref_views(&repo, RefKind::Branches, page.window()).await?;
    let rows = branches(&state, &repo, &found.rows).await?;
    Ok(page.list(&rows, found.total))
}

/// `GET /repos/{owner}/{repo}/branches/{branch}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let name = RefName::branch(at.text("branch")).map_err(|_| Refusal::not_found())?;
    Ok(Json(branch(&state, &repo, &name).await?).into_response())
}

/// `POST /repos/{owner}/{repo}/branches`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<CreateBranchRepoOption>,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let name = RefName::branch(&option.new_branch_name).map_err(forge::Error::from)?;
    let from = option.old_ref_name.or(option.old_branch_name).unwrap_or_default();
    state.forge.create_ref(&caller.actor, &repo.clone().for_write()?, &name, (&from, "")).await?;
    Ok((StatusCode::CREATED, Json(branch(&state, &repo, &name).await?)).into_response())
}

/// `DELETE /repos/{owner}/{repo}/branches/{branch}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?.for_write()?;
    let name = RefName::branch(at.text("branch")).map_err(|_| Refusal::not_found())?;
    state.forge.delete_ref(&caller.actor, &repo, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
