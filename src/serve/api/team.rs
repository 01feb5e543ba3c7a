//! Teams of organisations as JSON, found by their numbers: their members and their repositories.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::{OwnerName, RepoName, RepoPath, TeamName};
use forge::{Access, OrganisationRead, OrganisationView, TeamDetails, TeamForm, TeamView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{At, Page, Taken};
use super::links::Links;
use super::organisation::{Organization, member};
use super::refusal::{ApiResult, Refusal};
use super::repository::Repository;
use crate::state::AppState;

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Team {
    id: i64,
    name: String,
    description: String,
    organization: Organization,
    includes_all_repositories: bool,
    /// `read`, `write`, `admin`, or `owner` for the team of owners.
    permission: String,
    /// Always empty: a team's permission is for all parts of a repository.
    units: Vec<String>,
    can_create_org_repo: bool,
}

/// A team to make, or what one shall become; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TeamOption {
    name: Option<String>,
    description: Option<String>,
    /// `read`, `triage`, `write`, `maintain` or `admin`; `read` when absent.
    permission: Option<String>,
    includes_all_repositories: Option<bool>,
    can_create_org_repo: Option<bool>,
    /// Parts of repositories and how each may be touched. Here a team has one permission for all: the highest of these,
    /// when `permission` is absent.
    units_map: Option<BTreeMap<String, String>>,
}

impl Team {
    fn of(organisation: &OrganisationView, view: &TeamView) -> Self {
        Self {
            id: view.id,
            name: view.name.to_string(),
            description: view.description.clone(),
            organization: Organization::of(organisation),
            includes_all_repositories: view.includes_all_repositories,
            permission: if view.is_owners { "owner" } else { level_word(view.permission) }.into(),
            units: Vec::new(),
            can_create_org_repo: view.can_create_repositories,
        }
    }
}

impl TeamOption {
    fn form(self, now: Option<&TeamView>) -> Result<TeamForm, Refusal> {
        let permission = match self.permission.as_deref() {
            Some(word) => level(word)?,
            None if self.units_map.as_ref().is_some_and(|units| units.values().any(|word| word == "write")) => {
                Access::Write
            }
            None => now.map_or(Access::Read, |team| team.permission),
        };
        let name = self.name.or_else(|| now.map(|team| team.name.to_string()));
        Ok(TeamForm {
            name: name.unwrap_or_default(),
            description: self.description.or_else(|| now.map(|team| team.description.clone())).unwrap_or_default(),
            permission,
            includes_all_repositories: self
                .includes_all_repositories
                .unwrap_or_else(|| now.is_some_and(|team| team.includes_all_repositories)),
            can_create_repositories: self
                .can_create_org_repo
                .unwrap_or_else(|| now.is_some_and(|team| team.can_create_repositories)),
        })
    }
}

/// The family's word for a level: it has three.
pub(crate) const fn level_word(level: Access) -> &'static str {
    match level {
        Access::None => "none",
        Access::Read | Access::Triage => "read",
        Access::Write | Access::Maintain => "write",
        Access::Admin => "admin",
    }
}

/// The level of a word, in the family's words and in our own.
pub(crate) fn level(word: &str) -> Result<Access, Refusal> {
    let refused = || Refusal::Unfit("permission must be read, triage, write, maintain or admin".into());
    Access::granted(word).ok_or_else(refused)
}

/// The organisation of the team that a path names by its number.
async fn organisation(state: &AppState, caller: &Caller, at: &At) -> Result<OrganisationRead, Refusal> {
    Ok(state.forge.organisation_of_team(&caller.actor, at.number("id")?).await?)
}

/// The team that a path names by its number, to who may see it.
async fn found(state: &AppState, caller: &Caller, at: &At) -> Result<(OrganisationView, TeamDetails), Refusal> {
    let organisation = organisation(state, caller, at).await?;
    let view = organisation.view().clone();
    let member = organisation.for_member()?;
    let name = state.forge.team_name(&member, at.number("id")?).await?;
    Ok((view, state.forge.team(&member, &name).await?))
}

/// `GET /user/teams`.
pub(crate) async fn own(State(state): State<AppState>, caller: Caller, page: Page) -> ApiResult {
    let found = state.forge.own_teams(&caller.actor, page.window()).await?;
    let rows: Vec<_> = found.rows.iter().map(|(organisation, team)| Team::of(organisation, team)).collect();
    Ok(page.list(&rows, found.total))
}

/// `GET /orgs/{org}/teams`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let organisation = state.forge.organisation(&caller.actor, &at.owner("org")?).await?;
    let view = organisation.view().clone();
    let (teams, total) = page.cut(state.forge.teams(&organisation.for_member()?).await?);
    let rows: Vec<_> = teams.iter().map(|team| Team::of(&view, team)).collect();
    Ok(page.list(&rows, total))
}

