//! Signing in and out.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use forge::{Error, Origin};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Form, OpenForm, Problem};
use super::page::{Shell, draw, draw_refused};
use super::target::{LocalPath, Target};
use super::visit::{self, Visit};
use crate::request::Peer;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/sign-in.html")]
pub(crate) struct SignInPage {
    pub(crate) shell: Shell,
    pub(crate) draft: Draft,
    pub(crate) next: String,
}

/// What `/sign-in` may carry.
#[derive(serde::Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`.
pub(crate) async fn show(visit: Visit, Query(query): Query<Next>) -> PageResult {
    let next = LocalPath::parse(&query.next).unwrap_or_else(LocalPath::start);
    if visit.actor.user().is_some() {
        return Ok(redirect(&Target::Back(next)));
    }
    draw(&SignInPage { shell: Shell::of(&visit), draft: Draft::default(), next: next.as_str().into() })
}

/// `POST /sign-in`.
pub(crate) async fn submit(
    State(state): State<AppState>,
    Extension(peer): Extension<Peer>,
    visit: Visit,
    form: OpenForm,
) -> PageResult {
    let next = LocalPath::parse(form.text("next")).unwrap_or_else(LocalPath::start);
    let origin = Origin { address: Some(peer.address()), request: Some(visit.request.clone()) };
    match state.forge.sign_in(form.text("name"), &form.secret("password"), origin).await {
        Ok(signed_in) => with_cookie(redirect(&Target::Back(next)), &visit::cookie(&state, &signed_in)),
        Err(Error::SignInRefused | Error::Name(_)) => {
            let draft = form.draft(Problem::of_form(Error::SignInRefused.to_string()));
            draw_refused(&SignInPage { shell: Shell::of(&visit), draft, next: next.as_str().into() })
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /sign-out`.
pub(crate) async fn leave(State(state): State<AppState>, visit: Visit, _: Form) -> PageResult {
    state.forge.sign_out(&visit.actor).await?;
    with_cookie(redirect(&Target::Start(None)), &visit::ended_cookie(&state))
}

fn with_cookie(mut response: Response, cookie: &str) -> PageResult {
    let value = HeaderValue::from_str(cookie).map_err(|error| Failure::Internal(Box::new(error)))?;
    response.headers_mut().append(SET_COOKIE, value);
    Ok(response)
}
