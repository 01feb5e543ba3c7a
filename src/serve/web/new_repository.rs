//! Making a repository.

use askama::Template;
use axum::extract::State;
use forge::{NewRepo, Visibility};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::page::{Shell, draw, draw_refused};
use super::target::Target;
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/new-repository.html")]
pub(crate) struct NewRepositoryPage {
    pub(crate) shell: Shell,
    pub(crate) draft: Draft,
}

/// `GET /new`.
pub(crate) async fn show(visit: Visit) -> PageResult {
    visit.actor.user().ok_or(Failure::SignInNeeded)?;
    draw(&NewRepositoryPage { shell: Shell::of(&visit), draft: fresh() })
}

/// `POST /new`.
pub(crate) async fn create(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    match state.forge.create_repo(&visit.actor, wanted(&form)).await {
        Ok(made) => Ok(redirect(&Target::Repository(made.path))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "name")?);
            draw_refused(&NewRepositoryPage { shell: Shell::of(&visit), draft })
        }
    }
}

/// The form as it begins: private, so that nothing is published by accident.
pub(crate) fn fresh() -> Draft {
    Draft::with(&[("visibility", "private")])
}

fn wanted(form: &Fields) -> NewRepo {
    let visibility = match form.text("visibility") {
        "public" => Visibility::Public,
        "internal" => Visibility::Internal,
        _ => Visibility::Private,
    };
    NewRepo { name: form.text("name").into(), description: form.text("description").into(), visibility }
}
