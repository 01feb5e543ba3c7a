//! A repository's home and its directories.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use base::clock::Timestamp;
use base::name::{RefName, RepoPath, TreePath};
use forge::{CloneUrls, Entry, EntryKind, LatestCommit, RepoFrame, Tree};

use super::failure::PageResult;
use super::frame::{At, Crumb, RefMenu, RepoHead, Tab, crumbs};
use super::moment;
use super::page::{Shell, draw};
use super::render::Renderer;
use super::target;
use super::text::{escaped, one_line, size};
use super::visit::Visit;
use crate::markdown::Place;
use crate::state::AppState;

/// Bytes of HTML that a directory may become before its rows say less of last commits.
const WEIGHT: usize = 185_000;
/// Characters of a commit's title that such a row shows.
const TERSE_TITLE: usize = 24;

/// Where a repository is cloned from.
pub(crate) struct CloneBox {
    scheme: &'static str,
    is_https: bool,
    http: String,
    ssh: String,
}

/// What stands beside the files of a repository's home.
pub(crate) struct About {
    description: String,
    clone: CloneBox,
    branch_count: usize,
    new_file: Option<String>,
    tag_count: usize,
    pushed: String,
    archive: String,
}

/// A directory's entries, its latest commit and its README.
pub(crate) struct Listing {
    caption: String,
    base: String,
    commits: String,
    up: Option<String>,
    rows: Vec<Row>,
    is_cut: bool,
    latest: Latest,
    pub(crate) readme: Option<ReadmeView>,
}

struct Row {
    class: &'static str,
    href: String,
    name: String,
    note: String,
    is_linked: bool,
    change: Option<Change>,
}

/// The commit that last changed an entry, as a cell shows it.
struct Change {
    id: Option<String>,
    title: String,
    when: String,
}

struct Latest {
    author: String,
    title: String,
    href: String,
    short: String,
    when: String,
}

/// A README as it is shown.
pub(crate) struct ReadmeView {
    name: String,
    is_markdown: bool,
    html: String,
}

#[derive(Template)]
#[template(path = "pages/repository.html")]
pub(crate) struct RepositoryPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) refs: RefMenu,
    pub(crate) about: About,
    pub(crate) listing: Listing,
}

#[derive(Template)]
#[template(path = "pages/empty-repository.html")]
pub(crate) struct EmptyRepositoryPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) description: String,
    pub(crate) clone: CloneBox,
    pub(crate) site: String,
    pub(crate) branch: String,
    pub(crate) can_write: bool,
}

#[derive(Template)]
#[template(path = "pages/directory.html")]
pub(crate) struct DirectoryPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) refs: RefMenu,
    pub(crate) crumbs: Vec<Crumb>,
    pub(crate) history: String,
    pub(crate) permalink: String,
    pub(crate) new_file: Option<String>,
    pub(crate) listing: Listing,
}

/// `GET /{owner}/{repo}`.
pub(crate) async fn home(
    State(state): State<AppState>,
    Extension(renderer): Extension<Renderer>,
    visit: Visit,
    at: At,
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let (frame, tree) = tokio::try_join!(state.forge.frame(&repo), state.forge.home(&repo))?;
    match tree {
        Some(tree) => draw(&repository_page(&visit, &frame, &tree, readme(&renderer, &frame, &tree).await)),
        None => draw(&empty_page(&visit, &frame, state.forge.settings().site_url.as_str())),
    }
}

/// The home of a repository with commits.
pub(crate) fn repository_page(
    visit: &Visit,
    frame: &RepoFrame,
    tree: &Tree,
    readme: Option<ReadmeView>,
) -> RepositoryPage {
    let about = About {
        description: frame.repo.description.clone(),
        clone: clone_box(&frame.clone),
        branch_count: frame.branches.len(),
        new_file: new_file(frame, tree),
        tag_count: frame.tags.len(),
        pushed: moment::ago_or_never(frame.repo.pushed, visit.now),
        archive: target::within(&frame.repo.path, "archive", &tree.revision.name, &TreePath::default()),
    };
    RepositoryPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, Some(&tree.revision)),
        refs: RefMenu::of(frame, "src", &tree.revision, &tree.path),
        about,
        listing: listing(&frame.repo.path, tree, readme, visit.now),
    }
}

/// The home of a repository that nothing was pushed to.
pub(crate) fn empty_page(visit: &Visit, frame: &RepoFrame, site: &str) -> EmptyRepositoryPage {
    EmptyRepositoryPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, None),
        description: frame.repo.description.clone(),
        clone: clone_box(&frame.clone),
        site: site.to_owned(),
        branch: frame.default_branch.short().to_owned(),
        can_write: frame.can_write,
    }
}

/// A directory below a revision.
pub(crate) fn directory_page(
    visit: &Visit,
    frame: &RepoFrame,
    tree: &Tree,
    readme: Option<ReadmeView>,
) -> DirectoryPage {
    let path = &frame.repo.path;
    DirectoryPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Code, Some(&tree.revision)),
        refs: RefMenu::of(frame, "src", &tree.revision, &tree.path),
        crumbs: crumbs(path, &tree.revision, &tree.path),
        history: target::within(path, "commits", &tree.revision.name, &tree.path),
        permalink: target::within(path, "src", tree.revision.commit.as_str(), &tree.path),
        new_file: new_file(frame, tree),
        listing: listing(path, tree, readme, visit.now),
    }
}

