//! The visitor's own password.

use askama::Template;
use axum::extract::State;
use forge::{Error, Openers};

use super::failure::{PageResult, redirect};
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
    pub(crate) openers: Openers,
    pub(crate) draft: Draft,
}

impl PasswordPage {
    /// What stays open unless it is chosen to go.
    fn remaining(&self) -> String {
        let Openers { tokens, keys } = self.openers;
        format!("Access tokens: {tokens}, SSH keys: {keys}. Else they go on opening your account.")
    }
}

/// `GET /settings/password`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let openers = state.forge.openers(&visit.actor).await?;
    draw(&PasswordPage { shell: Shell::of(&visit), openers, draft: Draft::default() })
}

/// `POST /settings/password`.
pub(crate) async fn change(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let problem = if form.text("password") == form.text("again") {
        match state.forge.change_password(&visit.actor, &form.secret("old"), &form.secret("password")).await {
            Ok(signed_in) => {
                let is_all = form.text("revoke") == "all";
                if is_all {
                    state.forge.revoke_openers(&visit.actor).await?;
                }
                let notice = if is_all { Notice::AllRevoked } else { Notice::PasswordChanged };
                let done = redirect(&Target::Password(notice));
                return with_cookie(done, &visit::cookie(&state, &signed_in));
            }
            Err(Error::SignInRefused) => Problem::of("old", "this is not your present password"),
            Err(error) => Problem::from_forge(error, "password")?,
        }
    } else {
        Problem::of("again", "the new password is not the same in both fields")
    };
    let openers = state.forge.openers(&visit.actor).await?;
    draw_refused(&PasswordPage { shell: Shell::of(&visit), openers, draft: form.draft(problem) })
}
