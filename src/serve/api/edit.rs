//! Files written through the API: each request is one commit, and goes through the same gate as a push.

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::file_path::FilePath;
use base::name::{Oid, RefName, TreePath};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::{CommitFiles, Committed, Contents, EditError, EditProblem, FileChange, Person, RepoRead};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::commit::Commit;
use super::contents::ContentsResponse;
use super::input::{At, Places};
use super::links::{Links, read_moment};
use super::refusal::{ApiResult, Refusal};
use crate::state::AppState;

/// Somebody who wrote or commits something.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Identity {
    name: Option<String>,
    email: Option<String>,
}

/// When something was written and committed, in RFC 3339; now, when absent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct CommitDateOptions {
    author: Option<String>,
    committer: Option<String>,
}

/// What every change says: where it goes, and who says so.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Change {
    /// The default branch, when absent.
    branch: Option<String>,
    /// A branch to make for the commit.
    new_branch: Option<String>,
    /// One is made of the changes, when absent.
    message: Option<String>,
    author: Option<Identity>,
    committer: Option<Identity>,
    dates: Option<CommitDateOptions>,
}

/// A file to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateFileOptions {
    /// Base64.
    content: String,
    #[serde(flatten)]
    change: Change,
}

/// A file to change.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct UpdateFileOptions {
    /// Base64.
    content: String,
    /// The blob that the change begins with; a new file, when absent.
    sha: Option<String>,
    /// The path that the file has so far, when it is to move.
    from_path: Option<String>,
    #[serde(flatten)]
    change: Change,
}

/// A file to remove.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct DeleteFileOptions {
    /// The blob that is to go.
    sha: String,
    #[serde(flatten)]
    change: Change,
}

/// Several files to change with one commit.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChangeFilesOptions {
    files: Vec<ChangeFileOperation>,
    #[serde(flatten)]
    change: Change,
}

/// What is to become of one of several files.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChangeFileOperation {
    /// `create`, `update` or `delete`.
    operation: String,
    path: String,
    /// Base64; not for `delete`.
    content: Option<String>,
    /// The blob that the change begins with; not for `create`.
    sha: Option<String>,
    /// The path that the file has so far, when it is to move.
    from_path: Option<String>,
}

/// What was committed for one file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileResponse {
    /// Null when the file is gone.
    content: Option<ContentsResponse>,
    commit: Commit,
}

/// What was committed for several files.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FilesResponse {
    /// Null for files that are gone.
    files: Vec<Option<ContentsResponse>>,
    commit: Commit,
}

/// `POST /repos/{owner}/{repo}/contents/{filepath}`.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Extension(places): Extension<Places>,
    request: Request,
) -> ApiResult {
    let repo = writable(&state, &caller, &at).await?;
    let (options, _place): (CreateFileOptions, _) = places.take(request).await?;
    let content = decoded(&options.content)?;
    let change = FileChange::Create { path: path(at.text("filepath"))?, content, is_executable: false };
    Box::pin(one(&state, &caller, &repo, (change, options.change), StatusCode::CREATED)).await
}

/// `PUT /repos/{owner}/{repo}/contents/{filepath}`.
pub(crate) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Extension(places): Extension<Places>,
    request: Request,
) -> ApiResult {
    let repo = writable(&state, &caller, &at).await?;
    let (options, _place): (UpdateFileOptions, _) = places.take(request).await?;
    let (to, content) = (path(at.text("filepath"))?, decoded(&options.content)?);
    let is_new = options.sha.is_none();
    let change = changed(to, content, options.sha.as_deref(), options.from_path.as_deref())?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Box::pin(one(&state, &caller, &repo, (change, options.change), status)).await
}

/// `DELETE /repos/{owner}/{repo}/contents/{filepath}`.
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Extension(places): Extension<Places>,
    request: Request,
) -> ApiResult {
    let repo = writable(&state, &caller, &at).await?;
    let (options, _place): (DeleteFileOptions, _) = places.take(request).await?;
    let change = FileChange::Delete { path: path(at.text("filepath"))?, expected: Some(blob(&options.sha)?) };
    Box::pin(one(&state, &caller, &repo, (change, options.change), StatusCode::OK)).await
}

/// `POST /repos/{owner}/{repo}/contents`.
pub(crate) async fn several(
    State(state): State<AppState>,
    caller: Caller,
    at: At,
    Extension(places): Extension<Places>,
    request: Request,
) -> ApiResult {
    let repo = writable(&state, &caller, &at).await?;
    let (options, _place): (ChangeFilesOptions, _) = places.take(request).await?;
    let changes = options.files.into_iter().map(operation).collect::<Result<Vec<_>, _>>()?;
    if changes.is_empty() {
        return Err(Refusal::Unfit("files must name at least one".into()));
    }
    let done = Box::pin(commit(&state, &caller, &repo, changes.clone(), options.change)).await?;
    let mut files = Vec::with_capacity(changes.len());
    for change in &changes {
        files.push(content(&state, &repo, &done, change).await?);
    }
    let commit = said(&state, &repo, &done).await?;
    Ok((StatusCode::CREATED, Json(FilesResponse { files, commit })).into_response())
}

/// The repository, for who may write to it. Asked for before a body is read, which may be large.
async fn writable(state: &AppState, caller: &Caller, at: &At) -> Result<RepoRead, Refusal> {
    let repo = state.forge.repo(&caller.actor, &at.repo()?).await?;
    repo.clone().for_write()?;
    Ok(repo)
}

