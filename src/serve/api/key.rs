//! SSH keys of users as JSON.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use forge::{SshKeyLine, SshKeyView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::{Links, moment};
use super::refusal::ApiResult;
use crate::state::AppState;

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublicKey {
    id: i64,
    /// OpenSSH's one-line form.
    key: String,
    url: String,
    title: String,
    fingerprint: String,
    #[schema(format = DateTime)]
    created_at: String,
    read_only: bool,
    /// `user`.
    key_type: String,
}

/// A key to add.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateKeyOption {
    /// OpenSSH's one-line form.
    key: String,
    /// The key's own comment, when empty.
    title: Option<String>,
}

impl PublicKey {
    fn of(links: Links<'_>, SshKeyLine { view, line }: &SshKeyLine) -> Self {
        let SshKeyView { id, title, fingerprint, created, .. } = view;
        Self {
            id: *id,
            key: line.clone(),
            url: links.api(&format!("/user/keys/{id}")),
            title: title.clone(),
            fingerprint: fingerprint.clone(),
            created_at: moment(*created),
            read_only: false,
            key_type: "user".into(),
        }
    }
}

/// `GET /user/keys`.
pub(crate) async fn own(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    let (keys, total) = page.cut(state.forge.ssh_key_lines(&caller.actor).await?);
    let rows: Vec<_> = keys.iter().map(|key| PublicKey::of(Links::of(&state), key)).collect();
    Ok(page.list(&rows, total))
}

/// `GET /users/{username}/keys`.
pub(crate) async fn of_user(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let keys = state.forge.ssh_key_lines_of(&caller.actor, &at.owner("username")?).await?;
    let (keys, total) = page.cut(keys);
    let rows: Vec<_> = keys.iter().map(|key| PublicKey::of(Links::of(&state), key)).collect();
    Ok(page.list(&rows, total))
}

/// `GET /user/keys/{id}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let key = state.forge.ssh_key_line(&caller.actor, at.number("id")?).await?;
    Ok(Json(PublicKey::of(Links::of(&state), &key)).into_response())
}

/// `POST /user/keys`.
pub(crate) async fn add(
    State(state): State<AppState>,
    caller: Caller,
    Taken(option): Taken<CreateKeyOption>,
) -> ApiResult {
    let title = option.title.unwrap_or_default();
    let added = state.forge.add_ssh_key(&caller.actor, &title, &option.key).await?;
    let key = state.forge.ssh_key_line(&caller.actor, added.id).await?;
    Ok((StatusCode::CREATED, Json(PublicKey::of(Links::of(&state), &key))).into_response())
}

/// `DELETE /user/keys/{id}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    state.forge.remove_ssh_key(&caller.actor, at.number("id")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
