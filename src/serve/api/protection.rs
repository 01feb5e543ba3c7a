//! Protections of branches and tags as JSON. The family's words say who may push; what they leave open (making, deleting,
//! whose right is enough) has words of our own beside them. What would protect in a way that is not there is refused.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use forge::{NewProtection, ProtectedKind, Protection, PushLevel, RepoAdmin};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::collaborator::administered;
use super::input::{At, Page, Taken};
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;

/// A protection of branches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BranchProtection {
    /// The pattern, as in `release/*`; the protection's name in addresses.
    rule_name: String,
    /// The same as `rule_name`.
    branch_name: String,
    /// Says whether anybody may push.
    enable_push: bool,
    /// Says whether less than everybody who may push to the repository may push.
    enable_push_whitelist: bool,
    push_whitelist_usernames: Vec<String>,
    /// Always empty.
    push_whitelist_teams: Vec<String>,
    push_whitelist_deploy_keys: bool,
    enable_force_push: bool,
    require_signed_commits: bool,
    required_approvals: i64,
    enable_status_check: bool,
    status_check_contexts: Vec<String>,
    protected_file_patterns: String,
    /// Whose right is enough, besides the people that are named: `nobody`, `write` or `admin`.
    push_level: String,
    /// Says whether they may make one of these names.
    may_create: bool,
    /// Says whether they may delete one.
    may_delete: bool,
}

/// A protection of branches to make, or what one shall become; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct BranchProtectionOption {
    rule_name: Option<String>,
    /// The former name of `rule_name`.
    branch_name: Option<String>,
    /// Says whether anybody may push; false when absent.
    enable_push: Option<bool>,
    /// Says whether only the people that are named may push.
    enable_push_whitelist: Option<bool>,
    push_whitelist_usernames: Option<Vec<String>>,
    enable_force_push: Option<bool>,
    require_signed_commits: Option<bool>,
    /// `nobody`, `write` or `admin`, in place of `enable_push` and `enable_push_whitelist`.
    push_level: Option<String>,
    /// Says whether they may make one of these names; true when absent.
    may_create: Option<bool>,
    /// Says whether they may delete one; false when absent.
    may_delete: Option<bool>,
    /// Must be empty or absent: teams are not named here.
    push_whitelist_teams: Option<Vec<String>>,
    /// Must be 0 or absent.
    required_approvals: Option<i64>,
    /// Must be false or absent.
    enable_status_check: Option<bool>,
    /// Must be empty or absent.
    protected_file_patterns: Option<String>,
}

/// A protection of tags.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagProtection {
    id: i64,
    /// The pattern, as in `v*`.
    name_pattern: String,
    whitelist_usernames: Vec<String>,
    /// Always empty.
    whitelist_teams: Vec<String>,
    /// Whose right is enough, besides the people that are named: `nobody`, `write` or `admin`.
    push_level: String,
    may_create: bool,
    may_force: bool,
    may_delete: bool,
}

/// A protection of tags to make, or what one shall become; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TagProtectionOption {
    name_pattern: Option<String>,
    whitelist_usernames: Option<Vec<String>>,
    /// `nobody`, `write` or `admin`; `nobody` when absent.
    push_level: Option<String>,
    /// Says whether they may make one of these names; true when absent.
    may_create: Option<bool>,
    /// Says whether they may move one; false when absent.
    may_force: Option<bool>,
    /// Says whether they may delete one; false when absent.
    may_delete: Option<bool>,
    /// Must be empty or absent: teams are not named here.
    whitelist_teams: Option<Vec<String>>,
}

fn names(protection: &Protection) -> Vec<String> {
    protection.users.iter().map(ToString::to_string).collect()
}

fn unfit(field: &str) -> Refusal {
    Refusal::Unfit(format!("{field} is not known here and must be left out"))
}

