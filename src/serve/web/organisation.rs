//! Organisations as their owners keep them: made, described, deleted, and who is in them.

use askama::Template;
use axum::extract::{Path, State};
use base::name::OwnerName;
use forge::{MemberView, NewOrganisation, OrganisationView};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::listing::{visibility_of, visibility_word};
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/new-organisation.html")]
pub(crate) struct NewOrganisationPage {
    pub(crate) shell: Shell,
    pub(crate) draft: Draft,
}

#[derive(Template)]
#[template(path = "pages/organisation-settings.html")]
pub(crate) struct SettingsPage {
    shell: Shell,
    organisation: OrganisationView,
    confirm_label: String,
    draft: Draft,
}

#[derive(Template)]
#[template(path = "pages/organisation-members.html")]
pub(crate) struct MembersPage {
    shell: Shell,
    organisation: OrganisationView,
    members: Vec<MemberView>,
    own: String,
}

/// `GET /new-organisation`.
pub(crate) async fn new(visit: Visit) -> PageResult {
    visit.actor.user().ok_or(Failure::SignInNeeded)?;
    draw(&NewOrganisationPage { shell: Shell::of(&visit), draft: fresh() })
}

/// `POST /new-organisation`.
pub(crate) async fn create(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    match state.forge.create_organisation(&visit.actor, wanted(&form)).await {
        Ok(made) => Ok(redirect(&Target::Page(format!("/{}", made.name), Notice::Saved))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "name")?);
            draw_refused(&NewOrganisationPage { shell: Shell::of(&visit), draft })
        }
    }
}

/// `GET /orgs/{owner}/settings`.
pub(crate) async fn settings(State(state): State<AppState>, visit: Visit, Path(name): Path<String>) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&name)?).await?;
    let view = found.view().clone();
    found.for_owner()?;
    draw(&settings_page(&visit, view, Draft::default()))
}

/// `POST /orgs/{owner}/settings`.
pub(crate) async fn change(
    State(state): State<AppState>,
    visit: Visit,
    Path(name): Path<String>,
    form: Form,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&name)?).await?;
    let view = found.view().clone();
    match state.forge.change_organisation(&found.for_owner()?, wanted(&form)).await {
        Ok(()) => Ok(redirect(&Target::Page(format!("/orgs/{}/settings", view.name), Notice::Saved))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "name")?);
            draw_refused(&settings_page(&visit, view, draft))
        }
    }
}

/// `POST /orgs/{owner}/settings/delete`, with the organisation's name typed out.
pub(crate) async fn delete(
    State(state): State<AppState>,
    visit: Visit,
    Path(name): Path<String>,
    form: Form,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&name)?).await?;
    let view = found.view().clone();
    let owner = found.for_owner()?;
    let problem = if form.text("confirm").trim() == view.name.as_str() {
        match state.forge.delete_organisation(owner).await {
            Ok(()) => return Ok(redirect(&Target::Start(Some(Notice::OrganisationDeleted)))),
            Err(forge::Error::Field { problem, .. }) => Problem::of("confirm", problem),
            Err(error) => return Err(error.into()),
        }
    } else {
        Problem::of("confirm", format!("type {} to delete it", view.name))
    };
    draw_refused(&settings_page(&visit, view, form.draft(problem)))
}

/// `GET /orgs/{owner}/members`.
pub(crate) async fn members(State(state): State<AppState>, visit: Visit, Path(name): Path<String>) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&name)?).await?;
    let view = found.view().clone();
    let members = state.forge.members(&found.for_member()?).await?;
    draw(&members_page(&visit, view, members))
}

/// `POST /orgs/{owner}/members/{name}/remove`.
pub(crate) async fn remove_member(
    State(state): State<AppState>,
    visit: Visit,
    Path((organisation, name)): Path<(String, String)>,
    _: Form,
) -> PageResult {
    let found = state.forge.organisation(&visit.actor, &OwnerName::parse(&organisation)?).await?;
    let at = format!("/orgs/{}/members", found.view().name);
    let user = OwnerName::parse(&name)?;
    let is_own = visit.actor.user().is_some_and(|own| own.name == user);
    state.forge.remove_member(&found.for_member()?, &user).await?;
    // Who has left may not see the list.
    let to = if is_own { Target::Start(Some(Notice::Removed)) } else { Target::Page(at, Notice::Removed) };
    Ok(redirect(&to))
}

/// The form as it begins: private, so that nothing is published by accident.
pub(crate) fn fresh() -> Draft {
    Draft::with(&[("visibility", "private")])
}

/// The settings' page.
pub(crate) fn settings_page(visit: &Visit, organisation: OrganisationView, draft: Draft) -> SettingsPage {
    let shown = if organisation.full_name == organisation.name.as_str() { "" } else { &organisation.full_name };
    let now = Draft::with(&[
        ("full_name", shown),
        ("description", &organisation.description),
        ("visibility", visibility_word(organisation.visibility)),
    ]);
    let confirm_label = format!("Type {} to confirm", organisation.name);
    SettingsPage { shell: Shell::of(visit), confirm_label, organisation, draft: draft.over(now) }
}

/// The members' page.
pub(crate) fn members_page(visit: &Visit, organisation: OrganisationView, members: Vec<MemberView>) -> MembersPage {
    let own = visit.actor.user().map(|user| user.name.to_string()).unwrap_or_default();
    MembersPage { shell: Shell::of(visit), organisation, members, own }
}

fn wanted(form: &Fields) -> NewOrganisation {
    NewOrganisation {
        name: form.text("name").into(),
        full_name: form.text("full_name").into(),
        description: form.text("description").into(),
        visibility: visibility_of(form.text("visibility")),
    }
}