/// `POST /orgs/{org}/teams`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<TeamOption>,
) -> ApiResult {
    let organisation = state.forge.organisation(&caller.actor, &at.owner("org")?).await?;
    let view = organisation.view().clone();
    let team = state.forge.create_team(&organisation.for_owner()?, option.form(None)?).await?;
    Ok((StatusCode::CREATED, Json(Team::of(&view, &team))).into_response())
}

/// `GET /teams/{id}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (view, details) = found(&state, &caller, &at).await?;
    Ok(Json(Team::of(&view, &details.team)).into_response())
}

/// `PATCH /teams/{id}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<TeamOption>,
) -> ApiResult {
    let (_, details) = found(&state, &caller, &at).await?;
    let owner = organisation(&state, &caller, &at).await?.for_owner()?;
    let form = option.form(Some(&details.team))?;
    state.forge.change_team(&owner, &details.team.name, form).await?;
    let (view, details) = found(&state, &caller, &at).await?;
    Ok(Json(Team::of(&view, &details.team)).into_response())
}

/// `DELETE /teams/{id}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (_, details) = found(&state, &caller, &at).await?;
    let owner = organisation(&state, &caller, &at).await?.for_owner()?;
    state.forge.delete_team(&owner, &details.team.name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /teams/{id}/members`.
pub(crate) async fn members(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let (_, details) = found(&state, &caller, &at).await?;
    let (members, total) = page.cut(details.members);
    let rows: Vec<_> = members.iter().map(|view| member(Links::of(&state), view)).collect();
    Ok(page.list(&rows, total))
}

/// `GET /teams/{id}/members/{username}`: absent when the user is none of its members.
pub(crate) async fn show_member(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (_, details) = found(&state, &caller, &at).await?;
    let name = at.owner("username")?;
    let view = details.members.iter().find(|view| view.name.key() == name.key()).ok_or_else(Refusal::not_found)?;
    Ok(Json(member(Links::of(&state), view)).into_response())
}

/// `PUT /teams/{id}/members/{username}`.
pub(crate) async fn add_member(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (team, user): (TeamName, OwnerName) = (found(&state, &caller, &at).await?.1.team.name, at.owner("username")?);
    let owner = organisation(&state, &caller, &at).await?.for_owner()?;
    state.forge.add_team_member(&owner, &team, &user).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /teams/{id}/members/{username}`.
pub(crate) async fn remove_member(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (team, user): (TeamName, OwnerName) = (found(&state, &caller, &at).await?.1.team.name, at.owner("username")?);
    let owner = organisation(&state, &caller, &at).await?.for_owner()?;
    state.forge.remove_team_member(&owner, &team, &user).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /teams/{id}/repos`: those that the team was given one by one.
pub(crate) async fn repos(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let (view, details) = found(&state, &caller, &at).await?;
    let (names, total) = page.cut(details.repositories);
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        let path = RepoPath { owner: view.name.clone(), name };
        // Gone, or not for this caller's eyes.
        let repo = match state.forge.repo(&caller.actor, &path).await {
            Err(forge::Error::NotFound) => continue,
            repo => repo?,
        };
        rows.push(Repository::of(Links::of(&state), &state.forge.describe(&repo).await?));
    }
    Ok(page.list(&rows, total))
}

/// `GET /teams/{id}/repos/{org}/{repo}`: one that the team was given; absent when it has it not, or it is hidden.
pub(crate) async fn show_repo(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (view, details) = found(&state, &caller, &at).await?;
    let (_, name) = placed(&state, &caller, &at).await?;
    let given = details.repositories.into_iter().find(|given| given.key() == name.key());
    let path = RepoPath { owner: view.name, name: given.ok_or_else(Refusal::not_found)? };
    let repo = state.forge.repo(&caller.actor, &path).await?;
    Ok(Json(Repository::of(Links::of(&state), &state.forge.describe(&repo).await?)).into_response())
}

/// `PUT /teams/{id}/repos/{org}/{repo}`.
pub(crate) async fn add_repo(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (team, repo) = placed(&state, &caller, &at).await?;
    let owner = organisation(&state, &caller, &at).await?.for_owner()?;
    state.forge.add_team_repo(&owner, &team, &repo).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /teams/{id}/repos/{org}/{repo}`.
pub(crate) async fn remove_repo(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let (team, repo) = placed(&state, &caller, &at).await?;
    let owner = organisation(&state, &caller, &at).await?.for_owner()?;
    state.forge.remove_team_repo(&owner, &team, &repo).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Team and repository of a path; absent when the repository is another owner's.
async fn placed(state: &AppState, caller: &Caller, at: &At) -> Result<(TeamName, RepoName), Refusal> {
    let (view, details) = found(state, caller, at).await?;
    let repo = RepoName::parse(at.text("repo")).map_err(|_| Refusal::not_found())?;
    if view.name.key() != at.owner("org")?.key() {
        return Err(Refusal::not_found());
    }
    Ok((details.team.name, repo))
}
