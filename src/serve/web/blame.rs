//! Who last changed each line of a file: `/blame/…`. The lines are those of the file's own page, grouped by commit.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use forge::{Blame, FileContent, RepoFrame};

use super::failure::PageResult;
use super::frame::{At, Crumb, RefMenu, RepoHead, Tab, crumbs};
use super::page::{Shell, draw};
use super::render::Renderer;
use super::source::name_of;
use super::target;
use super::text::one_line;
use super::unchanged::Tag;
use super::visit::Visit;
use super::{missing, moment};
use crate::highlight::plain_lines;
use crate::state::AppState;

/// Bytes of HTML that a page may become before its lines lose their colours.
const WEIGHT: usize = 385_000;
/// Bytes of HTML that a group costs beside its lines.
const GROUP: usize = 180;
/// Characters of a title and of a name beside the lines.
const TITLE: usize = 40;
const NAME: usize = 20;
/// Where a line begins in what [`Renderer::lines`] gives.
const LINE: &str = "<li id=L";

/// Lines in a row that one commit changed last.
pub(crate) struct Group {
    commit: String,
    title: String,
    author: String,
    when: String,
    lines: String,
}

#[derive(Template)]
#[template(path = "pages/blame.html")]
pub(crate) struct BlamePage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) refs: RefMenu,
    pub(crate) crumbs: Vec<Crumb>,
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) history: String,
    pub(crate) permalink: String,
    /// None for a file that has no lines to show, or too many.
    pub(crate) groups: Vec<Group>,
}

/// `GET /{owner}/{repo}/blame/{rest}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    Extension(renderer): Extension<Renderer>,
    visit: Visit,
    at: At,
    headers: HeaderMap,
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let (frame, blame) = tokio::join!(state.forge.frame(&repo), state.forge.blame(&repo, &at.rest));
    let (frame, blame) = match (frame, blame) {
        (Ok(frame), Ok(blame)) => (frame, blame),
        (Err(error), _) => return Err(error.into()),
        (_, Err(error)) => return Err(missing::explained(&state, &repo, &at.rest, error).await),
    };
    let file = &blame.file;
    let tag = Tag::of(&visit, &frame, &file.revision.commit).with(file.id.as_str());
    let tag = blame.spans.iter().fold(tag, |tag, span| tag.at(span.commit.authored, visit.now));
    if let Some(answer) = tag.known(&headers) {
        return Ok(answer);
    }
    let page = page(&renderer, &visit, &frame, &blame).await;
    let name = String::from_utf8_lossy(name_of(&file.path));
    tag.on(draw(&page), blame.spans.is_empty() || renderer.has_lines(&file.id, &name))
}

/// The page of a file's lines and their commits.
pub(crate) async fn page(renderer: &Renderer, visit: &Visit, frame: &RepoFrame, blame: &Blame) -> BlamePage {
    let (path, file) = (&frame.repo.path, &blame.file);
    BlamePage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, Some(&file.revision)),
        refs: RefMenu::of(frame, "blame", &file.revision, &file.path),
        crumbs: crumbs(path, &file.revision, &file.path),
        name: one_line(name_of(&file.path)),
        source: target::within(path, "src", &file.revision.name, &file.path),
        history: target::within(path, "commits", &file.revision.name, &file.path),
        permalink: target::within(path, "blame", file.revision.commit.as_str(), &file.path),
        groups: groups(renderer, visit, frame, blame).await,
    }
}

async fn groups(renderer: &Renderer, visit: &Visit, frame: &RepoFrame, blame: &Blame) -> Vec<Group> {
    let FileContent::Text(text) = &blame.file.content else { return Vec::new() };
    if blame.spans.is_empty() {
        return Vec::new();
    }
    let name = String::from_utf8_lossy(name_of(&blame.file.path)).into_owned();
    let mut html = renderer.lines(&blame.file.id, text.clone(), name).await;
    if html.len() + blame.spans.len() * GROUP > WEIGHT {
        html = plain_lines(text).into();
    }
    let mut lines = html.split(LINE).skip(1);
    let base = target::repository(&frame.repo.path);
    let group = |span: &forge::BlameSpan| {
        let commit = &span.commit;
        let title = if commit.title.is_empty() { "(no message)" } else { &commit.title };
        Group {
            commit: format!("{base}/commit/{}", commit.id.as_str().get(..12).unwrap_or_default()),
            title: title.chars().take(TITLE).collect(),
            author: commit.author.chars().take(NAME).collect(),
            when: moment::relative(commit.authored, visit.now),
            lines: lines.by_ref().take(span.lines).flat_map(|line| [LINE, line]).collect(),
        }
    };
    blame.spans.iter().map(group).collect()
}
