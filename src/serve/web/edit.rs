//! Files made, changed, moved and deleted in the browser. A text that was typed is never lost: whatever goes wrong, the
//! page comes back with it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base::file_path::FilePath;
use base::name::{Oid, RefName, RepoPath, TreePath};
use forge::{CommitFiles, EditError, EditProblem, EditableFile, EditedText, FileChange, RepoFrame, RepoWrite};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Fields, LongForm};
use super::frame::{At, RepoHead, Tab};
use super::page::{Shell, draw};
use super::target::{self, LocalPath, Target};
use super::text::has_hidden;
use super::visit::Visit;
use crate::state::AppState;

/// What an editor page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A file that is not there yet.
    New,
    /// A file that is there.
    Change,
    /// A file that shall go.
    Delete,
}

/// The fields of an editor as they are shown and sent back.
#[derive(Clone, Debug, Default)]
pub(crate) struct EditFields {
    /// The branch's short name.
    pub(crate) on: String,
    /// The path that the edit began with; empty for a new file.
    pub(crate) from: String,
    /// Its blob.
    pub(crate) blob: String,
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) message: String,
    pub(crate) is_for_new_branch: bool,
    pub(crate) new_branch: String,
}

/// What is wrong, and what somebody else made of the file meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) problem: Option<String>,
    pub(crate) details: Vec<String>,
    /// The file as it is now, beside what was typed.
    pub(crate) theirs: Option<String>,
}

#[derive(Template)]
#[template(path = "pages/edit.html")]
pub(crate) struct EditPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) purpose: Purpose,
    pub(crate) action: String,
    pub(crate) cancel: String,
    pub(crate) fields: EditFields,
    pub(crate) text: String,
    pub(crate) has_hidden: bool,
    pub(crate) trouble: Trouble,
    pub(crate) placeholder: String,
}

/// `GET /{owner}/{repo}/new[/{branch}/{directory}]`.
pub(crate) async fn create(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let repo = writable(&state, &visit, &at.repository).await?;
    let place = state.forge.editable_directory(&repo, &at.rest).await?;
    let fields = EditFields { on: place.branch.short().to_owned(), path: place.directory, ..EditFields::default() };
    show(&state, &visit, &at.repository, Purpose::New, fields).await
}

/// `GET /{owner}/{repo}/edit/{branch}/{path}`.
pub(crate) async fn change(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let repo = writable(&state, &visit, &at.repository).await?;
    let file = state.forge.editable_file(&repo, &at.rest).await?;
    let text = match &file.text {
        Ok(text) => text.clone(),
        Err(why) => return Err(Failure::Refused(format!("`{}` {why}, so it cannot be edited here", file.path))),
    };
    show(&state, &visit, &at.repository, Purpose::Change, EditFields { text, ..fields_of(&file) }).await
}

/// `GET /{owner}/{repo}/delete/{branch}/{path}`.
pub(crate) async fn delete(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let repo = writable(&state, &visit, &at.repository).await?;
    let file = state.forge.editable_file(&repo, &at.rest).await?;
    show(&state, &visit, &at.repository, Purpose::Delete, fields_of(&file)).await
}

/// `POST` of all three.
pub(crate) async fn create_submit(state: State<AppState>, visit: Visit, at: At, form: LongForm) -> PageResult {
    Box::pin(submit(state, visit, at, form, Purpose::New)).await
}

pub(crate) async fn change_submit(state: State<AppState>, visit: Visit, at: At, form: LongForm) -> PageResult {
    Box::pin(submit(state, visit, at, form, Purpose::Change)).await
}

pub(crate) async fn delete_submit(state: State<AppState>, visit: Visit, at: At, form: LongForm) -> PageResult {
    Box::pin(submit(state, visit, at, form, Purpose::Delete)).await
}

async fn submit(State(state): State<AppState>, visit: Visit, at: At, form: LongForm, purpose: Purpose) -> PageResult {
    let repo = writable(&state, &visit, &at.repository).await?;
    let fields = sent(&form);
    let mut trouble = Trouble::default();
    match commit(&state, &visit, &repo, &fields, purpose).await {
        Ok(to) => return Ok(redirect(&Target::Back(to))),
        Err(EditError::Problem(EditProblem::Stale { .. })) => {
            return conflict(&state, &visit, &at, (&repo, purpose), fields).await;
        }
        Err(EditError::Forge(error)) => match error {
            forge::Error::Field { field, problem } => trouble.problem = Some(format!("The {field} {problem}.")),
            other => return Err(other.into()),
        },
        Err(EditError::Refused { reason, said }) => {
            trouble.problem = Some(format!("The commit was refused: {reason}."));
            trouble.details = said;
        }
        Err(other) => trouble.problem = Some(format!("Nothing was saved: {other}.")),
    }
    let frame = frame(&state, &visit, &at.repository).await?;
    refused(&page(&visit, &frame, purpose, fields, trouble), StatusCode::UNPROCESSABLE_ENTITY)
}

