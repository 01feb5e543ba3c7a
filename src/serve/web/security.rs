//! The visitor's second factor and sessions. Secrets and codes are shown in the answer that made them and nowhere after;
//! whatever changes a factor moves the session to another token.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use base::Secret;
use base::clock::Timestamp;
use forge::{Enrolment, Error, NewKeyQuestion, SecondFactorView, SessionView, SignedIn, Strengthened};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::page::{Shell, draw, draw_refused};
use super::sign_in::with_cookie;
use super::target::{Notice, Target};
use super::visit::{self, Visit};
use super::{moment, quick_code};
use crate::state::AppState;

/// A security key in the list.
pub(crate) struct KeyRow {
    id: i64,
    name: String,
    created: String,
    used: String,
}

/// A session in the list.
pub(crate) struct SessionRow {
    id: String,
    agent: String,
    address: String,
    created: String,
    seen: String,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "pages/security.html")]
pub(crate) struct SecurityPage {
    shell: Shell,
    draft: Draft,
    app: Option<String>,
    keys: Vec<KeyRow>,
    codes: i64,
    is_fresh: bool,
    can_have_keys: bool,
    sessions: Vec<SessionRow>,
}

#[derive(Template)]
#[template(path = "pages/authenticator.html")]
pub(crate) struct AuthenticatorPage {
    shell: Shell,
    draft: Draft,
    picture: String,
    enrolment: Enrolment,
}

#[derive(Template)]
#[template(path = "pages/new-security-key.html")]
pub(crate) struct NewKeyPage {
    shell: Shell,
    asked: NewKeyQuestion,
}

#[derive(Template)]
#[template(path = "pages/recovery-codes.html")]
pub(crate) struct CodesPage {
    shell: Shell,
    codes: Vec<Secret<String>>,
}

/// `GET /settings/security`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    draw(&found(&state, &visit, Draft::default()).await?)
}

/// `POST /settings/security/confirm`: the password once more, before changes.
pub(crate) async fn confirm(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    match state.forge.prove(&visit.actor, &form.secret("password")).await {
        Ok(signed_in) => moved(&state, &signed_in, redirect(&Target::Security(Some(Notice::Proved)))),
        Err(error) => refused(&state, &visit, &form, error).await,
    }
}

/// `POST /settings/security/app`: begins to set up an authenticator app.
pub(crate) async fn begin_app(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    match state.forge.begin_authenticator(&visit.actor).await {
        Ok(enrolment) => draw(&app_page(&visit, enrolment, Draft::default())?),
        Err(error) => refused(&state, &visit, &form, error).await,
    }
}

