//! The visitor's access tokens. A secret is shown in the answer that made it and nowhere after.

use askama::Template;
use axum::extract::{Path, State};
use base::Secret;
use base::clock::Timestamp;
use forge::{NewToken, TokenView};

use super::failure::{PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::moment;
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// A token in the list.
pub(crate) struct TokenRow {
    id: i64,
    name: String,
    can_write: bool,
    is_over: bool,
    created: String,
    expires: String,
    used: String,
}

#[derive(Template)]
#[template(path = "pages/tokens.html")]
pub(crate) struct TokensPage {
    pub(crate) shell: Shell,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) secret: Option<Secret<String>>,
    pub(crate) draft: Draft,
}

impl TokensPage {
    /// What the form offers: days and their words; the empty one is a token without an end.
    const LIFETIMES: [(&'static str, &'static str); 5] =
        [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "never")];
}

/// `GET /settings/tokens`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let tokens = rows(&state.forge.tokens(&visit.actor).await?, visit.now);
    draw(&TokensPage { shell: Shell::of(&visit), tokens, secret: None, draft: fresh() })
}

/// `POST /settings/tokens`: the page with the secret, or with what does not fit.
pub(crate) async fn create(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let made = match wanted(&form) {
        Ok(new) => {
            state.forge.create_token(&visit.actor, new).await.map_err(|error| Problem::from_forge(error, "name"))
        }
        Err(problem) => Err(Ok(problem)),
    };
    let tokens = rows(&state.forge.tokens(&visit.actor).await?, visit.now);
    let shell = Shell::of(&visit);
    match made {
        Ok((_, secret)) => draw(&TokensPage { shell, tokens, secret: Some(secret), draft: fresh() }),
        Err(problem) => draw_refused(&TokensPage { shell, tokens, secret: None, draft: form.draft(problem?) }),
    }
}

/// `POST /settings/tokens/{id}/delete`.
pub(crate) async fn end(State(state): State<AppState>, visit: Visit, Path(id): Path<i64>, _: Form) -> PageResult {
    state.forge.revoke_token(&visit.actor, id).await?;
    Ok(redirect(&Target::Tokens(Notice::TokenEnded)))
}

/// The form as it begins: reading only, thirty days.
pub(crate) fn fresh() -> Draft {
    Draft::with(&[("scope", "read"), ("days", "30")])
}

/// The rows of the list.
pub(crate) fn rows(tokens: &[TokenView], now: Timestamp) -> Vec<TokenRow> {
    let row = |token: &TokenView| TokenRow {
        id: token.id,
        name: token.name.clone(),
        can_write: token.can_write,
        is_over: token.expires.is_some_and(|end| end <= now),
        created: moment::ago(token.created, now),
        expires: moment::ago_or_never(token.expires, now),
        used: moment::ago_or_never(token.used, now),
    };
    tokens.iter().map(row).collect()
}

fn wanted(form: &Fields) -> Result<NewToken, Problem> {
    let days = match form.text("days") {
        "" => None,
        text => Some(text.parse().map_err(|_| Problem::of("days", "choose how long the token lives"))?),
    };
    Ok(NewToken { name: form.text("name").into(), can_write: form.text("scope") == "write", days })
}
