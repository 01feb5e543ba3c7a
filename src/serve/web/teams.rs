//! Teams of an organisation: members see them, owners change them.

use askama::Template;
use axum::extract::{Path, State};
use base::name::{OwnerName, RepoName, TeamName};
use forge::{Access, Error, OrganisationView, TeamDetails, TeamForm, TeamView};

use super::failure::{PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/teams.html")]
pub(crate) struct TeamsPage {
    shell: Shell,
    organisation: OrganisationView,
    teams: Vec<TeamView>,
    draft: Draft,
}

#[derive(Template)]
#[template(path = "pages/team.html")]
pub(crate) struct TeamPage {
    shell: Shell,
    organisation: OrganisationView,
    details: TeamDetails,
    draft: Draft,
}

impl TeamPage {
    fn href(&self) -> String {
        format!("/orgs/{}/teams/{}", self.organisation.name, self.details.team.name)
    }
}

/// `GET /orgs/{owner}/teams`.
pub(crate) async fn list(State(state): State<AppState>, visit: Visit, Path(name): Path<String>) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&name)?).await?;
    let view = found.view().clone();
    let teams = state.forge.teams(&found.for_member()?).await?;
    draw(&list_page(&visit, view, teams, Draft::default()))
}

/// `POST /orgs/{owner}/teams`.
pub(crate) async fn create(
    State(state): State<AppState>,
    visit: Visit,
    Path(name): Path<String>,
    form: Form,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&name)?).await?;
    let view = found.view().clone();
    let owner = found.for_owner()?;
    match state.forge.create_team(&owner, wanted(&form)).await {
        Ok(made) => Ok(redirect(&Target::Page(format!("/orgs/{}/teams/{}", view.name, made.name), Notice::Saved))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "name")?);
            let teams = state.forge.teams(&owner.into()).await?;
            draw_refused(&list_page(&visit, view, teams, draft))
        }
    }
}

/// `GET /orgs/{owner}/teams/{name}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    visit: Visit,
    Path((organisation, name)): Path<(String, String)>,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&organisation)?).await?;
    let view = found.view().clone();
    let details = state.forge.team(&found.for_member()?, &TeamName::parse(&name)?).await?;
    draw(&page(&visit, view, details, Draft::default()))
}

/// What the forms of a team's page do.
enum Deed {
    Change,
    AddMember,
    RemoveMember,
    AddRepository,
    RemoveRepository,
}

/// `POST /orgs/{owner}/teams/{name}`.
pub(crate) async fn change(state: State<AppState>, visit: Visit, at: Path<(String, String)>, form: Form) -> PageResult {
    act(state, visit, at, form, Deed::Change).await
}

/// `POST /orgs/{owner}/teams/{name}/members`.
pub(crate) async fn add_member(
    state: State<AppState>,
    visit: Visit,
    at: Path<(String, String)>,
    form: Form,
) -> PageResult {
    act(state, visit, at, form, Deed::AddMember).await
}

/// `POST /orgs/{owner}/teams/{name}/members/remove`.
pub(crate) async fn remove_member(
    state: State<AppState>,
    visit: Visit,
    at: Path<(String, String)>,
    form: Form,
) -> PageResult {
    act(state, visit, at, form, Deed::RemoveMember).await
}

/// `POST /orgs/{owner}/teams/{name}/repositories`.
pub(crate) async fn add_repository(
    state: State<AppState>,
    visit: Visit,
    at: Path<(String, String)>,
    form: Form,
) -> PageResult {
    act(state, visit, at, form, Deed::AddRepository).await
}

/// `POST /orgs/{owner}/teams/{name}/repositories/remove`.
pub(crate) async fn remove_repository(
    state: State<AppState>,
    visit: Visit,
    at: Path<(String, String)>,
    form: Form,
) -> PageResult {
    act(state, visit, at, form, Deed::RemoveRepository).await
}

/// `POST /orgs/{owner}/teams/{name}/delete`.
pub(crate) async fn delete(
    State(state): State<AppState>,
    visit: Visit,
    Path((organisation, name)): Path<(String, String)>,
    _: Form,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&organisation)?).await?;
    let to = format!("/orgs/{}/teams", found.view().name);
    state.forge.delete_team(&found.for_owner()?, &TeamName::parse(&name)?).await?;
    Ok(redirect(&Target::Page(to, Notice::Removed)))
}

/// Does one thing to a team, and shows its page again with what was wrong.
async fn act(
    State(state): State<AppState>,
    visit: Visit,
    Path((organisation, name)): Path<(String, String)>,
    form: Form,
    deed: Deed,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&organisation)?).await?;
    let view = found.view().clone();
    let (owner, team) = (found.for_owner()?, TeamName::parse(&name)?);
    let forge = &state.forge;
    let (user, repository) =
        (|| OwnerName::parse(form.text("user").trim()), || RepoName::parse(form.text("repository").trim()));
    let done: Result<Notice, Error> = async {
        match deed {
            Deed::Change => forge.change_team(&owner, &team, wanted(&form)).await.map(|()| Notice::Saved),
            Deed::AddMember => forge.add_team_member(&owner, &team, &user()?).await.map(|()| Notice::Added),
            Deed::RemoveMember => forge.remove_team_member(&owner, &team, &user()?).await.map(|()| Notice::Removed),
            Deed::AddRepository => forge.add_team_repo(&owner, &team, &repository()?).await.map(|()| Notice::Added),
            Deed::RemoveRepository => {
                forge.remove_team_repo(&owner, &team, &repository()?).await.map(|()| Notice::Removed)
            }
        }
    }
    .await;
    let name_field = match deed {
        Deed::Change => "name",
        Deed::AddMember | Deed::RemoveMember => "user",
        Deed::AddRepository | Deed::RemoveRepository => "repository",
    };
    match done {
        Ok(notice) => {
            // The name may be another now.
            let now = if matches!(deed, Deed::Change) { TeamName::parse(form.text("name").trim()) } else { Ok(team) };
            let at = now.map(|now| format!("/orgs/{}/teams/{now}", view.name));
            Ok(redirect(&Target::Page(at.unwrap_or_else(|_| format!("/orgs/{}/teams", view.name)), notice)))
        }
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, name_field)?);
            let details = forge.team(&owner.into(), &team).await?;
            draw_refused(&page(&visit, view, details, draft))
        }
    }
}

/// The page of all teams.
pub(crate) fn list_page(
    visit: &Visit,
    organisation: OrganisationView,
    teams: Vec<TeamView>,
    draft: Draft,
) -> TeamsPage {
    let draft = draft.over(Draft::with(&[("permission", "read")]));
    TeamsPage { shell: Shell::of(visit), organisation, teams, draft }
}

/// The page of one team.
pub(crate) fn page(visit: &Visit, organisation: OrganisationView, details: TeamDetails, draft: Draft) -> TeamPage {
    let team = &details.team;
    let yes = |is_on: bool| if is_on { "yes" } else { "" };
    let now = Draft::with(&[
        ("name", team.name.as_str()),
        ("description", &team.description),
        ("permission", team.permission.name()),
        ("includes_all", yes(team.includes_all_repositories)),
        ("can_create", yes(team.can_create_repositories)),
    ]);
    TeamPage { shell: Shell::of(visit), organisation, draft: draft.over(now), details }
}

fn wanted(form: &Fields) -> TeamForm {
    TeamForm {
        name: form.text("name").into(),
        description: form.text("description").into(),
        permission: Access::granted(form.text("permission")).unwrap_or(Access::None),
        includes_all_repositories: form.text("includes_all") == "yes",
        can_create_repositories: form.text("can_create") == "yes",
    }
}