impl BranchProtection {
    fn of(protection: &Protection) -> Self {
        let users = names(protection);
        let pattern = protection.pattern.as_str();
        Self {
            rule_name: pattern.into(),
            branch_name: pattern.into(),
            enable_push: protection.level != PushLevel::Nobody || !users.is_empty(),
            enable_push_whitelist: protection.level == PushLevel::Admin || !users.is_empty(),
            push_whitelist_usernames: users,
            push_whitelist_teams: Vec::new(),
            push_whitelist_deploy_keys: false,
            enable_force_push: protection.may_force,
            require_signed_commits: protection.require_signed,
            required_approvals: 0,
            enable_status_check: false,
            status_check_contexts: Vec::new(),
            protected_file_patterns: String::new(),
            push_level: protection.level.as_str().into(),
            may_create: protection.may_create,
            may_delete: protection.may_delete,
        }
    }
}

impl BranchProtectionOption {
    fn form(self, now: Option<&Protection>) -> Result<NewProtection, Refusal> {
        let faults = [
            ("push_whitelist_teams", self.push_whitelist_teams.is_some_and(|teams| !teams.is_empty())),
            ("required_approvals", self.required_approvals.is_some_and(|least| least != 0)),
            ("enable_status_check", self.enable_status_check == Some(true)),
            ("protected_file_patterns", self.protected_file_patterns.is_some_and(|patterns| !patterns.is_empty())),
        ];
        if let Some((field, _)) = faults.into_iter().find(|(_, is_wrong)| *is_wrong) {
            return Err(unfit(field));
        }
        let mut users = self.push_whitelist_usernames.or_else(|| now.map(names)).unwrap_or_default();
        let level = match (self.push_level, self.enable_push, self.enable_push_whitelist) {
            (Some(level), ..) => level,
            (None, Some(false), _) => {
                users.clear();
                PushLevel::Nobody.as_str().into()
            }
            (None, _, Some(true)) => PushLevel::Nobody.as_str().into(),
            (None, Some(true), _) | (None, None, Some(false)) => PushLevel::Write.as_str().into(),
            (None, None, None) => now.map_or(PushLevel::Nobody, |now| now.level).as_str().into(),
        };
        let pattern = self.rule_name.or(self.branch_name).filter(|name| !name.is_empty());
        Ok(NewProtection {
            kind: ProtectedKind::Branch.as_str().into(),
            pattern: pattern.or_else(|| now.map(|now| now.pattern.as_str().into())).unwrap_or_default(),
            level,
            users: users.join(","),
            may_create: self.may_create.unwrap_or_else(|| now.is_none_or(|now| now.may_create)),
            may_force: self.enable_force_push.unwrap_or_else(|| now.is_some_and(|now| now.may_force)),
            may_delete: self.may_delete.unwrap_or_else(|| now.is_some_and(|now| now.may_delete)),
            require_signed: self.require_signed_commits.unwrap_or_else(|| now.is_some_and(|now| now.require_signed)),
        })
    }
}

impl TagProtection {
    fn of(protection: &Protection) -> Self {
        Self {
            id: protection.id,
            name_pattern: protection.pattern.as_str().into(),
            whitelist_usernames: names(protection),
            whitelist_teams: Vec::new(),
            push_level: protection.level.as_str().into(),
            may_create: protection.may_create,
            may_force: protection.may_force,
            may_delete: protection.may_delete,
        }
    }
}

impl TagProtectionOption {
    fn form(self, now: Option<&Protection>) -> Result<NewProtection, Refusal> {
        if self.whitelist_teams.is_some_and(|teams| !teams.is_empty()) {
            return Err(unfit("whitelist_teams"));
        }
        let level = now.map_or(PushLevel::Nobody, |now| now.level).as_str();
        let pattern = self.name_pattern.or_else(|| now.map(|now| now.pattern.as_str().into()));
        Ok(NewProtection {
            kind: ProtectedKind::Tag.as_str().into(),
            pattern: pattern.unwrap_or_default(),
            level: self.push_level.unwrap_or_else(|| level.into()),
            users: self.whitelist_usernames.or_else(|| now.map(names)).unwrap_or_default().join(","),
            may_create: self.may_create.unwrap_or_else(|| now.is_none_or(|now| now.may_create)),
            may_force: self.may_force.unwrap_or_else(|| now.is_some_and(|now| now.may_force)),
            may_delete: self.may_delete.unwrap_or_else(|| now.is_some_and(|now| now.may_delete)),
            require_signed: now.is_some_and(|now| now.require_signed),
        })
    }
}

