//! Repositories as JSON: one, those of somebody, and a search.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::{OwnerName, RefName, RepoName};
use forge::{NewRepo, RepoChange, RepoDetails, Visibility};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Taken};
use super::links::{Links, moment};
use super::refusal::{ApiResult, Refusal};
use super::user::User;
use crate::state::AppState;

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Repository {
    id: i64,
    owner: User,
    name: String,
    full_name: String,
    description: String,
    empty: bool,
    /// Says whether it is not everybody's to see.
    private: bool,
    /// Says whether everyone who is signed in may read it.
    internal: bool,
    fork: bool,
    template: bool,
    mirror: bool,
    archived: bool,
    /// KiB of its packs.
    size: u64,
    language: String,
    languages_url: String,
    html_url: String,
    url: String,
    link: String,
    clone_url: String,
    ssh_url: String,
    original_url: String,
    website: String,
    avatar_url: String,
    stars_count: i64,
    forks_count: i64,
    watchers_count: i64,
    open_issues_count: i64,
    open_pr_counter: i64,
    release_counter: i64,
    default_branch: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    permissions: Permission,
    has_issues: bool,
    has_wiki: bool,
    has_pull_requests: bool,
    has_projects: bool,
    has_releases: bool,
    has_packages: bool,
    has_actions: bool,
    allow_merge_commits: bool,
    allow_rebase: bool,
    allow_rebase_explicit: bool,
    allow_rebase_update: bool,
    allow_squash_merge: bool,
    allow_fast_forward_only_merge: bool,
    default_delete_branch_after_merge: bool,
    default_merge_style: String,
    object_format_name: String,
    topics: Vec<String>,
}

/// What the caller may do.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Permission {
    pub(crate) admin: bool,
    pub(crate) push: bool,
    pub(crate) pull: bool,
}

/// A repository to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateRepoOption {
    name: String,
    description: Option<String>,
    /// Says whether it shall be the owner's and the members' alone to see.
    private: Option<bool>,
    /// Must be false or absent: the first push brings the first commit.
    auto_init: Option<bool>,
}

/// What a repository shall become. What is absent stays; what is not known here is passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EditRepoOption {
    name: Option<String>,
    description: Option<String>,
    /// Says whether it shall be the owner's and the members' alone to see.
    private: Option<bool>,
    /// Says whether everyone who is signed in, and nobody else, shall see it.
    internal: Option<bool>,
    default_branch: Option<String>,
}

/// Who shall own a repository.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TransferRepoOption {
    /// A user or an organisation.
    new_owner: String,
}

impl CreateRepoOption {
    /// What the forge is asked to make.
    pub(crate) fn asked(self) -> Result<NewRepo, Refusal> {
        if self.auto_init == Some(true) {
            return Err(Refusal::Unfit("auto_init is not known here: the first push brings the first commit".into()));
        }
        let visibility = if self.private.unwrap_or(false) { Visibility::Private } else { Visibility::Public };
        Ok(NewRepo { name: self.name, description: self.description.unwrap_or_default(), visibility })
    }
}

impl Repository {
    pub(crate) fn of(links: Links<'_>, details: &RepoDetails) -> Self {
        let summary = &details.summary;
        let path = &summary.path;
        let updated = summary.pushed.unwrap_or(summary.created);
        Self {
            id: details.id,
            owner: User::of(links, &details.owner),
            name: path.name.to_string(),
            full_name: path.to_string(),
            description: summary.description.clone(),
            empty: details.is_empty,
            private: summary.visibility == Visibility::Private,
            internal: summary.visibility == Visibility::Internal,
            fork: false,
            template: false,
            mirror: false,
            archived: false,
            size: details.bytes.div_ceil(1024),
            language: String::new(),
            languages_url: links.repo(path, "/languages"),
            html_url: links.repo_page(path, ""),
            url: links.repo(path, ""),
            link: String::new(),
            clone_url: details.clone.http.clone(),
            ssh_url: details.clone.ssh.clone(),
            original_url: String::new(),
            website: String::new(),
            avatar_url: String::new(),
            stars_count: 0,
            forks_count: 0,
            watchers_count: 0,
            open_issues_count: 0,
            open_pr_counter: 0,
            release_counter: 0,
            default_branch: details.default_branch.clone(),
            created_at: moment(summary.created),
            updated_at: moment(updated),
            permissions: Permission { admin: details.can_admin, push: details.can_write, pull: true },
            has_issues: false,
            has_wiki: false,
            has_pull_requests: false,
            has_projects: false,
            has_releases: false,
            has_packages: false,
            has_actions: false,
            allow_merge_commits: true,
            allow_rebase: true,
            allow_rebase_explicit: true,
            allow_rebase_update: true,
            allow_squash_merge: true,
            allow_fast_forward_only_merge: true,
            default_delete_branch_after_merge: false,
            default_merge_style: "merge".into(),
            object_format_name: "sha1".into(),
            topics: Vec::new(),
        }
    }
}