async fn one(
    state: &AppState,
    caller: &Caller,
    repo: &RepoRead,
    (file, change): (FileChange, Change),
    status: StatusCode,
) -> Result<Response, Refusal> {
    let done = Box::pin(commit(state, caller, repo, vec![file.clone()], change)).await?;
    let content = content(state, repo, &done, &file).await?;
    let commit = said(state, repo, &done).await?;
    Ok((status, Json(FileResponse { content, commit })).into_response())
}

async fn commit(
    state: &AppState,
    caller: &Caller,
    repo: &RepoRead,
    changes: Vec<FileChange>,
    change: Change,
) -> Result<Committed, Refusal> {
    let writable = repo.clone().for_write()?;
    let branch = match &change.branch {
        Some(name) if !name.is_empty() => RefName::branch(name).map_err(forge::Error::from)?,
        _ => state.forge.default_branch(repo).await?.0,
    };
    let new_branch = change.new_branch.as_deref().filter(|name| !name.is_empty());
    let dates = change.dates.clone().unwrap_or_default();
    let files = CommitFiles {
        new_branch: new_branch.map(RefName::branch).transpose().map_err(forge::Error::from)?,
        branch,
        expected_tip: None,
        message: change.message.unwrap_or_default(),
        changes,
        author: person(change.author.clone(), dates.author.as_deref(), state)?,
        committer: person(change.committer.or(change.author), dates.committer.as_deref(), state)?,
    };
    Ok(state.forge.commit_files(&caller.actor, &writable, files).await?)
}

/// The file as the commit has it; nothing for one that is gone.
async fn content(
    state: &AppState,
    repo: &RepoRead,
    done: &Committed,
    change: &FileChange,
) -> Result<Option<ContentsResponse>, Refusal> {
    if matches!(change, FileChange::Delete { .. }) {
        return Ok(None);
    }
    let path = TreePath::parse(change.path().to_string().as_bytes()).map_err(forge::Error::from)?;
    let Contents::One(entry) = state.forge.contents(repo, done.commit.as_str(), &path).await? else { return Ok(None) };
    Ok(Some(ContentsResponse::of(Links::of(state), &repo.summary().path, done.branch.short(), &entry)))
}

async fn said(state: &AppState, repo: &RepoRead, done: &Committed) -> Result<Commit, Refusal> {
    let record = state.forge.commit_record(repo, done.commit.as_str()).await?;
    Ok(Commit::of(Links::of(state), &repo.summary().path, &record, None))
}

fn operation(file: ChangeFileOperation) -> Result<FileChange, Refusal> {
    let to = path(&file.path)?;
    let content = || decoded(file.content.as_deref().unwrap_or_default());
    match file.operation.as_str() {
        "create" | "upload" => Ok(FileChange::Create { path: to, content: content()?, is_executable: false }),
        "update" => changed(to, content()?, file.sha.as_deref(), file.from_path.as_deref()),
        "delete" => Ok(FileChange::Delete { path: to, expected: file.sha.as_deref().map(blob).transpose()? }),
        _ => Err(Refusal::Unfit("operation must be create, update or delete".into())),
    }
}

/// The change that an update means: a file that is made, changed, or moved.
fn changed(to: FilePath, content: Vec<u8>, sha: Option<&str>, from: Option<&str>) -> Result<FileChange, Refusal> {
    let expected = sha.filter(|sha| !sha.is_empty()).map(blob).transpose()?;
    match from.filter(|from| !from.is_empty()) {
        Some(from) => Ok(FileChange::Rename { from: path(from)?, to, expected, content: Some(content) }),
        None if expected.is_none() => Ok(FileChange::Create { path: to, content, is_executable: false }),
        None => Ok(FileChange::Update { path: to, content, expected }),
    }
}

fn path(text: &str) -> Result<FilePath, Refusal> {
    FilePath::parse(text).map_err(|error| Refusal::Unfit(format!("path {}", error.problem())))
}

fn blob(text: &str) -> Result<Oid, Refusal> {
    Oid::parse(text).map_err(|_| Refusal::Unfit("sha must be the full id of a blob".into()))
}

/// Base64, in one line or many.
fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(plain).map_err(|_| Refusal::Unfit("content must be base64".into()))
}

/// Who did it and when, when the caller says so.
fn person(identity: Option<Identity>, date: Option<&str>, state: &AppState) -> Result<Option<Person>, Refusal> {
    let Some(Identity { name: Some(name), email: Some(email) }) = identity else { return Ok(None) };
    let refused = || Refusal::Unfit("dates must be written as in 2026-11-21T10:00:00Z".into());
    let (at, offset) = match date {
        None => (state.clock.now(), 0),
        Some(text) => {
            let (at, minutes) = read_moment(text).ok_or_else(refused)?;
            (at, i32::from(minutes))
        }
    };
    Ok(Some(Person { name, email, at, offset }))
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Forge(error) => Self::Forge(error),
            EditError::Problem(EditProblem::Absent(_)) => Self::not_found(),
            EditError::Refused { reason, .. } => Self::Forbidden(reason),
            conflict @ (EditError::Moved { .. }
            | EditError::BranchExists(_)
            | EditError::Problem(EditProblem::Stale { .. } | EditProblem::Present { .. })) => {
                Self::Conflict(conflict.to_string())
            }
            other @ EditError::Problem(_) => Self::Unfit(other.to_string()),
        }
    }
}
