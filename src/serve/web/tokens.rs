//! The visitor's access tokens. A secret is shown in the answer that made it and nowhere after.

use askama::Template;
use axum::extract::{Path, State};
use base::Secret;
use base::clock::Timestamp;
use base::name::RepoPath;
use forge::{NewToken, Scopes, TokenView};

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
    scopes: String,
    repositories: Option<String>,
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

/// An area that a token may open: the field's name, its words, what reading and writing it mean.
type Area = (&'static str, &'static str, &'static str, &'static str);

impl TokensPage {
    /// What the form offers: days and their words; the empty one is a token without an end.
    const LIFETIMES: [(&'static str, &'static str); 5] =
        [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "never")];

    /// The areas, as the API names them. That of administration is for administrators.
    const AREAS: [Area; 5] = [
        ("repository", "Repositories", "see, clone and fetch", "also push, make, change and delete"),
        ("issue", "Issues and pull requests", "see", "also write"),
        ("organization", "Organisations", "see them and their teams", "also change them"),
        ("user", "Your account", "see keys and profile", "also change them"),
        ("admin", "The site", "see what administrators see", "also administer"),
    ];

    fn areas(&self) -> impl Iterator<Item = &'static Area> {
        let shown = if self.shell.is_admin() { Self::AREAS.len() } else { Self::AREAS.len() - 1 };
        Self::AREAS.iter().take(shown)
    }
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

/// The form as it begins: reading repositories only, thirty days.
pub(crate) fn fresh() -> Draft {
    Draft::with(&[("repository", "read"), ("days", "30")])
}

/// The rows of the list.
pub(crate) fn rows(tokens: &[TokenView], now: Timestamp) -> Vec<TokenRow> {
    let row = |token: &TokenView| TokenRow {
        id: token.id,
        name: token.name.clone(),
        scopes: token.scopes.names().join(", "),
        repositories: token.repositories.as_ref().map(|paths| {
            let mut names: Vec<_> = paths.iter().map(ToString::to_string).collect();
            match token.hidden_repositories {
                0 => {}
                1 => names.push("one that you may not see".into()),
                more => names.push(format!("{more} that you may not see")),
            }
            if names.is_empty() { "none any more".into() } else { names.join(", ") }
        }),
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
    let levels = TokensPage::AREAS.iter().map(|(area, ..)| (*area, form.text(area)));
    let chosen: Vec<_> = levels.filter(|(_, level)| !level.is_empty()).map(|(area, l)| format!("{l}:{area}")).collect();
    let scopes =
        Scopes::parse(&chosen.join(",")).map_err(|name| Problem::of("scopes", format!("there is no area {name}")))?;
    let lines: Vec<_> =
        form.text("repositories").split([',', '\n']).map(str::trim).filter(|one| !one.is_empty()).collect();
    let paths: Result<Vec<_>, _> = lines.iter().map(|line| RepoPath::parse_joined(line)).collect();
    let paths = paths.map_err(|error| Problem::of("repositories", error.to_string()))?;
    let repositories = if paths.is_empty() { None } else { Some(paths) };
    Ok(NewToken { name: form.text("name").into(), scopes, repositories, days })
}
