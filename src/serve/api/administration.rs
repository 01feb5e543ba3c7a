//! Accounts, for who administers the site. To everyone else there is nothing here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::Secret;
use base::name::OwnerName;
use forge::NewUser;
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::Links;
use super::refusal::{ApiResult, Refusal};
use super::user::User;
use crate::state::AppState;

/// An account to make.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateUserOption {
    username: String,
    full_name: Option<String>,
    /// At least 12 characters.
    password: String,
}

/// What an account shall become. What is absent stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct EditUserOption {
    /// Says whether it may sign in.
    active: Option<bool>,
    /// The opposite of `active`.
    prohibit_login: Option<bool>,
    /// Says whether it administers the site.
    admin: Option<bool>,
    /// Another password, of at least 12 characters; the account's sessions end. Not for one's own account.
    password: Option<String>,
    /// Cannot be changed: must be what it is.
    full_name: Option<String>,
    /// Cannot be changed: must be what it is.
    email: Option<String>,
    /// Cannot be changed: must be what it is.
    visibility: Option<String>,
    /// Cannot be changed: must be what it is.
    description: Option<String>,
    /// Cannot be changed: must be what it is.
    location: Option<String>,
    /// Cannot be changed: must be what it is.
    website: Option<String>,
    /// Cannot be changed: must be false.
    restricted: Option<bool>,
    /// Cannot be changed: must be false.
    must_change_password: Option<bool>,
}

impl EditUserOption {
    /// What cannot be done is refused, unless it is so already: clients send back what they were told.
    fn judge(&self, now: &User) -> Result<(), Refusal> {
        let texts = [
            ("full_name", &self.full_name, &now.full_name),
            ("email", &self.email, &now.email),
            ("visibility", &self.visibility, &now.visibility),
            ("description", &self.description, &now.description),
            ("location", &self.location, &now.location),
            ("website", &self.website, &now.website),
        ];
        let other = texts.into_iter().find(|(_, asked, now)| asked.as_ref().is_some_and(|asked| asked != *now));
        let truths = [("restricted", self.restricted), ("must_change_password", self.must_change_password)];
        let set = truths.into_iter().find(|(_, asked)| *asked == Some(true));
        match other.map(|(name, ..)| name).or(set.map(|(name, _)| name)) {
            Some(name) => Err(Refusal::Unfit(format!("{name} cannot be changed here"))),
            None => Ok(()),
        }
    }
}

/// `GET /admin/users`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    let found = state.forge.all_accounts(&caller.actor, page.window()).await?;
    let rows: Vec<_> = found.rows.iter().map(|account| User::whole(Links::of(&state), account)).collect();
    Ok(page.list(&rows, found.total))
}

/// `POST /admin/users`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Taken(option): Taken<CreateUserOption>,
) -> ApiResult {
    let new = NewUser {
        name: option.username,
        full_name: option.full_name.unwrap_or_default(),
        password: Secret::new(option.password),
        is_admin: false,
    };
    let made = state.forge.create_user(&caller.actor, new).await?;
    answer(&state, &caller, StatusCode::CREATED, &made.name).await
}

/// `PATCH /admin/users/{username}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<EditUserOption>,
) -> ApiResult {
    let name = at.owner("username")?;
    let active = option.active.or_else(|| option.prohibit_login.map(|is_shut| !is_shut));
    // Before anything is changed: to everyone else this is absent.
    let now = state.forge.administered_account(&caller.actor, &name).await?;
    option.judge(&User::whole(Links::of(&state), &now))?;
    if let Some(password) = option.password {
        state.forge.set_user_password(&caller.actor, name.as_str(), &Secret::new(password)).await?;
    }
    if let Some(is_active) = active {
        state.forge.set_user_active(&caller.actor, name.as_str(), is_active).await?;
    }
    if let Some(is_admin) = option.admin {
        state.forge.set_user_admin(&caller.actor, name.as_str(), is_admin).await?;
    }
    answer(&state, &caller, StatusCode::OK, &name).await
}

/// `DELETE /admin/users/{username}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    state.forge.delete_user(&caller.actor, at.owner("username")?.as_str()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn answer(state: &AppState, caller: &Caller, status: StatusCode, name: &OwnerName) -> ApiResult {
    let account = state.forge.administered_account(&caller.actor, name).await.map_err(Refusal::from)?;
    Ok((status, Json(User::whole(Links::of(state), &account))).into_response())
}
