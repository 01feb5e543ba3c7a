//! Accounts as JSON: the caller's own, everybody else's.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use base::clock::Timestamp;
use forge::Account;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Asked, At, Page};
use super::links::{Links, moment};
use super::refusal::ApiResult;
use crate::state::AppState;

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) login: String,
    /// Empty: accounts come from this site alone.
    pub(crate) login_name: String,
    pub(crate) source_id: i64,
    /// The same as `login`.
    pub(crate) username: String,
    pub(crate) full_name: String,
    /// An address that nobody reads: the site knows none.
    pub(crate) email: String,
    pub(crate) avatar_url: String,
    pub(crate) html_url: String,
    pub(crate) language: String,
    pub(crate) is_admin: bool,
    pub(crate) active: bool,
    pub(crate) restricted: bool,
    pub(crate) prohibit_login: bool,
    pub(crate) visibility: String,
    pub(crate) description: String,
    pub(crate) location: String,
    pub(crate) website: String,
    pub(crate) pronouns: String,
    pub(crate) followers_count: i64,
    pub(crate) following_count: i64,
    pub(crate) starred_repos_count: i64,
    #[schema(format = DateTime)]
    pub(crate) created: String,
    #[schema(format = DateTime)]
    pub(crate) last_login: String,
}

/// A mail address of an account.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names that clients read")]
pub(crate) struct Email {
    /// One that nobody reads: the site knows no other.
    email: String,
    verified: bool,
    primary: bool,
    user_id: i64,
    username: String,
}

/// What a search for accounts finds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserSearch {
    ok: bool,
    data: Vec<User>,
}

impl User {
    /// An account as others see it: names, and nothing of what it may do or when it came.
    pub(crate) fn of(links: Links<'_>, account: &Account) -> Self {
        Self::named(links, account.id, account.name.as_str(), &account.full_name)
    }

    /// All that is known of an account: for itself, and for who administers the site.
    pub(crate) fn whole(links: Links<'_>, account: &Account) -> Self {
        Self {
            is_admin: account.is_admin,
            active: account.is_active,
            prohibit_login: !account.is_active,
            created: moment(account.created),
            last_login: moment(account.seen.unwrap_or(Timestamp(0))),
            ..Self::of(links, account)
        }
    }

    /// An account of which no more than its names is told.
    pub(crate) fn named(links: Links<'_>, id: i64, name: &str, full_name: &str) -> Self {
        Self {
            id,
            login_name: String::new(),
            source_id: 0,
            full_name: full_name.into(),
            email: format!("{}@noreply.{}", name.to_ascii_lowercase(), links.host()),
            avatar_url: String::new(),
            html_url: links.page(&format!("/{name}")),
            language: String::new(),
            is_admin: false,
            active: true,
            restricted: false,
            prohibit_login: false,
            visibility: "public".into(),
            description: String::new(),
            location: String::new(),
            website: String::new(),
            pronouns: String::new(),
            followers_count: 0,
            following_count: 0,
            starred_repos_count: 0,
            created: moment(Timestamp(0)),
            last_login: moment(Timestamp(0)),
            login: name.into(),
            username: name.into(),
        }
    }
}

/// `GET /user`.
pub(crate) async fn me(State(state): State<AppState>, caller: Caller) -> ApiResult {
    let account = state.forge.own_account(&caller.actor).await?;
    Ok(Json(User::whole(Links::of(&state), &account)).into_response())
}

/// `GET /user/emails`: the one address that an account has here.
pub(crate) async fn emails(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    let account = state.forge.own_account(&caller.actor).await?;
    let User { id, username, email, .. } = User::of(Links::of(&state), &account);
    let (rows, total) = page.cut(vec![Email { email, verified: true, primary: true, user_id: id, username }]);
    Ok(page.list(&rows, total))
}

/// `GET /users/{username}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let account = state.forge.account(&caller.actor, &at.owner("username")?).await?;
    Ok(Json(User::of(Links::of(&state), &account)).into_response())
}

/// `GET /users/search`.
pub(crate) async fn search(State(state): State<AppState>, caller: Caller, asked: Asked, page: Page) -> ApiResult {
    let only = asked.number("uid").filter(|id| *id > 0);
    let found = state.forge.accounts(&caller.actor, asked.text("q"), only, page.window()).await?;
    let links = Links::of(&state);
    let data = found.rows.iter().map(|account| User::of(links, account)).collect();
    Ok(page.wrapped(Json(UserSearch { ok: true, data }).into_response(), found.total))
}
