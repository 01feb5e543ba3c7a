//! What the maintainers and administrators of a repository may do with it as a whole.

use askama::Template;
use axum::extract::State;
use base::name::{OwnerName, RefName, RepoName, RepoPath};
use forge::{RepoChange, RepoFrame};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::frame::{At, RepoHead, Tab};
use super::listing::{visibility_of, visibility_word};
use super::page::{Shell, draw, draw_refused};
use super::target::{self, Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/repository-settings.html")]
pub(crate) struct RepositorySettingsPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) branches: Vec<String>,
    pub(crate) confirm_label: String,
    pub(crate) draft: Draft,
}

/// `GET /{owner}/{repo}/settings`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    repo.for_maintain()?;
    draw(&page(&visit, &frame, Draft::default()))
}

/// `POST /{owner}/{repo}/settings`: what the repository says of itself and, by an administrator, who may read it.
pub(crate) async fn change(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    let description = form.text("description");
    let changed = if frame.can_admin {
        let change = RepoChange { description: description.into(), visibility: visibility_of(form.text("visibility")) };
        state.forge.change_repo(&repo.for_admin()?, change).await
    } else {
        state.forge.describe_repo(&repo.for_maintain()?, description).await
    };
    shown(&visit, &frame, &form, changed.map(|()| Notice::Saved), "description")
}

/// `POST /{owner}/{repo}/settings/default-branch`.
pub(crate) async fn default_branch(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    let repo = repo.for_maintain()?;
    let changed = match RefName::branch(form.text("branch")) {
        Ok(branch) => state.forge.set_default_branch(&repo, &branch).await,
        Err(error) => Err(error.into()),
    };
    shown(&visit, &frame, &form, changed.map(|()| Notice::Saved), "branch")
}

/// `POST /{owner}/{repo}/settings/rename`.
pub(crate) async fn rename(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    let repo = repo.for_admin()?;
    let renamed = match RepoName::parse(form.text("name").trim()) {
        Ok(name) => state.forge.rename_repo(&repo, name).await,
        Err(error) => Err(error.into()),
    };
    moved(&visit, &frame, &form, renamed, "name")
}

/// `POST /{owner}/{repo}/settings/transfer`.
pub(crate) async fn transfer(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    let repo = repo.for_admin()?;
    let given = match OwnerName::parse(form.text("owner").trim()) {
        Ok(owner) => state.forge.transfer_repo(&visit.actor, &repo, &owner).await,
        Err(error) => Err(error.into()),
    };
    moved(&visit, &frame, &form, given, "owner")
}

/// `POST /{owner}/{repo}/settings/delete`, with the repository's name typed out.
pub(crate) async fn delete(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    let repo = repo.for_admin()?;
    if !is_confirmed(form.text("confirm"), &frame.repo.path) {
        let draft = form.draft(Problem::of("confirm", format!("type {} to delete it", frame.repo.path)));
        return draw_refused(&page(&visit, &frame, draft));
    }
    state.forge.delete_repo(repo).await?;
    Ok(redirect(&Target::Start(Some(Notice::RepositoryDeleted))))
}

/// The settings' page.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, draft: Draft) -> RepositorySettingsPage {
    let now = Draft::with(&[
        ("description", frame.repo.description.as_str()),
        ("visibility", visibility_word(frame.repo.visibility)),
        ("branch", frame.default_branch.short()),
        ("name", frame.repo.path.name.as_str()),
    ]);
    RepositorySettingsPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Settings, None),
        branches: frame.branches.iter().map(|branch| branch.short().to_owned()).collect(),
        confirm_label: format!("Type {} to confirm", frame.repo.path),
        draft: draft.over(now),
    }
}

fn moved(
    visit: &Visit,
    frame: &RepoFrame,
    form: &Form,
    done: Result<RepoPath, forge::Error>,
    field: &'static str,
) -> PageResult {
    match done {
        Ok(path) => Ok(redirect(&Target::Page(target::repository(&path), Notice::Moved))),
        Err(error) => draw_refused(&page(visit, frame, form.draft(Problem::from_forge(error, field)?))),
    }
}

fn shown(
    visit: &Visit,
    frame: &RepoFrame,
    form: &Form,
    done: Result<Notice, forge::Error>,
    field: &'static str,
) -> Result<axum::response::Response, Failure> {
    let here = format!("{}/settings", target::repository(&frame.repo.path));
    match done {
        Ok(notice) => Ok(redirect(&Target::Page(here, notice))),
        Err(error) => draw_refused(&page(visit, frame, form.draft(Problem::from_forge(error, field)?))),
    }
}

fn is_confirmed(typed: &str, path: &RepoPath) -> bool {
    typed.trim() == path.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_name_confirms() {
        let path = RepoPath::parse("alice", "notes").unwrap();
        assert!(is_confirmed(" alice/notes ", &path));
        for typed in ["", "notes", "Alice/Notes", "alice/notes2"] {
            assert!(!is_confirmed(typed, &path), "{typed}");
        }
    }
}
