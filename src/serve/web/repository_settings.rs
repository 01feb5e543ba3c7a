//! What the owner of a repository may do with it as a whole.

use askama::Template;
use axum::extract::State;
use base::name::RepoPath;
use forge::RepoFrame;

use super::failure::{PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::frame::{At, RepoHead, Tab};
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/repository-settings.html")]
pub(crate) struct RepositorySettingsPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) confirm_label: String,
    pub(crate) draft: Draft,
}

/// `GET /{owner}/{repo}/settings`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    repo.for_admin()?;
    draw(&page(&visit, &frame, Draft::default()))
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
    RepositorySettingsPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Settings, None),
        confirm_label: format!("Type {} to confirm", frame.repo.path),
        draft,
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
