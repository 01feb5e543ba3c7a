//! The visitor's own password.

use askama::Template;
use axum::extract::State;
use forge::Error;

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::page::{Shell, draw, draw_refused};
use super::sign_in::with_cookie;
use super::target::{Notice, Target};
use super::visit::{self, Visit};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/password.html")]
pub(crate) struct PasswordPage {
    pub(crate) shell: Shell,
    pub(crate) draft: Draft,
}

/// `GET /settings/password`.
pub(crate) async fn show(visit: Visit) -> PageResult {
    visit.actor.user().ok_or(Failure::SignInNeeded)?;
    draw(&PasswordPage { shell: Shell::of(&visit), draft: Draft::default() })
}

/// `POST /settings/password`.
pub(crate) async fn change(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let problem = if form.text("password") == form.text("again") {
        match state.forge.change_password(&visit.actor, &form.secret("old"), &form.secret("password")).await {
            Ok(signed_in) => {
                let done = redirect(&Target::Password(Notice::PasswordChanged));
                return with_cookie(done, &visit::cookie(&state, &signed_in));
            }
            Err(Error::SignInRefused) => Problem::of("old", "this is not your present password"),
            Err(error) => Problem::from_forge(error, "password")?,
        }
    } else {
        Problem::of("again", "the new password is not the same in both fields")
    };
    draw_refused(&PasswordPage { shell: Shell::of(&visit), draft: form.draft(problem) })
}
