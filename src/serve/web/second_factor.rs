//! The step between a right password and a session. Nobody is signed in here: the page knows a sign-in that waits, by a
//! cookie that opens nothing else.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use forge::{Error, KeyAnswer, KeyQuestion, Origin, SecondFactor, WaitingView};

use super::agent;
use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, OpenForm, Problem};
use super::page::{Shell, draw, draw_refused};
use super::sign_in::{Next, with_cookie};
use super::target::{LocalPath, Target};
use super::visit::{self, Visit};
use crate::request::Peer;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/second-factor.html")]
pub(crate) struct SecondFactorPage {
    pub(crate) shell: Shell,
    pub(crate) draft: Draft,
    pub(crate) next: String,
    pub(crate) has_app: bool,
    pub(crate) question: Option<KeyQuestion>,
}

/// `GET /sign-in/second-factor`.
pub(crate) async fn show(
    State(state): State<AppState>,
    visit: Visit,
    Query(query): Query<Next>,
    headers: HeaderMap,
) -> PageResult {
    let next = query.path();
    match waiting(&state, &headers).await? {
        Some((_, waiting)) => draw(&page(&visit, waiting, &next, Draft::default())),
        None => Ok(redirect(&Target::SignIn(next))),
    }
}

/// `POST /sign-in/second-factor`.
pub(crate) async fn submit(
    State(state): State<AppState>,
    Extension(peer): Extension<Peer>,
    visit: Visit,
    headers: HeaderMap,
    form: OpenForm,
) -> PageResult {
    let next = LocalPath::parse(form.text("next")).unwrap_or_else(LocalPath::start);
    let Some((token, waiting)) = waiting(&state, &headers).await? else {
        return Ok(redirect(&Target::SignIn(next)));
    };
    if !form.carries(&waiting.csrf) {
        return Err(Failure::ForeignForm);
    }
    let (code, key) = (form.secret("code"), key_answer(&form));
    let answer = if key.credential.is_empty() { SecondFactor::Code(&code) } else { SecondFactor::Key(&key) };
    let origin = Origin { address: Some(peer.address()), request: Some(visit.request.clone()) };
    match state.forge.finish_sign_in(&token, answer, origin, &agent::family(&headers)).await {
        Ok(signed_in) => {
            // Whoever was signed in at this browser is no longer.
            state.forge.sign_out(&visit.actor).await?;
            let response = with_cookie(redirect(&Target::Back(next)), &visit::cookie(&state, &signed_in))?;
            with_cookie(response, &visit::ended_waiting_cookie(&state))
        }
        Err(Error::SignInNeeded) => Ok(redirect(&Target::SignIn(next))),
        Err(Error::SignInRefused) => {
            let problem = Problem::of_form("that was not it, or it was used before; wait for the next code");
            draw_refused(&page(&visit, waiting, &next, form.draft(problem)))
        }
        Err(other) => Err(other.into()),
    }
}

/// The page for a sign-in that waits.
pub(crate) fn page(visit: &Visit, waiting: WaitingView, next: &LocalPath, draft: Draft) -> SecondFactorPage {
    let visit = Visit { csrf: Some(waiting.csrf), ..visit.clone() };
    SecondFactorPage {
        shell: Shell::of(&visit),
        draft,
        next: next.as_str().into(),
        has_app: waiting.has_app,
        question: waiting.keys,
    }
}

async fn waiting(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Option<(base::Secret<String>, WaitingView)>, Failure> {
    let Some(token) = visit::waiting_token(state, headers) else { return Ok(None) };
    Ok(state.forge.waiting(&token).await?.map(|waiting| (token, waiting)))
}

fn key_answer(form: &OpenForm) -> KeyAnswer {
    KeyAnswer {
        credential: form.text("credential").into(),
        client_data: form.text("client_data").into(),
        authenticator_data: form.text("authenticator_data").into(),
        signature: form.text("signature").into(),
    }
}
