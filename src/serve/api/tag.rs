//! Tags as JSON. Making one and taking one away are pushes like any other.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base::name::{RefName, RepoPath};
use forge::{RefKind, RefView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::commit::CommitMeta;
use super::input::{At, Page, Taken};
use super::links::{Links, moment};
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;
use crate::web::target::encode;

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tag {
    name: String,
    /// An annotated tag's message, or the commit's.
    message: String,
    /// The annotated tag's own object, or the commit.
    id: String,
    commit: CommitMeta,
    zipball_url: String,
    tarball_url: String,
}

/// A tag to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateTagOption {
    tag_name: String,
    /// What an annotated tag says; a plain tag is made, when absent.
    message: Option<String>,
    /// A branch or a commit that it is of; the default branch, when absent.
    target: Option<String>,
}

impl Tag {
    pub(crate) fn of(links: Links<'_>, repo: &RepoPath, view: &RefView) -> Self {
        let name = view.record.name.short();
        let archive = |ending: &str| links.repo(repo, &format!("/archive/{}.{ending}", encode(name.as_bytes())));
        let message = view.record.note.as_ref().map_or(&view.commit.message, |note| &note.message);
        Self {
            name: name.into(),
            message: message.trim_end().into(),
            id: view.record.target.to_string(),
            commit: CommitMeta {
                url: links.commit(repo, &view.commit.id),
                sha: view.commit.id.to_string(),
                created: moment(view.commit.committer.at),
            },
            zipball_url: archive("zip"),
            tarball_url: archive("tar.gz"),
        }
    }
}

/// The tag that a path names.
pub(crate) fn name(at: &At) -> Result<RefName, Refusal> {
    RefName::parse(&format!("refs/tags/{}", at.text("tag"))).map_err(|_| Refusal::not_found())
}

/// `GET /repos/{owner}/{repo}/tags`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.ref_views(&repo, RefKind::Tags, page.window()).await?;
    let path = &repo.summary().path;
    let rows: Vec<_> = found.rows.iter().map(|view| Tag::of(Links::of(&state), path, view)).collect();
    Ok(page.list(&rows, found.total))
}

/// `GET /repos/{owner}/{repo}/tags/{tag}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let view = state.forge.ref_view(&repo, &name(&at)?).await?;
    Ok(Json(Tag::of(Links::of(&state), &repo.summary().path, &view)).into_response())
}

/// `POST /repos/{owner}/{repo}/tags`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Taken(option): Taken<CreateTagOption>,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let name = RefName::parse(&format!("refs/tags/{}", option.tag_name)).map_err(forge::Error::from)?;
    let (from, message) = (option.target.unwrap_or_default(), option.message.unwrap_or_default());
    state.forge.create_ref(&caller.actor, &repo.clone().for_write()?, &name, (&from, &message)).await?;
    let view = state.forge.ref_view(&repo, &name).await?;
    Ok((StatusCode::CREATED, Json(Tag::of(Links::of(&state), &repo.summary().path, &view))).into_response())
}

/// `DELETE /repos/{owner}/{repo}/tags/{tag}`.
pub(crate) async fn remove(State(state): State<AppState>, caller: Caller, at: At) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?.for_write()?;
    state.forge.delete_ref(&caller.actor, &repo, &name(&at)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