async fn all(state: &AppState, repo: &RepoAdmin, kind: ProtectedKind) -> Result<Vec<Protection>, Refusal> {
    Ok(state.forge.protections(repo).await?.into_iter().filter(|one| one.kind == kind).collect())
}

async fn of_pattern(
    state: &AppState,
    repo: &RepoAdmin,
    kind: ProtectedKind,
    pattern: &str,
) -> Result<Protection, Refusal> {
    let found = all(state, repo, kind).await?.into_iter().find(|one| one.pattern.as_str() == pattern.trim());
    found.ok_or_else(Refusal::not_found)
}

async fn of_number(state: &AppState, repo: &RepoAdmin, id: i64) -> Result<Protection, Refusal> {
    let found = all(state, repo, ProtectedKind::Tag).await?.into_iter().find(|one| one.id == id);
    found.ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/branch_protections`.
pub(crate) async fn branches(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let (found, total) = page.cut(all(&state, &repo, ProtectedKind::Branch).await?);
    Ok(page.list(&found.iter().map(BranchProtection::of).collect::<Vec<_>>(), total))
}

/// `POST /repos/{owner}/{repo}/branch_protections`.
pub(crate) async fn add_branch(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<BranchProtectionOption>,
) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let new = option.form(None)?;
    state.forge.protect(&repo, &new).await?;
    let made = of_pattern(&state, &repo, ProtectedKind::Branch, &new.pattern).await?;
    Ok((StatusCode::CREATED, Json(BranchProtection::of(&made))).into_response())
}

/// `GET /repos/{owner}/{repo}/branch_protections/{name}`.
pub(crate) async fn branch(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let found = of_pattern(&state, &repo, ProtectedKind::Branch, at.text("name")).await?;
    Ok(Json(BranchProtection::of(&found)).into_response())
}

/// `PATCH /repos/{owner}/{repo}/branch_protections/{name}`.
pub(crate) async fn change_branch(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<BranchProtectionOption>,
) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let now = of_pattern(&state, &repo, ProtectedKind::Branch, at.text("name")).await?;
    let new = option.form(Some(&now))?;
    state.forge.change_protection(&repo, now.id, &new).await?;
    let changed = of_pattern(&state, &repo, ProtectedKind::Branch, &new.pattern).await?;
    Ok(Json(BranchProtection::of(&changed)).into_response())
}

/// `DELETE /repos/{owner}/{repo}/branch_protections/{name}`.
pub(crate) async fn remove_branch(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let now = of_pattern(&state, &repo, ProtectedKind::Branch, at.text("name")).await?;
    state.forge.unprotect(&repo, now.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /repos/{owner}/{repo}/tag_protections`.
pub(crate) async fn tags(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let (found, total) = page.cut(all(&state, &repo, ProtectedKind::Tag).await?);
    Ok(page.list(&found.iter().map(TagProtection::of).collect::<Vec<_>>(), total))
}

/// `POST /repos/{owner}/{repo}/tag_protections`.
pub(crate) async fn add_tag(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<TagProtectionOption>,
) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let new = option.form(None)?;
    state.forge.protect(&repo, &new).await?;
    let made = of_pattern(&state, &repo, ProtectedKind::Tag, &new.pattern).await?;
    Ok((StatusCode::CREATED, Json(TagProtection::of(&made))).into_response())
}

/// `GET /repos/{owner}/{repo}/tag_protections/{id}`.
pub(crate) async fn tag(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    Ok(Json(TagProtection::of(&of_number(&state, &repo, at.number("id")?).await?)).into_response())
}

/// `PATCH /repos/{owner}/{repo}/tag_protections/{id}`.
pub(crate) async fn change_tag(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<TagProtectionOption>,
) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let now = of_number(&state, &repo, at.number("id")?).await?;
    state.forge.change_protection(&repo, now.id, &option.form(Some(&now))?).await?;
    Ok(Json(TagProtection::of(&of_number(&state, &repo, now.id).await?)).into_response())
}

/// `DELETE /repos/{owner}/{repo}/tag_protections/{id}`.
pub(crate) async fn remove_tag(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let now = of_number(&state, &repo, at.number("id")?).await?;
    state.forge.unprotect(&repo, now.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