/// `GET /repos/{owner}/{repo}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let details = state.forge.describe(&repo).await?;
    Ok(Json(Repository::of(Links::of(&state), &details)).into_response())
}

/// `POST /user/repos`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Taken(option): Taken<CreateRepoOption>,
) -> ApiResult {
    let made = state.forge.create_repo(&caller.actor, option.asked()?).await?;
    let repo = state.forge.repo(&caller.actor, &made.path).await?;
    let details = state.forge.describe(&repo).await?;
    Ok((StatusCode::CREATED, Json(Repository::of(Links::of(&state), &details))).into_response())
}

/// `PATCH /repos/{owner}/{repo}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<EditRepoOption>,
) -> ApiResult {
    let mut path = at.repo()?;
    let repo = state.forge.repo(&caller.actor, &path).await?;
    let now = repo.summary().clone();
    let admin = repo.clone().for_admin()?;
    // What can be refused goes first, and the name last.
    let name = option.name.as_deref().map(RepoName::parse).transpose().map_err(forge::Error::from)?;
    if let Some(branch) = &option.default_branch {
        let branch = RefName::branch(branch).map_err(forge::Error::from)?;
        state.forge.set_default_branch(&repo.for_maintain()?, &branch).await?;
    }
    let visibility = match (option.private, option.internal) {
        (Some(true), _) => Visibility::Private,
        (_, Some(true)) => Visibility::Internal,
        // Not private is what an internal one is already; who means public says so of both.
        (Some(false), None) if now.visibility == Visibility::Internal => Visibility::Internal,
        (Some(false), _) => Visibility::Public,
        (None, Some(false)) if now.visibility == Visibility::Internal => Visibility::Public,
        _ => now.visibility,
    };
    let description = option.description.unwrap_or_else(|| now.description.clone());
    if visibility != now.visibility || description != now.description {
        state.forge.change_repo(&admin, RepoChange { description, visibility }).await?;
    }
    if let Some(name) = name.filter(|name| name.as_str() != now.path.name.as_str()) {
        path = state.forge.rename_repo(&admin, name).await?;
    }
    let repo = state.forge.repo(&caller.actor, &path).await?;
    let details = state.forge.describe(&repo).await?;
    Ok(Json(Repository::of(Links::of(&state), &details)).into_response())
}

/// `POST /repos/{owner}/{repo}/transfer`: done at once. Who loses sight of it by that gets an answer without a body.
pub(crate) async fn transfer(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<TransferRepoOption>,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?.for_admin()?;
    let owner = OwnerName::parse(&option.new_owner).map_err(forge::Error::from)?;
    let path = state.forge.transfer_repo(&caller.actor, &repo, &owner).await?;
    let repo = match state.forge.repo(&caller.actor, &path).await {
        Err(forge::Error::NotFound) => return Ok(StatusCode::ACCEPTED.into_response()),
        repo => repo?,
    };
    let details = state.forge.describe(&repo).await?;
    Ok((StatusCode::ACCEPTED, Json(Repository::of(Links::of(&state), &details))).into_response())
}

/// `GET /repos/{owner}/{repo}/languages`: nobody counts them here.
pub(crate) async fn languages(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    state.forge.repo(&caller.actor, &at.repo()?).await?;
    Ok(Json(serde_json::json!({})).into_response())
}

/// `DELETE /repos/{owner}/{repo}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?.for_admin()?;
    state.forge.delete_repo(repo).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
