//! The visitor's SSH keys.

use askama::Template;
use axum::extract::{Path, State};
use base::clock::Timestamp;
use forge::SshKeyView;

use super::failure::{PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::moment;
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// A key in the list.
pub(crate) struct KeyRow {
    id: i64,
    title: String,
    kind: String,
    fingerprint: String,
    created: String,
    used: String,
}

#[derive(Template)]
#[template(path = "pages/keys.html")]
pub(crate) struct KeysPage {
    pub(crate) shell: Shell,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) draft: Draft,
}

/// `GET /settings/keys`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let keys = state.forge.ssh_keys(&visit.actor).await?;
    draw(&KeysPage { shell: Shell::of(&visit), keys: rows(&keys, visit.now), draft: Draft::default() })
}

/// `POST /settings/keys`.
pub(crate) async fn add(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let Err(error) = state.forge.add_ssh_key(&visit.actor, form.text("title"), form.text("key")).await else {
        return Ok(redirect(&Target::Keys(Notice::KeyAdded)));
    };
    let draft = form.draft(Problem::from_forge(error, "title")?);
    let keys = state.forge.ssh_keys(&visit.actor).await?;
    draw_refused(&KeysPage { shell: Shell::of(&visit), keys: rows(&keys, visit.now), draft })
}

/// `POST /settings/keys/{id}/delete`.
pub(crate) async fn remove(State(state): State<AppState>, visit: Visit, Path(id): Path<i64>, _: Form) -> PageResult {
    state.forge.remove_ssh_key(&visit.actor, id).await?;
    Ok(redirect(&Target::Keys(Notice::KeyRemoved)))
}

/// The rows of the list.
pub(crate) fn rows(keys: &[SshKeyView], now: Timestamp) -> Vec<KeyRow> {
    let row = |key: &SshKeyView| KeyRow {
        id: key.id,
        title: key.title.clone(),
        kind: key.kind.clone(),
        fingerprint: key.fingerprint.clone(),
        created: moment::ago(key.created, now),
        used: moment::ago_or_never(key.used, now),
    };
    keys.iter().map(row).collect()
}
