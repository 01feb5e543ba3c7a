//! Commits as JSON, a history of them, and one as text for `git apply` and `git am`.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use base::name::{Oid, RepoPath};
use forge::{ChangeSums, CommitPerson, CommitRecord, PatchFormat, RepoRead};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::immutable::immutable;
use super::input::{Asked, At, Page};
use super::links::{Links, moment};
use super::refusal::ApiResult;
use super::user::User;
use crate::state::AppState;

/// A commit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Commit {
    pub(crate) url: String,
    pub(crate) sha: String,
    #[schema(format = DateTime)]
    pub(crate) created: String,
    pub(crate) html_url: String,
    #[serde(rename = "commit")]
    pub(crate) said: RepoCommit,
    /// Always null: the site does not know whose an address is.
    pub(crate) author: Option<User>,
    /// Always null, as `author`.
    pub(crate) committer: Option<User>,
    pub(crate) parents: Vec<CommitMeta>,
    /// The changed files, at most 300; null unless asked for.
    pub(crate) files: Option<Vec<CommitAffectedFiles>>,
    /// Counted lines; null unless asked for.
    pub(crate) stats: Option<CommitStats>,
}

/// What a commit says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RepoCommit {
    url: String,
    author: CommitUser,
    committer: CommitUser,
    message: String,
    tree: CommitMeta,
    verification: Option<PayloadCommitVerification>,
}

/// Somebody as a commit names them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommitUser {
    pub(crate) name: String,
    pub(crate) email: String,
    #[schema(format = DateTime)]
    pub(crate) date: String,
}

/// An object's id and address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommitMeta {
    pub(crate) url: String,
    pub(crate) sha: String,
    #[schema(format = DateTime)]
    pub(crate) created: String,
}

/// What is known of a signature.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayloadCommitVerification {
    verified: bool,
    reason: String,
    signature: String,
    payload: String,
}

/// A file that a commit changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommitAffectedFiles {
    filename: String,
    /// `added`, `removed`, `modified` or `renamed`.
    status: String,
}

/// Lines that a commit added and removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommitStats {
    total: u64,
    additions: u64,
    deletions: u64,
}

impl CommitUser {
    pub(crate) fn of(person: &CommitPerson) -> Self {
        Self { name: person.name.clone(), email: person.email.clone(), date: moment(person.at) }
    }
}

impl Commit {
    pub(crate) fn of(links: Links<'_>, repo: &RepoPath, record: &CommitRecord, sums: Option<&ChangeSums>) -> Self {
        let created = moment(record.committer.at);
        let meta = |id: &Oid, url: String| CommitMeta { url, sha: id.to_string(), created: created.clone() };
        let url = links.commit(repo, &record.id);
        Self {
            sha: record.id.to_string(),
            html_url: links.commit_page(repo, &record.id),
            said: RepoCommit {
                url: url.clone(),
                author: CommitUser::of(&record.author),
                committer: CommitUser::of(&record.committer),
                message: record.message.clone(),
                tree: meta(&record.tree, links.repo(repo, &format!("/git/trees/{}", record.tree))),
                verification: None,
            },
            url,
            author: None,
            committer: None,
            parents: record.parents.iter().map(|id| meta(id, links.commit(repo, id))).collect(),
            files: sums.map(files),
            stats: sums.map(|sums| CommitStats {
                total: sums.added + sums.removed,
                additions: sums.added,
                deletions: sums.removed,
            }),
            created,
        }
    }
}

fn files(sums: &ChangeSums) -> Vec<CommitAffectedFiles> {
    let file = |path: &base::name::TreePath, status: &str| CommitAffectedFiles {
        filename: String::from_utf8_lossy(path.as_bytes()).into_owned(),
        status: status.into(),
    };
    sums.files.iter().map(|(path, status)| file(path, status)).collect()
}

/// Commits as JSON, with sums when `has_sums`.
pub(crate) async fn commits(
    state: &AppState,
    repo: &RepoRead,
    records: &[CommitRecord],
    has_sums: bool,
) -> Result<Vec<Commit>, forge::Error> {
    let (links, path) = (Links::of(state), &repo.summary().path);
    if !has_sums {
        return Ok(records.iter().map(|record| Commit::of(links, path, record, None)).collect());
    }
    let sums = state.forge.change_sums(repo, records).await?;
    Ok(records.iter().zip(&sums).map(|(record, sums)| Commit::of(links, path, record, Some(sums))).collect())
}

/// `GET /repos/{owner}/{repo}/commits`.
pub(crate) async fn list(State(state): State<AppState>, caller: Caller, at: At, asked: Asked, page: Page) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let found = state.forge.commit_page(&repo, asked.text("sha"), asked.text("path"), page.window()).await?;
    let rows = commits(&state, &repo, &found.rows, wants_sums(&asked)).await?;
    Ok(with_counts(page.list(&rows, found.total), &page, rows.len(), found.total))
}

/// `GET /repos/{owner}/{repo}/git/commits/{sha}`, also with `.diff` or `.patch` behind the id.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    asked: Asked,
    headers: HeaderMap,
) -> ApiResult {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    let sha = at.text("sha");
    for (ending, format) in [(".diff", PatchFormat::Diff), (".patch", PatchFormat::Mail)] {
        if let Some(sha) = sha.strip_suffix(ending) {
            let patch = state.forge.commit_patch(&repo, sha, format).await?;
            return Ok(
                ([(CONTENT_TYPE, "text/plain; charset=utf-8")], crate::web::patch::body(&state, patch)).into_response()
            );
        }
    }
    let record = state.forge.commit_record(&repo, sha).await?;
    let rows = commits(&state, &repo, std::slice::from_ref(&record), wants_sums(&asked)).await?;
    let is_by_id = record.id.as_str() == sha;
    let tag = format!("{}-{}", record.id, u8::from(wants_sums(&asked)));
    Ok(immutable(&headers, is_by_id.then_some(tag.as_str()), || Json(rows.first()).into_response()))
}

/// Both `stat` and `files` are true in the family unless told otherwise; either being false spares the work.
fn wants_sums(asked: &Asked) -> bool {
    asked.truth("stat") != Some(false) && asked.truth("files") != Some(false)
}

/// The headers that the family adds to a history.
fn with_counts(mut response: Response, page: &Page, shown: usize, total: usize) -> Response {
    let window = page.window();
    let pages = total.div_ceil(window.limit.max(1));
    let has_more = window.skip + shown < total;
    let headers = response.headers_mut();
    let mut add = |name: &'static str, value: HeaderValue| headers.insert(HeaderName::from_static(name), value);
    add("x-page", HeaderValue::from(window.skip / window.limit.max(1) + 1));
    add("x-perpage", HeaderValue::from(window.limit));
    add("x-total", HeaderValue::from(total));
    add("x-pagecount", HeaderValue::from(pages));
    add("x-hasmore", HeaderValue::from_static(if has_more { "true" } else { "false" }));
    response
}