/// `POST /settings/security/app/confirm`: the first code.
pub(crate) async fn confirm_app(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    match state.forge.confirm_authenticator(&visit.actor, form.text("code")).await {
        Ok(done) => strengthened(&state, &visit, done, Notice::AppAdded),
        Err(Error::Field { field, problem }) => {
            let enrolment = state.forge.begun_authenticator(&visit.actor).await?.ok_or(Failure::NotFound)?;
            draw_refused(&app_page(&visit, enrolment, form.draft(Problem::of(field, format!("{field} {problem}"))))?)
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /settings/security/app/remove`.
pub(crate) async fn remove_app(State(state): State<AppState>, visit: Visit, _: Form) -> PageResult {
    let signed_in = state.forge.remove_authenticator(&visit.actor).await?;
    moved(&state, &signed_in, redirect(&Target::Security(Some(Notice::FactorRemoved))))
}

/// `POST /settings/security/codes`: new recovery codes.
pub(crate) async fn renew_codes(State(state): State<AppState>, visit: Visit, _: Form) -> PageResult {
    let codes = state.forge.renew_recovery_codes(&visit.actor).await?;
    draw(&codes_page(&visit, codes))
}

/// `POST /settings/security/keys/new`: begins to add a security key.
pub(crate) async fn begin_key(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    match state.forge.begin_security_key(&visit.actor).await {
        Ok(asked) => draw(&new_key_page(&visit, asked)),
        Err(error) => refused(&state, &visit, &form, error).await,
    }
}

/// `POST /settings/security/keys`: what the key answered.
pub(crate) async fn add_key(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let (name, client_data) = (form.text("name"), form.text("client_data"));
    match state.forge.add_security_key(&visit.actor, name, client_data, form.text("attestation")).await {
        Ok(done) => strengthened(&state, &visit, done, Notice::SecurityKeyAdded),
        Err(error) => refused(&state, &visit, &form, error).await,
    }
}

/// `POST /settings/security/keys/{id}/rename`.
pub(crate) async fn rename_key(
    State(state): State<AppState>,
    visit: Visit,
    Path(id): Path<i64>,
    form: Form,
) -> PageResult {
    match state.forge.rename_security_key(&visit.actor, id, form.text("name")).await {
        Ok(()) => Ok(redirect(&Target::Security(Some(Notice::SecurityKeyRenamed)))),
        Err(error) => refused(&state, &visit, &form, error).await,
    }
}

/// `POST /settings/security/keys/{id}/remove`.
pub(crate) async fn remove_key(
    State(state): State<AppState>,
    visit: Visit,
    Path(id): Path<i64>,
    _: Form,
) -> PageResult {
    let signed_in = state.forge.remove_security_key(&visit.actor, id).await?;
    moved(&state, &signed_in, redirect(&Target::Security(Some(Notice::FactorRemoved))))
}

/// `POST /settings/security/sessions/{id}/end`.
pub(crate) async fn end_session(
    State(state): State<AppState>,
    visit: Visit,
    Path(id): Path<String>,
    _: Form,
) -> PageResult {
    state.forge.end_session(&visit.actor, &id).await?;
    Ok(redirect(&Target::Security(Some(Notice::SessionsEnded))))
}

/// `POST /settings/security/sessions/end-others`.
pub(crate) async fn end_others(State(state): State<AppState>, visit: Visit, _: Form) -> PageResult {
    state.forge.end_other_sessions(&visit.actor).await?;
    Ok(redirect(&Target::Security(Some(Notice::SessionsEnded))))
}

/// The page of an account.
pub(crate) fn page(visit: &Visit, factor: SecondFactorView, sessions: &[SessionView], draft: Draft) -> SecurityPage {
    let keys = factor.keys.into_iter().map(|key| KeyRow {
        id: key.id,
        name: key.name,
        created: moment::ago(key.created, visit.now),
        used: moment::ago_or_never(key.used, visit.now),
    });
    SecurityPage {
        shell: Shell::of(visit),
        draft,
        app: factor.app.map(|since| moment::ago(since, visit.now)),
        keys: keys.collect(),
        codes: factor.codes,
        is_fresh: factor.is_fresh,
        can_have_keys: factor.can_have_keys,
        sessions: sessions.iter().map(|session| row(session, visit.now)).collect(),
    }
}

/// The page on which an app learns its secret.
pub(crate) fn app_page(visit: &Visit, enrolment: Enrolment, draft: Draft) -> Result<AuthenticatorPage, Failure> {
    let picture = quick_code::picture(enrolment.address.expose(), "QR code for your authenticator app")?;
    Ok(AuthenticatorPage { shell: Shell::of(visit), draft, picture, enrolment })
}

/// The page on which a key is touched.
pub(crate) fn new_key_page(visit: &Visit, asked: NewKeyQuestion) -> NewKeyPage {
    NewKeyPage { shell: Shell::of(visit), asked }
}

/// The page that shows recovery codes, once.
pub(crate) fn codes_page(visit: &Visit, codes: Vec<Secret<String>>) -> CodesPage {
    CodesPage { shell: Shell::of(visit), codes }
}

fn row(session: &SessionView, now: Timestamp) -> SessionRow {
    SessionRow {
        id: session.id.clone(),
        agent: session.agent.clone(),
        address: session.address.clone(),
        created: moment::ago(session.created, now),
        seen: moment::ago(session.seen, now),
        is_this: session.is_this,
    }
}

async fn found(state: &AppState, visit: &Visit, draft: Draft) -> Result<SecurityPage, Failure> {
    let factor = state.forge.second_factor(&visit.actor).await?;
    let sessions = state.forge.own_sessions(&visit.actor).await?;
    Ok(page(visit, factor, &sessions, draft))
}

/// The page again, with what is wrong.
async fn refused(state: &AppState, visit: &Visit, form: &Form, error: Error) -> PageResult {
    let draft = form.draft(match error {
        Error::Field { field: "password", problem } => Problem::of("password", format!("this {problem}")),
        Error::Field { field, problem } => Problem::of_form(format!("the {field} {problem}")),
        other => return Err(other.into()),
    });
    draw_refused(&found(state, visit, draft).await?)
}

/// The answer after a factor was added: the codes that were made with the first one, or the page.
fn strengthened(state: &AppState, visit: &Visit, done: Strengthened, notice: Notice) -> PageResult {
    let response = if done.codes.is_empty() {
        redirect(&Target::Security(Some(notice)))
    } else {
        let visit = Visit { csrf: Some(done.signed_in.csrf()), ..visit.clone() };
        draw(&codes_page(&visit, done.codes))?
    };
    moved(state, &done.signed_in, response)
}

/// An answer that moves the browser to the session's new token.
fn moved(state: &AppState, signed_in: &SignedIn, response: Response) -> PageResult {
    with_cookie(response, &visit::cookie(state, signed_in))
}
