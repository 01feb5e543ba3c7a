//! Whom a repository is opened to besides its owner: collaborators, teams, and the keys of machines.

use askama::Template;
use axum::extract::{Path, State};
use base::clock::Timestamp;
use base::name::OwnerName;
use forge::{Access, CollaboratorView, DeployKeyView, RepoAdmin, RepoFrame, TeamView};

use super::failure::{PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::frame::{At, RepoHead, Tab};
use super::moment;
use super::page::{Shell, draw, draw_refused};
use super::target::{self, Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/repository-access.html")]
pub(crate) struct AccessPage {
    shell: Shell,
    repo: RepoHead,
    collaborators: Vec<CollaboratorView>,
    teams: Vec<TeamView>,
    draft: Draft,
}

/// A deploy key in the list.
pub(crate) struct KeyRow {
    id: i64,
    title: String,
    fingerprint: String,
    can_write: bool,
    created: String,
    used: String,
}

#[derive(Template)]
#[template(path = "pages/repository-keys.html")]
pub(crate) struct KeysPage {
    shell: Shell,
    repo: RepoHead,
    keys: Vec<KeyRow>,
    draft: Draft,
}

/// `GET /{owner}/{repo}/settings/access`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let (repo, frame) = fetched(&state, &visit, &at).await?;
    draw(&access_page(&state, &visit, (&repo, &frame), Draft::default()).await?)
}

/// `POST /{owner}/{repo}/settings/access`: lets a user in, or changes what one may do.
pub(crate) async fn set(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let (repo, frame) = fetched(&state, &visit, &at).await?;
    let level = Access::granted(form.text("level")).unwrap_or(Access::None);
    let done = match OwnerName::parse(form.text("user").trim()) {
        Ok(user) => state.forge.set_collaborator(&repo, &user, level).await,
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => Ok(redirect(&here(&frame, "access", Notice::Saved))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "user")?);
            draw_refused(&access_page(&state, &visit, (&repo, &frame), draft).await?)
        }
    }
}

/// `POST /{owner}/{repo}/settings/access/remove`.
pub(crate) async fn remove(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let (repo, frame) = fetched(&state, &visit, &at).await?;
    state.forge.remove_collaborator(&repo, &OwnerName::parse(form.text("user").trim())?).await?;
    Ok(redirect(&here(&frame, "access", Notice::Removed)))
}

/// `GET /{owner}/{repo}/settings/keys`.
pub(crate) async fn keys(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let (repo, frame) = fetched(&state, &visit, &at).await?;
    let keys = state.forge.deploy_keys(&repo).await?;
    draw(&keys_page(&visit, &frame, &keys, Draft::default()))
}

/// `POST /{owner}/{repo}/settings/keys`.
pub(crate) async fn add_key(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let (repo, frame) = fetched(&state, &visit, &at).await?;
    let can_write = form.text("can_write") == "yes";
    match state.forge.add_deploy_key(&repo, form.text("title"), form.text("key"), can_write).await {
        Ok(_) => Ok(redirect(&here(&frame, "keys", Notice::KeyAdded))),
        Err(error) => {
            let draft = form.draft(Problem::from_forge(error, "title")?);
            let keys = state.forge.deploy_keys(&repo).await?;
            draw_refused(&keys_page(&visit, &frame, &keys, draft))
        }
    }
}

/// `POST /{owner}/{repo}/settings/keys/{id}/delete`.
pub(crate) async fn remove_key(
    State(state): State<AppState>,
    visit: Visit,
    at: At,
    Path((_, _, id)): Path<(String, String, i64)>,
    _: Form,
) -> PageResult {
    let (repo, frame) = fetched(&state, &visit, &at).await?;
    state.forge.remove_deploy_key(&repo, id).await?;
    Ok(redirect(&here(&frame, "keys", Notice::KeyRemoved)))
}

async fn fetched(state: &AppState, visit: &Visit, at: &At) -> Result<(RepoAdmin, RepoFrame), forge::Error> {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    Ok((repo.for_admin()?, frame))
}

fn here(frame: &RepoFrame, part: &str, notice: Notice) -> Target {
    Target::Page(format!("{}/settings/{part}", target::repository(&frame.repo.path)), notice)
}

async fn access_page(
    state: &AppState,
    visit: &Visit,
    (repo, frame): (&RepoAdmin, &RepoFrame),
    draft: Draft,
) -> Result<AccessPage, forge::Error> {
    let (collaborators, teams) = (state.forge.collaborators(repo).await?, state.forge.repo_teams(repo).await?);
    Ok(drawn(visit, frame, (collaborators, teams), draft))
}

/// The page of collaborators and teams.
pub(crate) fn drawn(
    visit: &Visit,
    frame: &RepoFrame,
    (collaborators, teams): (Vec<CollaboratorView>, Vec<TeamView>),
    draft: Draft,
) -> AccessPage {
    let (shell, repo) = (Shell::of(visit), RepoHead::of(frame, Tab::Settings, None));
    AccessPage { shell, repo, collaborators, teams, draft: draft.over(Draft::with(&[("level", "read")])) }
}

/// The page of deploy keys.
pub(crate) fn keys_page(visit: &Visit, frame: &RepoFrame, keys: &[DeployKeyView], draft: Draft) -> KeysPage {
    let keys = keys.iter().map(|key| row(key, visit.now)).collect();
    KeysPage { shell: Shell::of(visit), repo: RepoHead::of(frame, Tab::Settings, None), keys, draft }
}

fn row(key: &DeployKeyView, now: Timestamp) -> KeyRow {
    KeyRow {
        id: key.id,
        title: key.title.clone(),
        fingerprint: key.fingerprint.clone(),
        can_write: key.can_write,
        created: moment::ago(key.created, now),
        used: moment::ago_or_never(key.used, now),
    }
}
