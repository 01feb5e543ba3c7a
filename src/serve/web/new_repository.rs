//! Making a repository.

use askama::Template;
use axum::extract::{Query, State};
use base::name::OwnerName;
use forge::NewRepo;
use serde::Deserialize;

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::listing::visibility_of;
use super::page::{Shell, draw, draw_refused};
use super::target::Target;
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/new-repository.html")]
pub(crate) struct NewRepositoryPage {
    pub(crate) shell: Shell,
    pub(crate) owners: Vec<String>,
    pub(crate) draft: Draft,
}

/// `GET /new`; `?owner=` chooses the owner.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, Query(asked): Query<Asked>) -> PageResult {
    let owners = owners(&state, &visit).await?;
    let draft = fresh().over(Draft::with(&[("owner", asked.owner.as_str())]));
    draw(&NewRepositoryPage { shell: Shell::of(&visit), owners, draft })
}

/// What the address may ask for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    owner: String,
}

/// Under which names the visitor may make repositories, their own first.
async fn owners(state: &AppState, visit: &Visit) -> Result<Vec<String>, Failure> {
    let user = visit.actor.user().ok_or(Failure::SignInNeeded)?;
    let organisations = state.forge.organisations_of(&visit.actor, &user.name).await?;
    let others = organisations.iter().filter(|one| one.can_create).map(|one| one.name.to_string());
    Ok(std::iter::once(user.name.to_string()).chain(others).collect())
}

/// `POST /new`.
pub(crate) async fn create(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let user = visit.actor.user().ok_or(Failure::SignInNeeded)?;
    let owner = match form.text("owner") {
        "" => Ok(user.name.clone()),
        name => OwnerName::parse(name),
    };
    let made = match owner {
        Ok(owner) => state.forge.create_repo_in(&visit.actor, &owner, wanted(&form)).await,
        Err(error) => Err(error.into()),
    };
    match made {
        Ok(made) => Ok(redirect(&Target::Repository(made.path))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "name")?);
            let owners = owners(&state, &visit).await?;
            draw_refused(&NewRepositoryPage { shell: Shell::of(&visit), owners, draft })
        }
    }
}

/// The form as it begins: private, so that nothing is published by accident.
pub(crate) fn fresh() -> Draft {
    Draft::with(&[("visibility", "private")])
}

fn wanted(form: &Fields) -> NewRepo {
    let visibility = visibility_of(form.text("visibility"));
    NewRepo { name: form.text("name").into(), description: form.text("description").into(), visibility }
}
