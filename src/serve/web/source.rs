//! Directories and files at a revision: `/src/…`.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use base::name::{RefName, TreePath};
use forge::{File, FileContent, RepoFrame, TreeOrFile, Window};

use super::failure::PageResult;
use super::frame::{At, Crumb, RefMenu, RepoHead, Tab, crumbs};
use super::missing;
use super::page::{Shell, draw};
use super::query::Query;
use super::render::Renderer;
use super::target;
use super::text::{counted, one_line, size};
use super::tree::{directory_page, place, readme};
use super::unchanged::Tag;
use super::visit::Visit;
use crate::highlight::plain_lines_from;
use crate::state::AppState;

/// Names of pictures that `/raw/` serves as such, by their first bytes.
const PICTURES: [&str; 5] = [".png", ".jpg", ".jpeg", ".gif", ".webp"];

/// Lines that a window holds, at most.
const WINDOW: usize = 2_000;

/// What a page shows of a file.
pub(crate) enum FileBody {
    /// Markdown, rendered.
    Prose(Arc<str>),
    /// Numbered lines.
    Lines(Arc<str>),
    /// No bytes.
    Empty,
    /// Not text.
    Binary,
    /// A picture that `/raw/` serves as one.
    Image,
    /// More than a page shows.
    TooLarge,
    /// A link's target.
    Symlink(String),
}

#[derive(Template)]
#[template(path = "pages/file.html")]
pub(crate) struct FilePage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) refs: RefMenu,
    pub(crate) crumbs: Vec<Crumb>,
    pub(crate) name: String,
    pub(crate) facts: String,
    pub(crate) raw: String,
    pub(crate) permalink: String,
    pub(crate) history: String,
    pub(crate) blame: Option<String>,
    pub(crate) edit: Option<String>,
    pub(crate) delete: Option<String>,
    pub(crate) path: String,
    pub(crate) other_view: Option<(&'static str, String)>,
    pub(crate) window: Option<WindowLinks>,
    pub(crate) body: FileBody,
}

/// Where a window of a large file is, and the windows beside it.
pub(crate) struct WindowLinks {
    pub(crate) shown: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// `GET /{owner}/{repo}/src/{rest}`; `?source` shows the text behind rendered Markdown.
pub(crate) async fn show(
    State(state): State<AppState>,
    Extension(renderer): Extension<Renderer>,
    visit: Visit,
    at: At,
    (RawQuery(query), headers): (RawQuery, HeaderMap),
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let (frame, found) = tokio::join!(state.forge.frame(&repo), state.forge.tree_or_file(&repo, &at.rest));
    let (frame, found) = match (frame, found) {
        (Ok(frame), Ok(found)) => (frame, found),
        (Err(error), _) => return Err(error.into()),
        (_, Err(error)) => return Err(missing::explained(&state, &repo, &at.rest, error).await),
    };
    let query = Query::of(query.as_deref());
    match found {
        TreeOrFile::Tree(tree) => {
            let readme = readme(&renderer, &frame, &tree).await;
            draw(&directory_page(&visit, &frame, &tree, readme))
        }
        TreeOrFile::File(file) => {
            let tag =
                Tag::of(&visit, &frame, &file.id).with(file.revision.commit.as_str()).with(kind_of(&file.content));
            let mut is_kept = false;
            let mut page = if matches!(file.content, FileContent::TooLarge) {
                let first = query.text("line").parse().unwrap_or(1);
                large_page(&visit, &frame, &file, state.forge.window(&repo, &at.rest, first).await?)
            } else {
                let is_source = query.has("source");
                if let Some(answer) = tag.known(&headers) {
                    return Ok(answer);
                }
                let body = body(&renderer, &frame, &file, is_source).await;
                is_kept = is_final(&renderer, &frame, &file, &body, is_source);
                file_page(&visit, &frame, &file, body)
            };
            let is_branch = file.revision.reference.as_ref().is_some_and(RefName::is_branch);
            if !(is_branch && frame.can_write) {
                (page.edit, page.delete) = (None, None);
            }
            tag.on(draw(&page), is_kept)
        }
    }
}

/// A link and a file may hold the same bytes.
fn kind_of(content: &FileContent) -> u8 {
    match content {
        FileContent::Text(_) => 0,
        FileContent::Binary => 1,
        FileContent::TooLarge => 2,
        FileContent::Symlink(_) => 3,
    }
}

/// Says whether the page shows all that it can, and not plain lines because colours or prose were not ready.
fn is_final(renderer: &Renderer, frame: &RepoFrame, file: &File, body: &FileBody, is_source: bool) -> bool {
    let is_prose = is_markdown(&file.path) && !is_source;
    match body {
        FileBody::Lines(_) if is_prose => false,
        FileBody::Lines(_) => renderer.has_lines(&file.id, &String::from_utf8_lossy(name_of(&file.path))),
        FileBody::Prose(_) => {
            renderer.has_prose(&file.id, &place(&frame.repo.path, &file.revision.name, &above(&file.path)))
        }
        _ => true,
    }
}

/// The page of a file.
pub(crate) fn file_page(visit: &Visit, frame: &RepoFrame, file: &File, body: FileBody) -> FilePage {
    let path = &frame.repo.path;
    let here = target::within(path, "src", &file.revision.name, &file.path);
    let other_view = match &body {
        FileBody::Prose(_) => Some(("Source", format!("{here}?source"))),
        FileBody::Lines(_) if is_markdown(&file.path) => Some(("Rendered", here)),
        _ => None,
    };
    FilePage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, Some(&file.revision)),
        refs: RefMenu::of(frame, "src", &file.revision, &file.path),
        crumbs: crumbs(path, &file.revision, &file.path),
        name: one_line(name_of(&file.path)),
        facts: facts(file),
        raw: target::within(path, "raw", &file.revision.name, &file.path),
        blame: matches!(&file.content, FileContent::Text(text) if !text.is_empty())
            .then(|| target::within(path, "blame", &file.revision.name, &file.path)),
        history: target::within(path, "commits", &file.revision.name, &file.path),
        permalink: target::within(path, "src", file.revision.commit.as_str(), &file.path),
        edit: matches!(&file.content, FileContent::Text(_))
            .then(|| target::within(path, "edit", &file.revision.name, &file.path)),
        delete: (!matches!(&file.content, FileContent::Symlink(_)))
            .then(|| target::within(path, "delete", &file.revision.name, &file.path)),
        path: one_line(file.path.as_bytes()),
        window: None,
        other_view,
        body,
    }
}

