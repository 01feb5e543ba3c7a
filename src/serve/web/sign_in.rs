//! Signing in, as far as the password goes, and out.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use forge::{Error, Origin, SignIn};

use super::agent;
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

impl Next {
    /// Where to go on to.
    pub(crate) fn path(&self) -> LocalPath {
        LocalPath::parse(&self.next).unwrap_or_else(LocalPath::start)
    }
}

/// `GET /sign-in`.
pub(crate) async fn show(visit: Visit, Query(query): Query<Next>) -> PageResult {
    let next = query.path();
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
    headers: HeaderMap,
    form: OpenForm,
) -> PageResult {
    let next = LocalPath::parse(form.text("next")).unwrap_or_else(LocalPath::start);
    let origin = Origin { address: Some(peer.address()), request: Some(visit.request.clone()) };
    let agent = agent::family(&headers);
    match state.forge.begin_sign_in(form.text("name"), &form.secret("password"), origin, &agent).await {
        Ok(SignIn::Done(signed_in)) => {
            // Whoever was signed in at this browser is no longer.
            state.forge.sign_out(&visit.actor).await?;
            with_cookie(redirect(&Target::Back(next)), &visit::cookie(&state, &signed_in))
        }
        Ok(SignIn::Waiting(waiting)) => {
            with_cookie(redirect(&Target::SecondFactor(next)), &visit::waiting_cookie(&state, &waiting))
        }
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

/// An answer that also sets a cookie.
pub(crate) fn with_cookie(mut response: Response, cookie: &str) -> PageResult {
    let value = HeaderValue::from_str(cookie).map_err(|error| Failure::Internal(Box::new(error)))?;
    response.headers_mut().append(SET_COOKIE, value);
    Ok(response)
}