/// The address that makes a file here, for who may and on a branch.
fn new_file(frame: &RepoFrame, tree: &Tree) -> Option<String> {
    let is_branch = tree.revision.reference.as_ref().is_some_and(RefName::is_branch);
    (is_branch && frame.can_write).then(|| target::within(&frame.repo.path, "new", &tree.revision.name, &tree.path))
}

/// The directory's README, rendered; plain text where it is not Markdown or rendering took too long.
pub(crate) async fn readme(renderer: &Renderer, frame: &RepoFrame, tree: &Tree) -> Option<ReadmeView> {
    let readme = tree.readme.as_ref()?;
    let place = place(&frame.repo.path, &tree.revision.name, &tree.path);
    let rendered = if readme.is_markdown { renderer.prose(&readme.id, readme.text.clone(), place).await } else { None };
    Some(ReadmeView {
        name: readme.name.clone(),
        is_markdown: rendered.is_some(),
        html: rendered.map_or_else(|| escaped(&readme.text), |html| html.to_string()),
    })
}

/// Where the relative links of a text in `directory` lead.
pub(crate) fn place(path: &RepoPath, revision: &str, directory: &TreePath) -> Place {
    let root = TreePath::default();
    Place {
        pages: target::within(path, "src", revision, &root),
        raw: target::within(path, "raw", revision, &root),
        directory: directory.clone(),
    }
}

fn clone_box(urls: &CloneUrls) -> CloneBox {
    let is_https = urls.http.starts_with("https:");
    CloneBox {
        scheme: if is_https { "HTTPS" } else { "HTTP" },
        is_https,
        http: urls.http.clone(),
        ssh: urls.ssh.clone(),
    }
}

fn listing(path: &RepoPath, tree: &Tree, readme: Option<ReadmeView>, now: Timestamp) -> Listing {
    let here = target::within(path, "src", &tree.revision.name, &tree.path);
    let up = if tree.path.is_root() { None } else { here.rsplit_once('/').map(|(above, _)| above.to_owned()) };
    let latest = &tree.latest;
    Listing {
        caption: if tree.path.is_root() { "Files".into() } else { one_line(tree.path.as_bytes()) },
        base: format!("{here}/"),
        commits: format!("{}/commit/", target::repository(path)),
        up,
        rows: rows(&here, &tree.entries, now),
        is_cut: tree.is_cut,
        latest: Latest {
            author: latest.author.clone(),
            title: latest.title.clone(),
            href: format!("{}/commit/{}", target::repository(path), latest.id),
            short: latest.id.short().to_owned(),
            when: moment::ago(latest.authored, now),
        },
        readme,
    }
}

fn rows(base: &str, entries: &[Entry], now: Timestamp) -> Vec<Row> {
    let detail = Detail::that_fits(base, entries);
    let change = |latest: &LatestCommit| {
        let title = if latest.title.is_empty() { "(no message)" } else { &latest.title };
        let terse: String = title.chars().take(TERSE_TITLE).collect();
        let (id, title) = match detail {
            Detail::Full => (Some(latest.id.to_string()), title.to_owned()),
            Detail::Linked => (latest.id.as_str().get(..12).map(str::to_owned), terse),
            Detail::Titled => (None, terse),
            Detail::Dated => (None, String::new()),
        };
        let is_full = detail == Detail::Full;
        let when = if is_full { moment::ago(latest.authored, now) } else { moment::relative(latest.authored, now) };
        Change { id, title, when }
    };
    entries.iter().map(|entry| Row { change: entry.latest.as_ref().map(change), ..row(entry) }).collect()
}

/// How much the rows of a directory say of last commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// Title, link and both forms of the time.
    Full,
    /// The title's beginning, linked, and the time.
    Linked,
    /// The title's beginning and the time.
    Titled,
    /// The time alone.
    Dated,
}

impl Detail {
    /// The most that keeps a directory's page below [`WEIGHT`].
    fn that_fits(base: &str, entries: &[Entry]) -> Self {
        let names: usize = entries.iter().map(|entry| 2 * entry.name.len() + base.len() + 45).sum();
        match WEIGHT.saturating_sub(names) / entries.len().max(1) {
            280.. => Self::Full,
            130.. => Self::Linked,
            45.. => Self::Titled,
            _ => Self::Dated,
        }
    }
}

fn row(entry: &Entry) -> Row {
    let (class, note) = match entry.kind {
        EntryKind::Tree => ("d", String::new()),
        EntryKind::File | EntryKind::Executable => ("", entry.size.map(size).unwrap_or_default()),
        EntryKind::Symlink => ("l", "link".into()),
        EntryKind::Submodule => ("s", format!("at {}", entry.id.short())),
    };
    Row {
        class,
        href: target::encode(&entry.name),
        name: one_line(&entry.name),
        note,
        is_linked: entry.kind != EntryKind::Submodule,
        change: None,
    }
}
