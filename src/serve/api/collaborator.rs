//! Who else may do something in a repository: collaborators, and machines with deploy keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use forge::{CollaboratorView, DeployKeyView, RepoAdmin};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::{Links, moment};
use super::refusal::{ApiResult, Refusal};
use super::team::{level, level_word};
use super::user::User;
use crate::state::AppState;

/// What a collaborator shall be able to do.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AddCollaboratorOption {
    /// `read`, `triage`, `write`, `maintain` or `admin`; `write` when absent.
    permission: Option<String>,
}

/// What a collaborator may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RepoCollaboratorPermission {
    /// `read`, `write`, `admin` or `owner`.
    permission: String,
    /// The site's own word, as in `maintain`.
    role_name: String,
    user: User,
}

/// A deploy key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeployKey {
    id: i64,
    key_id: i64,
    /// OpenSSH's one-line form.
    key: String,
    url: String,
    title: String,
    fingerprint: String,
    #[schema(format = DateTime)]
    created_at: String,
    read_only: bool,
}

/// A deploy key to add.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateDeployKeyOption {
    /// OpenSSH's one-line form.
    key: String,
    /// The key's own comment, when empty.
    title: Option<String>,
    /// Says whether it shall not push; false when absent.
    read_only: Option<bool>,
}

pub(crate) async fn administered(state: &AppState, caller: &Caller, at: &At) -> Result<RepoAdmin, Refusal> {
    Ok(state.forge.repo(&caller.actor, &at.repo()?).await?.for_admin()?)
}

/// `GET /repos/{owner}/{repo}/collaborators`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let (found, total) = page.cut(state.forge.collaborators(&repo).await?);
    let links = Links::of(&state);
    let rows: Vec<_> = found.iter().map(|view| User::named(links, view.id, view.name.as_str(), "")).collect();
    Ok(page.list(&rows, total))
}

async fn one(state: &AppState, caller: &Caller, at: &At) -> Result<CollaboratorView, Refusal> {
    let repo = administered(state, caller, at).await?;
    let name = at.owner("collaborator")?;
    let found = state.forge.collaborators(&repo).await?.into_iter().find(|view| view.name.key() == name.key());
    found.ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/collaborators/{collaborator}`: 204 for one, absent for all others.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    one(&state, &caller, &at).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /repos/{owner}/{repo}/collaborators/{collaborator}/permission`.
pub(crate) async fn permission(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    administered(&state, &caller, &at).await?;
    let user = |id, name: &str| User::named(Links::of(&state), id, name, "");
    let account = state.forge.account(&caller.actor, &at.owner("collaborator")?).await?;
    let answer = if account.name.key() == at.repo()?.owner.key() {
        let user = user(account.id, account.name.as_str());
        RepoCollaboratorPermission { permission: "owner".into(), role_name: "owner".into(), user }
    } else {
        let view = one(&state, &caller, &at).await?;
        RepoCollaboratorPermission {
            permission: level_word(view.access).into(),
            role_name: view.access.name().into(),
            user: user(view.id, view.name.as_str()),
        }
    };
    Ok(Json(answer).into_response())
}

/// `PUT /repos/{owner}/{repo}/collaborators/{collaborator}`.
pub(crate) async fn set(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<AddCollaboratorOption>,
) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let level = level(option.permission.as_deref().unwrap_or("write"))?;
    state.forge.set_collaborator(&repo, &at.owner("collaborator")?, level).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /repos/{owner}/{repo}/collaborators/{collaborator}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    state.forge.remove_collaborator(&repo, &at.owner("collaborator")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl DeployKey {
    fn of(links: Links<'_>, at: &At, view: &DeployKeyView) -> Result<Self, Refusal> {
        Ok(Self {
            id: view.id,
            key_id: view.id,
            key: view.line.clone(),
            url: links.repo(&at.repo()?, &format!("/keys/{}", view.id)),
            title: view.title.clone(),
            fingerprint: view.fingerprint.clone(),
            created_at: moment(view.created),
            read_only: !view.can_write,
        })
    }
}

/// `GET /repos/{owner}/{repo}/keys`.
pub(crate) async fn keys(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let (found, total) = page.cut(state.forge.deploy_keys(&repo).await?);
    let rows: Vec<_> =
        found.iter().map(|view| DeployKey::of(Links::of(&state), &at, view)).collect::<Result<_, _>>()?;
    Ok(page.list(&rows, total))
}

/// `GET /repos/{owner}/{repo}/keys/{id}`.
pub(crate) async fn key(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let id = at.number("id")?;
    let found = state.forge.deploy_keys(&repo).await?.into_iter().find(|view| view.id == id);
    let view = found.ok_or_else(Refusal::not_found)?;
    Ok(Json(DeployKey::of(Links::of(&state), &at, &view)?).into_response())
}

/// `POST /repos/{owner}/{repo}/keys`.
pub(crate) async fn add_key(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<CreateDeployKeyOption>,
) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    let (title, can_write) = (option.title.unwrap_or_default(), !option.read_only.unwrap_or(false));
    let view = state.forge.add_deploy_key(&repo, &title, &option.key, can_write).await?;
    Ok((StatusCode::CREATED, Json(DeployKey::of(Links::of(&state), &at, &view)?)).into_response())
}

/// `DELETE /repos/{owner}/{repo}/keys/{id}`.
pub(crate) async fn remove_key(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = administered(&state, &caller, &at).await?;
    state.forge.remove_deploy_key(&repo, at.number("id")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
