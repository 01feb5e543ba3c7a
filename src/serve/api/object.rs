//! Git's own objects by their ids: trees, blobs, refs, annotated tags.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use base::name::{Oid, RepoPath};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::{RefRecord, Stretch, TagRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::commit::CommitUser;
use super::immutable::immutable;
use super::input::{Asked, At, Page};
use super::links::Links;
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;

/// Entries of a tree on a page, at most.
const ENTRIES: usize = 1_000;

/// What of a mode says what an entry is.
const KIND: u16 = 0o170_000;
const TREE: u16 = 0o040_000;
const SUBMODULE: u16 = 0o160_000;

/// A page of a tree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GitTreeResponse {
    sha: String,
    url: String,
    tree: Vec<GitEntry>,
    /// Says whether there are more entries than on this page.
    truncated: bool,
    page: usize,
    total_count: usize,
}

/// An entry of a tree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GitEntry {
    path: String,
    /// As in `100644`.
    mode: String,
    /// `blob`, `tree` or `commit`.
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    sha: String,
    url: String,
}

/// A blob.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GitBlobResponse {
    sha: String,
    url: String,
    size: u64,
    /// `base64`; null for a blob of more than 16 MiB.
    encoding: Option<String>,
    /// Null for a blob of more than 16 MiB.
    content: Option<String>,
}

/// A branch or a tag as Git has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reference {
    /// As in `refs/heads/main`.
    #[serde(rename = "ref")]
    name: String,
    url: String,
    object: GitObject,
}

/// What a ref or a tag names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GitObject {
    /// `commit`, `tag` or `tree`.
    #[serde(rename = "type")]
    kind: String,
    sha: String,
    url: String,
}

/// An annotated tag's own object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnnotatedTag {
    tag: String,
    sha: String,
    url: String,
    message: String,
    tagger: Option<CommitUser>,
    object: GitObject,
}

impl GitObject {
    fn of(links: Links<'_>, repo: &RepoPath, kind: &str, id: &Oid) -> Self {
        let folder = match kind {
            "tag" => "tags",
            "commit" => "commits",
            _ => "trees",
        };
        Self { kind: kind.into(), sha: id.to_string(), url: links.repo(repo, &format!("/git/{folder}/{id}")) }
    }
}

impl Reference {
    fn of(links: Links<'_>, repo: &RepoPath, record: &RefRecord) -> Self {
        let kind = match (&record.note, &record.commit) {
            (Some(_), _) => "tag",
            (None, Some(_)) => "commit",
            (None, None) => "tree",
        };
        let name = record.name.as_str();
        Self {
            url: links.repo(repo, &format!("/git/{}", crate::web::target::encode(name.as_bytes()))),
            name: name.into(),
            object: GitObject::of(links, repo, kind, &record.target),
        }
    }
}

impl AnnotatedTag {
    fn of(links: Links<'_>, repo: &RepoPath, tag: &TagRecord) -> Self {
        Self {
            tag: tag.name.clone(),
            sha: tag.id.to_string(),
            url: links.repo(repo, &format!("/git/tags/{}", tag.id)),
            message: tag.message.clone(),
            tagger: tag.tagger.as_ref().map(CommitUser::of),
            object: GitObject::of(links, repo, tag.target_kind, &tag.target),
        }
    }
}

/// `GET /repos/{owner}/{repo}/git/trees/{sha}`.
pub(crate) async fn tree(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    asked: Asked,
    headers: HeaderMap,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let number = |name: &str| asked.text(name).parse::<usize>().ok().filter(|number| *number > 0);
    let page = number("page").unwrap_or(1).min(ENTRIES);
    let limit = number("per_page").or_else(|| number("limit")).unwrap_or(ENTRIES).min(ENTRIES);
    let is_recursive = asked.truth("recursive").unwrap_or(false);
    let window = Stretch { skip: (page - 1) * limit, limit };
    let walked = state.forge.walk(&repo, at.text("sha"), is_recursive, window).await?;
    let (links, path) = (Links::of(&state), &repo.summary().path);
    let entry = |entry: &forge::WalkEntry| {
        let (kind, folder) = match entry.mode & KIND {
            TREE => ("tree", "trees"),
            SUBMODULE => ("commit", "commits"),
            _ => ("blob", "blobs"),
        };
        GitEntry {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            mode: format!("{:06o}", entry.mode),
            kind: kind.into(),
            size: entry.size.unwrap_or_default(),
            sha: entry.id.to_string(),
            url: links.repo(path, &format!("/git/{folder}/{}", entry.id)),
        }
    };
    let is_by_id = walked.id.as_str() == at.text("sha");
    let tag = format!("{}-{}-{page}-{limit}", walked.id, u8::from(is_recursive));
    let answer = || {
        let tree: Vec<_> = walked.entries.iter().map(entry).collect();
        let truncated = walked.is_cut || window.skip + tree.len() < walked.total;
        let (sha, url) = (walked.id.to_string(), links.repo(path, &format!("/git/trees/{}", walked.id)));
        let total_count = walked.total;
        Json(GitTreeResponse { sha, url, tree, truncated, page, total_count }).into_response()
    };
    Ok(immutable(&headers, is_by_id.then_some(tag.as_str()), answer))
}

/// `GET /repos/{owner}/{repo}/git/blobs/{sha}`.
pub(crate) async fn blob(State(state): State<AppState>, caller: Caller, at: At, headers: HeaderMap) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let id = Oid::parse(at.text("sha")).map_err(|_| Refusal::not_found())?;
    let blob = state.forge.blob(&repo, &id).await?;
    let url = Links::of(&state).repo(&repo.summary().path, &format!("/git/blobs/{id}"));
    let answer = || {
        let content = blob.bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        let encoding = content.is_some().then(|| "base64".to_owned());
        Json(GitBlobResponse { sha: id.to_string(), url, size: blob.size, encoding, content }).into_response()
    };
    Ok(immutable(&headers, Some(id.as_str()), answer))
}

/// `GET /repos/{owner}/{repo}/git/refs`.
pub(crate) async fn refs(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.ref_records(&repo, "", page.window()).await?;
    let (links, path) = (Links::of(&state), &repo.summary().path);
    let rows: Vec<_> = found.rows.iter().map(|record| Reference::of(links, path, record)).collect();
    Ok(page.list(&rows, found.total))
}

/// `GET /repos/{owner}/{repo}/git/refs/{ref}`: all whose names begin so; absent when there is none.
pub(crate) async fn refs_below(State(state): State<AppState>, caller: Caller, at: At, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.ref_records(&repo, &format!("refs/{}", at.text("ref")), page.window()).await?;
    if found.total == 0 {
        return Err(Refusal::not_found());
    }
    let (links, path) = (Links::of(&state), &repo.summary().path);
    let rows: Vec<_> = found.rows.iter().map(|record| Reference::of(links, path, record)).collect();
    Ok(page.list(&rows, found.total))
}

/// `GET /repos/{owner}/{repo}/git/tags/{sha}`.
pub(crate) async fn tag(State(state): State<AppState>, caller: Caller, at: At, headers: HeaderMap) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let id = Oid::parse(at.text("sha")).map_err(|_| Refusal::not_found())?;
    let tag = state.forge.tag_record(&repo, &id).await?;
    let tag = AnnotatedTag::of(Links::of(&state), &repo.summary().path, &tag);
    Ok(immutable(&headers, Some(id.as_str()), || Json(tag).into_response()))
}
