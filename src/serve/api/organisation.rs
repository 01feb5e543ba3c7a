//! Organisations as JSON: what they say of themselves, their members and their repositories.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::name::OwnerName;
use forge::{MemberView, NewOrganisation, OrganisationView, Paged, Visibility};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::Links;
use super::refusal::{ApiResult, Refusal};
use super::user::User;
use crate::state::AppState;

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Organization {
    id: i64,
    name: String,
    /// The same as `name`.
    username: String,
    full_name: String,
    email: String,
    avatar_url: String,
    description: String,
    website: String,
    location: String,
    /// `public`, `limited` (to who is signed in) or `private`.
    visibility: String,
    repo_admin_change_team_access: bool,
}

/// An organisation to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateOrgOption {
    /// Its name.
    username: String,
    full_name: Option<String>,
    description: Option<String>,
    /// `public`, `limited` or `private`; `public` when absent.
    visibility: Option<String>,
}

/// What an organisation shall say of itself. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EditOrgOption {
    full_name: Option<String>,
    description: Option<String>,
    /// `public`, `limited` or `private`.
    visibility: Option<String>,
}

/// What a user may do in an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationPermissions {
    can_create_repository: bool,
    can_read: bool,
    can_write: bool,
    is_admin: bool,
    is_owner: bool,
}

impl Organization {
    pub(crate) fn of(view: &OrganisationView) -> Self {
        Self {
            id: view.id,
            name: view.name.to_string(),
            username: view.name.to_string(),
            full_name: view.full_name.clone(),
            email: String::new(),
            avatar_url: String::new(),
            description: view.description.clone(),
            website: String::new(),
            location: String::new(),
            visibility: visibility_word(view.visibility).into(),
            repo_admin_change_team_access: false,
        }
    }
}

const fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Internal => "limited",
        Visibility::Private => "private",
    }
}

/// What the family calls limited is internal here; both words are taken.
fn visibility(word: &str) -> Result<Visibility, Refusal> {
    match word {
        "public" => Ok(Visibility::Public),
        "limited" | "internal" => Ok(Visibility::Internal),
        "private" => Ok(Visibility::Private),
        _ => Err(Refusal::Unfit("visibility must be public, limited or private".into())),
    }
}

/// Members as accounts; what only the account itself tells is left out.
pub(crate) fn member(links: Links<'_>, view: &MemberView) -> User {
    User::named(links, view.id, view.name.as_str(), &view.full_name)
}

fn listed(page: &Page, found: &Paged<OrganisationView>) -> Response {
    let rows: Vec<_> = found.rows.iter().map(Organization::of).collect();
    page.list(&rows, found.total)
}

/// `GET /admin/orgs`: all of them, for who administers the site.
pub(crate) async fn administered(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    Ok(listed(&page, &state.forge.administered_organisations(&caller.actor, page.window()).await?))
}

/// `GET /orgs`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    Ok(listed(&page, &state.forge.find_organisations(&caller.actor, None, page.window()).await?))
}

/// `GET /user/orgs`.
pub(crate) async fn own(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    let name = caller.name()?;
    Ok(listed(&page, &state.forge.find_organisations(&caller.actor, Some(&name), page.window()).await?))
}

/// `GET /users/{username}/orgs`.
pub(crate) async fn of_user(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let name = at.owner("username")?;
    Ok(listed(&page, &state.forge.find_organisations(&caller.actor, Some(&name), page.window()).await?))
}

/// `GET /users/{username}/orgs/{org}/permissions`; only a caller's own.
pub(crate) async fn permissions(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    if caller.name()?.key() != at.owner("username")?.key() {
        return Err(Refusal::not_found());
    }
    let found = state.forge.organisation(&caller.actor, &at.owner("org")?).await?;
    let view = found.view();
    let answer = OrganizationPermissions {
        can_create_repository: view.can_create,
        can_read: true,
        can_write: view.is_owner,
        is_admin: view.is_owner,
        is_owner: view.is_owner,
    };
    Ok(Json(answer).into_response())
}

/// `POST /orgs`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Taken(option): Taken<CreateOrgOption>,
) -> ApiResult {
    let new = NewOrganisation {
        name: option.username,
        full_name: option.full_name.unwrap_or_default(),
        description: option.description.unwrap_or_default(),
        visibility: visibility(option.visibility.as_deref().unwrap_or("public"))?,
    };
    let made = state.forge.create_organisation(&caller.actor, new).await?;
    Ok((StatusCode::CREATED, Json(Organization::of(&made))).into_response())
}

/// `GET /orgs/{org}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let found = state.forge.organisation(&caller.actor, &at.owner("org")?).await?;
    Ok(Json(Organization::of(found.view())).into_response())
}

/// `PATCH /orgs/{org}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<EditOrgOption>,
) -> ApiResult {
    let name = at.owner("org")?;
    let found = state.forge.organisation(&caller.actor, &name).await?;
    let now = found.view().clone();
    let wanted = option.visibility.as_deref().map(visibility).transpose()?;
    let new = NewOrganisation {
        name: now.name.to_string(),
        full_name: option.full_name.unwrap_or(now.full_name),
        description: option.description.unwrap_or(now.description),
        visibility: wanted.unwrap_or(now.visibility),
    };
    state.forge.change_organisation(&found.for_owner()?, new).await?;
    let found = state.forge.organisation(&caller.actor, &name).await?;
    Ok(Json(Organization::of(found.view())).into_response())
}

/// `DELETE /orgs/{org}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let found = state.forge.organisation(&caller.actor, &at.owner("org")?).await?.for_owner()?;
    state.forge.delete_organisation(found).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /orgs/{org}/members`.
pub(crate) async fn members(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let found = state.forge.organisation(&caller.actor, &at.owner("org")?).await?.for_member()?;
    let (members, total) = page.cut(state.forge.members(&found).await?);
    let rows: Vec<_> = members.iter().map(|view| member(Links::of(&state), view)).collect();
    Ok(page.list(&rows, total))
}

/// `GET /orgs/{org}/members/{username}`: 204 for a member, absent for all others.
pub(crate) async fn is_member(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let found = state.forge.organisation(&caller.actor, &at.owner("org")?).await?.for_member()?;
    let name: OwnerName = at.owner("username")?;
    let members = state.forge.members(&found).await?;
    if !members.iter().any(|member| member.name.key() == name.key()) {
        return Err(Refusal::not_found());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /orgs/{org}/members/{username}`.
pub(crate) async fn remove_member(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let found = state.forge.organisation(&caller.actor, &at.owner("org")?).await?.for_member()?;
    state.forge.remove_member(&found, &at.owner("username")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
