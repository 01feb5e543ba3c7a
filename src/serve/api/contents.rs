//! Files and directories at a commit as JSON, content in base64; files as they are.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base::name::{Oid, RepoPath, TreePath};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::{ContentEntry, Contents, EntryKind, RawFile, RepoRead};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::immutable::immutable;
use super::input::{Asked, At};
use super::links::Links;
use super::refusal::{ApiResult, Refusal};
use crate::request::Peer;
use crate::state::AppState;
use crate::turns::Asker;
use crate::web::target::encode;

/// A file, a directory, a link or a submodule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContentsResponse {
    name: String,
    path: String,
    sha: String,
    /// Null when it was not found in time.
    last_commit_sha: Option<String>,
    /// `file`, `dir`, `symlink` or `submodule`.
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    /// `base64`, for one file that was asked for by its path.
    encoding: Option<String>,
    /// Base64, for one file of at most 16 MiB that was asked for by its path.
    content: Option<String>,
    /// Where a symbolic link leads.
    target: Option<String>,
    url: String,
    html_url: String,
    git_url: String,
    /// Where to get the file as it is.
    download_url: Option<String>,
    submodule_git_url: Option<String>,
    #[serde(rename = "_links")]
    links: FileLinksResponse,
}

/// Where else a file is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileLinksResponse {
    #[serde(rename = "self")]
    here: String,
    git: String,
    html: String,
}

impl ContentsResponse {
    pub(crate) fn of(links: Links<'_>, repo: &RepoPath, reference: &str, entry: &ContentEntry) -> Self {
        let path = &entry.path;
        let (kind, folder) = match entry.kind {
            EntryKind::Tree => ("dir", "trees"),
            EntryKind::File | EntryKind::Executable => ("file", "blobs"),
            EntryKind::Symlink => ("symlink", "blobs"),
            EntryKind::Submodule => ("submodule", "commits"),
        };
        let below = |view: &str| {
            links.repo_page(repo, &format!("/{view}/{}/{}", encode(reference.as_bytes()), encode(path.as_bytes())))
        };
        let url = links.contents(repo, path, reference);
        let git_url = links.repo(repo, &format!("/git/{folder}/{}", entry.id));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let content = entry.bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        let target = entry.bytes.as_deref().filter(|_| entry.kind == EntryKind::Symlink).map(text);
        Self {
            name: text(path.parts().last().unwrap_or_default()),
            path: text(path.as_bytes()),
            sha: entry.id.to_string(),
            last_commit_sha: entry.latest.as_ref().map(ToString::to_string),
            kind: kind.into(),
            size: entry.size,
            encoding: content.is_some().then(|| "base64".into()),
            content,
            target,
            html_url: below("src"),
            download_url: (kind == "file").then(|| links.raw(repo, path, reference)),
            submodule_git_url: None,
            links: FileLinksResponse { here: url.clone(), git: git_url.clone(), html: below("src") },
            url,
            git_url,
        }
    }
}

/// The path behind `contents/`, `raw/` and the like.
pub(crate) fn path(at: &At) -> Result<TreePath, Refusal> {
    TreePath::parse(at.text("filepath").trim_matches('/').as_bytes()).map_err(|_| Refusal::not_found())
}

/// `GET /repos/{owner}/{repo}/contents` and `…/contents/{filepath}`.
pub(crate) async fn show(State(state): State<AppState>, caller: Caller, at: At, asked: Asked) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.contents(&repo, asked.text("ref"), &path(&at)?).await;
    let (links, repo_path) = (Links::of(&state), &repo.summary().path);
    let reference = reference(&state, &repo, &asked).await?;
    let one = |entry: &ContentEntry| ContentsResponse::of(links, repo_path, &reference, entry);
    Ok(match found {
        Ok(Contents::One(entry)) => Json(one(&entry)).into_response(),
        Ok(Contents::Directory(entries)) => Json(entries.iter().map(one).collect::<Vec<_>>()).into_response(),
        // What is not there yet has no root either, and is no mistake of the caller's.
        Err(forge::Error::NotFound) if is_empty_root(&state, &repo, &at, &asked).await? => {
            Json(Vec::<ContentsResponse>::new()).into_response()
        }
        Err(error) => return Err(error.into()),
    })
}

/// `GET /repos/{owner}/{repo}/raw/{filepath}`.
pub(crate) async fn raw(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    asked: Asked,
    headers: HeaderMap,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let (path, id, file) = file(&state, &repo, &at, &asked).await?;
    Ok(immutable(&headers, Some(id.as_str()), || crate::web::raw::answer(&state, path.as_bytes(), file)))
}

/// `GET /repos/{owner}/{repo}/media/{filepath}`: as `raw`, but what a pointer of Git LFS stands for in its place.
pub(crate) async fn media(
    State(state): State<AppState>,
    (caller, Extension(peer)): (Caller, Extension<Peer>),
    at: At,
    asked: Asked,
    headers: HeaderMap,
) -> ApiResult {
    let repository = at.repo()?;
    let repo = state.forge.repo(&caller.actor, &repository).await?;
    let (path, id, file) = file(&state, &repo, &at, &asked).await?;
    let user = caller.actor.user().map(|user| user.id);
    let asker = Asker { user, from: peer.address(), repository: &repository };
    if let Some(response) = crate::web::raw::stood_for(&state, (&repo, &asker), path.as_bytes(), &file).await? {
        return Ok(response);
    }
    Ok(immutable(&headers, Some(id.as_str()), || crate::web::raw::answer(&state, path.as_bytes(), file)))
}

/// A file with its path and its object's id.
async fn file(state: &AppState, repo: &RepoRead, at: &At, asked: &Asked) -> Result<(TreePath, Oid, RawFile), Refusal> {
    let path = path(at)?;
    let reference = reference(state, repo, asked).await?;
    let revision = state.forge.revision(repo, &reference).await?;
    let id = state.forge.file_id(repo, &revision.commit, &path).await?;
    let file = state.forge.raw(repo, &[revision.commit.as_str().as_bytes(), b"/", path.as_bytes()].concat()).await?;
    Ok((path, id, file))
}

/// `GET /repos/{owner}/{repo}/archive/{archive}`.
pub(crate) async fn archive(State(state): State<AppState>, caller: Caller, at: At) -> Result<Response, Refusal> {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let archive = state.forge.archive(&repo, at.text("archive").as_bytes()).await?;
    Ok(crate::web::archive::answer(&state, archive))
}

/// The revision that is asked for: a branch, a tag or an object id.
async fn reference(state: &AppState, repo: &RepoRead, asked: &Asked) -> Result<String, Refusal> {
    let given = asked.text("ref");
    if !given.is_empty() {
        let whole = given.strip_prefix("refs/heads/").or_else(|| given.strip_prefix("refs/tags/"));
        return Ok(whole.unwrap_or(given).to_owned());
    }
    Ok(state.forge.default_branch(repo).await?.0.short().to_owned())
}

async fn is_empty_root(state: &AppState, repo: &RepoRead, at: &At, asked: &Asked) -> Result<bool, Refusal> {
    let has_nothing_said = at.text("filepath").is_empty() && asked.text("ref").is_empty();
    Ok(has_nothing_said && !state.forge.default_branch(repo).await?.1)
}