/// The page of a file that is too large for one: a window of its lines, when it is text.
pub(crate) fn large_page(visit: &Visit, frame: &RepoFrame, file: &File, window: Option<Window>) -> FilePage {
    let Some(window) = window else { return file_page(visit, frame, file, FileBody::Binary) };
    let here = target::within(&frame.repo.path, "src", &file.revision.name, &file.path);
    let to = |line: usize| if line <= 1 { here.clone() } else { format!("{here}?line={line}") };
    let last = window.first + window.text.lines().count().max(1) - 1;
    let links = WindowLinks {
        shown: format!("Lines {} to {last}", window.first),
        before: (window.first > 1).then(|| to(window.first.saturating_sub(WINDOW).max(1))),
        after: window.next.map(to),
    };
    let body = FileBody::Lines(plain_lines_from(&window.text, window.first).into());
    FilePage { window: Some(links), ..file_page(visit, frame, file, body) }
}

/// What is shown of a file; `is_source` asks for the text behind Markdown.
pub(crate) async fn body(renderer: &Renderer, frame: &RepoFrame, file: &File, is_source: bool) -> FileBody {
    let text = match &file.content {
        FileContent::Text(text) => text,
        FileContent::Binary if is_picture(&file.path) => return FileBody::Image,
        FileContent::Binary => return FileBody::Binary,
        FileContent::TooLarge => return FileBody::TooLarge,
        FileContent::Symlink(target) => return FileBody::Symlink(target.clone()),
    };
    if text.is_empty() {
        return FileBody::Empty;
    }
    if is_markdown(&file.path) && !is_source {
        let place = place(&frame.repo.path, &file.revision.name, &above(&file.path));
        if let Some(html) = renderer.prose(&file.id, text.clone(), place).await {
            return FileBody::Prose(html);
        }
    }
    let name = String::from_utf8_lossy(name_of(&file.path)).into_owned();
    FileBody::Lines(renderer.lines(&file.id, text.clone(), name).await)
}

fn facts(file: &File) -> String {
    match &file.content {
        FileContent::Text(text) => format!("{}, {}", counted(text.lines().count(), "line"), size(file.size)),
        FileContent::Symlink(_) => "symbolic link".into(),
        FileContent::Binary | FileContent::TooLarge => size(file.size),
    }
}

pub(crate) fn name_of(path: &TreePath) -> &[u8] {
    path.parts().last().unwrap_or_default()
}

fn above(path: &TreePath) -> TreePath {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    TreePath::parse(bytes.get(..end).unwrap_or_default()).unwrap_or_default()
}

fn has_end(path: &TreePath, ends: &[&str]) -> bool {
    let name = name_of(path).to_ascii_lowercase();
    ends.iter().any(|end| name.ends_with(end.as_bytes()))
}

fn is_markdown(path: &TreePath) -> bool {
    has_end(path, &[".md", ".markdown"])
}

fn is_picture(path: &TreePath) -> bool {
    has_end(path, &PICTURES)
}
