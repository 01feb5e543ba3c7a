//! Access tokens as JSON. They are seen and made with a name and a password alone, and only one's own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::RepoPath;
use forge::{NewToken, Scopes, TokenView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::{moment, read_moment};
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessToken {
    id: i64,
    name: String,
    /// The secret, told once: when the token is made.
    sha1: String,
    /// The end of the secret, told once.
    token_last_eight: String,
    scopes: Vec<String>,
    /// The repositories that it is for alone, as in `alice/notes`; null for all.
    repositories: Option<Vec<String>>,
    #[schema(format = DateTime)]
    created_at: String,
    /// Null when it was never used.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// Null when it does not end by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateAccessTokenOption {
    name: String,
    /// As in `read:repository`; `all` for every area.
    scopes: Vec<String>,
    /// The repositories that it shall be for alone, as in `alice/notes`.
    repositories: Option<Vec<String>>,
    /// When it shall end, in RFC 3339, at most ten years from now; never, when absent.
    expires_at: Option<String>,
}

impl AccessToken {
    fn of(view: &TokenView, secret: &str) -> Self {
        let end = secret.len().saturating_sub(8);
        Self {
            id: view.id,
            name: view.name.clone(),
            sha1: secret.into(),
            token_last_eight: secret.get(end..).unwrap_or_default().into(),
            scopes: view.scopes.names().into_iter().map(Into::into).collect(),
            repositories: view.repositories.as_ref().map(|all| all.iter().map(ToString::to_string).collect()),
            created_at: moment(view.created),
            last_used_at: view.used.map(moment),
            expires_at: view.expires.map(moment),
        }
    }
}

/// Everybody else's tokens are absent.
fn is_own(caller: &Caller, at: &At) -> Result<(), Refusal> {
    let is_own = caller.name()?.key() == at.owner("username")?.key();
    if is_own { Ok(()) } else { Err(Refusal::not_found()) }
}

/// `GET /users/{username}/tokens`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    is_own(&caller, &at)?;
    let (found, total) = page.cut(state.forge.tokens(&caller.actor).await?);
    let rows: Vec<_> = found.iter().map(|view| AccessToken::of(view, "")).collect();
    Ok(page.list(&rows, total))
}

/// `POST /users/{username}/tokens`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<CreateAccessTokenOption>,
) -> ApiResult {
    is_own(&caller, &at)?;
    let unknown = |name: String| Refusal::Unfit(format!("`{name}` is no scope that is known"));
    let unread = || Refusal::Unfit("expires_at must be written as in 2026-11-21T10:00:00Z".into());
    let parsed = |paths: Vec<String>| paths.iter().map(|path| RepoPath::parse_joined(path)).collect::<Result<_, _>>();
    let repositories: Option<Vec<_>> = option.repositories.map(parsed).transpose().map_err(forge::Error::from)?;
    let read = |text: String| read_moment(&text).map(|(at, _)| at).ok_or_else(unread);
    let expires = option.expires_at.map(read).transpose()?;
    let scopes = Scopes::parse(&option.scopes.join(",")).map_err(unknown)?;
    let new = NewToken { name: option.name, scopes, repositories, days: None };
    let (view, secret) = state.forge.create_token_until(&caller.actor, new, expires).await?;
    Ok((StatusCode::CREATED, Json(AccessToken::of(&view, secret.expose()))).into_response())
}

/// `DELETE /users/{username}/tokens/{token}`: by number, or by name.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    is_own(&caller, &at)?;
    let text = at.text("token");
    let all = state.forge.tokens(&caller.actor).await?;
    let found = all.iter().find(|view| view.id.to_string() == text || view.name == text);
    state.forge.revoke_token(&caller.actor, found.ok_or_else(Refusal::not_found)?.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