/// Somebody else changed or removed the file: both texts are shown, and the next attempt begins with theirs.
async fn conflict(
    state: &AppState,
    visit: &Visit,
    at: &At,
    (repo, purpose): (&RepoWrite, Purpose),
    fields: EditFields,
) -> PageResult {
    let frame = frame(state, visit, &at.repository).await?;
    let now = match (RefName::branch(&fields.on), FilePath::parse(&fields.from)) {
        (Ok(branch), Ok(path)) => state.forge.text_now(repo, &branch, &path).await?,
        _ => None,
    };
    let (blob, theirs) = now.map_or((String::new(), None), |(blob, text)| (blob.to_string(), Some(text)));
    let problem = match (&theirs, purpose) {
        (Some(_), Purpose::Delete) => {
            "Somebody changed this file since you opened this page. Look at it before you delete it."
        }
        (Some(_), _) => {
            "Somebody changed this file since you opened it. Your text is below, and theirs beside it. Put together what you want to keep; saving now replaces their text by yours."
        }
        (None, Purpose::Delete) => "Somebody deleted or replaced this file already.",
        (None, _) => {
            "Somebody deleted or replaced this file since you opened it. Your text is below; saving now makes the file again."
        }
    };
    let from = if theirs.is_some() { fields.from.clone() } else { String::new() };
    let fields = EditFields { from, blob, ..fields };
    let trouble = Trouble { problem: Some(problem.into()), details: Vec::new(), theirs };
    refused(&page(visit, &frame, purpose, fields, trouble), StatusCode::CONFLICT)
}

fn refused(page: &EditPage, status: StatusCode) -> PageResult {
    let mut response: Response = draw(page)?;
    *response.status_mut() = status;
    Ok(response)
}

/// Commits what the fields say; gives the address to go to.
async fn commit(
    state: &AppState,
    visit: &Visit,
    repo: &RepoWrite,
    fields: &EditFields,
    purpose: Purpose,
) -> Result<LocalPath, EditError> {
    let field = |field: &'static str, problem: &str| forge::Error::Field { field, problem: problem.to_owned() };
    let path = |text: &str| FilePath::parse(text).map_err(|error| field("path", error.problem()));
    let branch = RefName::branch(&fields.on).map_err(forge::Error::from)?;
    let original = match (fields.from.as_str(), Oid::parse(&fields.blob)) {
        ("", _) | (_, Err(_)) => None,
        (from, Ok(blob)) => Some((path(from)?, blob)),
    };
    let change = match (purpose, original) {
        (Purpose::Delete, Some((path, blob))) => FileChange::Delete { path, expected: Some(blob) },
        (Purpose::Delete, None) => return Err(forge::Error::NotFound.into()),
        (_, original) => {
            let edit = EditedText { original, path: path(&fields.path)?, text: fields.text.clone() };
            state.forge.edited(repo, edit).await?
        }
    };
    let mut files = CommitFiles::of(branch, fields.message.clone(), vec![change.clone()]);
    if fields.is_for_new_branch {
        let new = RefName::branch(fields.new_branch.trim());
        files.new_branch = Some(new.map_err(|_| field("new branch", "has no name that Git takes"))?);
    }
    let done = state.forge.commit_files(&visit.actor, repo, files).await?;
    let root = TreePath::default();
    let below = if purpose == Purpose::Delete { &root } else { change.path().as_tree_path() };
    let href = target::within(&repo.summary().path, "src", done.branch.short(), below);
    Ok(LocalPath::parse(&href).unwrap_or_else(LocalPath::start))
}

fn sent(form: &Fields) -> EditFields {
    let text = |name: &str| form.text(name).to_owned();
    EditFields {
        on: text("on"),
        from: text("from"),
        blob: text("blob"),
        path: text("path"),
        text: text("text"),
        message: text("message"),
        is_for_new_branch: form.text("to") == "new",
        new_branch: text("new_branch"),
    }
}

fn fields_of(file: &EditableFile) -> EditFields {
    EditFields {
        on: file.branch.short().to_owned(),
        from: file.path.to_string(),
        blob: file.blob.to_string(),
        path: file.path.to_string(),
        ..EditFields::default()
    }
}

/// The proof that the visitor may write. Who is not signed in is asked to; a hidden repository stays absent.
async fn writable(state: &AppState, visit: &Visit, path: &RepoPath) -> Result<RepoWrite, Failure> {
    let repo = state.forge.repo(&visit.actor, path).await?;
    if visit.actor.user().is_none() {
        return Err(Failure::SignInNeeded);
    }
    Ok(repo.for_write()?)
}

async fn frame(state: &AppState, visit: &Visit, path: &RepoPath) -> Result<RepoFrame, Failure> {
    let repo = state.forge.repo(&visit.actor, path).await?;
    Ok(state.forge.frame(&repo).await?)
}

async fn show(state: &AppState, visit: &Visit, path: &RepoPath, purpose: Purpose, fields: EditFields) -> PageResult {
    let frame = frame(state, visit, path).await?;
    draw(&page(visit, &frame, purpose, fields, Trouble::default()))
}

/// The page of an editor.
pub(crate) fn page(
    visit: &Visit,
    frame: &RepoFrame,
    purpose: Purpose,
    fields: EditFields,
    trouble: Trouble,
) -> EditPage {
    let repository = &frame.repo.path;
    let view = match purpose {
        Purpose::New => "new",
        Purpose::Change => "edit",
        Purpose::Delete => "delete",
    };
    let below = TreePath::parse(fields.from.as_bytes()).unwrap_or_default();
    let shown = if fields.from.is_empty() { "a file" } else { &fields.from };
    let is_empty = frame.branches.is_empty();
    EditPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, None),
        purpose,
        action: target::within(repository, view, &fields.on, &below),
        cancel: if is_empty {
            target::repository(repository)
        } else {
            target::within(repository, "src", &fields.on, &below)
        },
        text: exact(&fields.text),
        has_hidden: has_hidden(&fields.text),
        placeholder: match purpose {
            Purpose::New => "Add the file".into(),
            Purpose::Change => format!("Update {shown}"),
            Purpose::Delete => format!("Delete {shown}"),
        },
        trouble: Trouble { theirs: trouble.theirs.as_deref().map(exact), ..trouble },
        fields,
    }
}

/// A text between the tags of a field that gives it back: escaped, and nothing else changed. The line end in front is
/// the one that HTML drops.
fn exact(text: &str) -> String {
    format!("\n{}", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}
