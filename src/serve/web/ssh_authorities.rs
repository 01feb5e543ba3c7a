//! Authorities whose SSH certificates the site takes. For administrators; the forge tells everyone else that there is no
//! such page.

use askama::Template;
use axum::extract::{Path, State};
use base::clock::Timestamp;
use forge::SshAuthorityView;

use super::failure::{PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::moment;
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// An authority in the list.
pub(crate) struct AuthorityRow {
    id: i64,
    title: String,
    kind: String,
    fingerprint: String,
    created: String,
}

#[derive(Template)]
#[template(path = "pages/ssh-authorities.html")]
pub(crate) struct SshAuthoritiesPage {
    pub(crate) shell: Shell,
    pub(crate) authorities: Vec<AuthorityRow>,
    pub(crate) draft: Draft,
}

/// `GET /admin/ssh-authorities`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let authorities = state.forge.ssh_authorities(&visit.actor).await?;
    draw(&page(&visit, &authorities, Draft::default()))
}

/// `POST /admin/ssh-authorities`.
pub(crate) async fn add(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let Err(error) = state.forge.add_ssh_authority(&visit.actor, form.text("title"), form.text("key")).await else {
        return Ok(redirect(&Target::SshAuthorities(Notice::AuthorityAdded)));
    };
    let draft = form.draft(Problem::from_forge(error, "title")?);
    let authorities = state.forge.ssh_authorities(&visit.actor).await?;
    draw_refused(&page(&visit, &authorities, draft))
}

/// `POST /admin/ssh-authorities/{id}/delete`.
pub(crate) async fn remove(State(state): State<AppState>, visit: Visit, Path(id): Path<i64>, _: Form) -> PageResult {
    state.forge.remove_ssh_authority(&visit.actor, id).await?;
    Ok(redirect(&Target::SshAuthorities(Notice::AuthorityRemoved)))
}

/// The page with these authorities.
pub(crate) fn page(visit: &Visit, authorities: &[SshAuthorityView], draft: Draft) -> SshAuthoritiesPage {
    let authorities = authorities.iter().map(|authority| row(authority, visit.now)).collect();
    SshAuthoritiesPage { shell: Shell::of(visit), authorities, draft }
}

fn row(authority: &SshAuthorityView, now: Timestamp) -> AuthorityRow {
    AuthorityRow {
        id: authority.id,
        title: authority.title.clone(),
        kind: authority.kind.clone(),
        fingerprint: authority.fingerprint.clone(),
        created: moment::ago(authority.created, now),
    }
}
