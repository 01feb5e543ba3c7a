//! What every page of a repository shows around its content: head, tabs, the menu of branches and tags, and the path.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base::name::{RefName, RepoPath, TreePath};
use forge::{RepoFrame, Revision};

use super::failure::Failure;
use super::listing::visibility_word;
use super::target;
use super::text::one_line;

/// The repository that a request's path names, and what stands behind `/src/`, `/raw/` or `/commits/`, as bytes.
#[derive(Clone, Debug)]
pub(crate) struct At {
    /// Owner and name.
    pub(crate) repository: RepoPath,
    /// Revision and path, decoded; empty when there are none.
    pub(crate) rest: Vec<u8>,
}

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Self::parse(parts.uri.path())
    }
}

impl At {
    /// Reads `/owner/name[/view[/rest]]`. Not axum's own extractor: that one refuses paths that are not UTF-8.
    fn parse(path: &str) -> Result<Self, Failure> {
        let mut parts = path.trim_start_matches('/').splitn(4, '/');
        let mut name = || String::from_utf8(target::decode(parts.next().unwrap_or_default()));
        let owner = name().map_err(|_| Failure::NotFound)?;
        let repository = name().map_err(|_| Failure::NotFound)?;
        let rest = target::decode(parts.nth(1).unwrap_or_default());
        Ok(Self { repository: RepoPath::parse(&owner, &repository)?, rest })
    }
}

/// The pages of a repository that have a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    /// Files.
    Code,
    /// History.
    Commits,
    /// Search.
    Search,
    /// Settings.
    Settings,
}

/// Head and tabs.
pub(crate) struct RepoHead {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) visibility: &'static str,
    pub(crate) can_maintain: bool,
    pub(crate) can_admin: bool,
    pub(crate) is_empty: bool,
    path: RepoPath,
    revision: Option<String>,
    tab: Tab,
}

impl RepoHead {
    /// The head of a page at `revision`; `None` where the page has none.
    pub(crate) fn of(frame: &RepoFrame, tab: Tab, revision: Option<&Revision>) -> Self {
        let path = &frame.repo.path;
        Self {
            owner: path.owner.to_string(),
            name: path.name.to_string(),
            visibility: visibility_word(frame.repo.visibility),
            can_maintain: frame.can_maintain,
            can_admin: frame.can_admin,
            is_empty: frame.branches.is_empty() && frame.tags.is_empty(),
            path: path.clone(),
            revision: revision.map(|revision| revision.name.clone()),
            tab,
        }
    }

    /// The repository's home.
    pub(crate) fn href(&self) -> String {
        target::repository(&self.path)
    }

    pub(crate) fn commits_href(&self) -> String {
        match &self.revision {
            Some(revision) => target::within(&self.path, "commits", revision, &TreePath::default()),
            None => format!("{}/commits", self.href()),
        }
    }

    /// Search, at the page's revision.
    pub(crate) fn search_href(&self) -> String {
        let revision = self.revision.as_deref().map(|revision| format!("?ref={}", target::encode(revision.as_bytes())));
        format!("{}/search{}", self.href(), revision.unwrap_or_default())
    }

    /// Search for a file by its name, at the page's revision.
    pub(crate) fn names_href(&self) -> String {
        super::search::names_href(&self.href(), self.revision.as_deref())
    }

    pub(crate) fn current(&self, tab: &str) -> &'static str {
        let own = match self.tab {
            Tab::Code => "code",
            Tab::Commits => "commits",
            Tab::Search => "search",
            Tab::Settings => "settings",
        };
        if own == tab { r#" aria-current="page""# } else { "" }
    }
}

/// The menu that switches between branches and tags, staying on the same page.
pub(crate) struct RefMenu {
    pub(crate) shown: String,
    pub(crate) is_detached: bool,
    pub(crate) branches: Vec<RefItem>,
    pub(crate) tags: Vec<RefItem>,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// A branch or tag in the menu.
pub(crate) struct RefItem {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) is_current: bool,
}

impl RefMenu {
    /// The menu of a page of kind `view` (`src` or `commits`) at `revision` and `below`.
    pub(crate) fn of(frame: &RepoFrame, view: &str, revision: &Revision, below: &TreePath) -> Self {
        let item = |name: &RefName| RefItem {
            name: name.short().to_owned(),
            href: target::reference(name),
            is_current: revision.reference.as_ref() == Some(name),
        };
        let short = revision.commit.short().to_owned();
        let after = if below.is_root() { String::new() } else { format!("/{}", target::encode(below.as_bytes())) };
        Self {
            shown: revision.reference.as_ref().map_or(short, |name| name.short().to_owned()),
            is_detached: revision.reference.is_none(),
            branches: frame.branches.iter().map(item).collect(),
            tags: frame.tags.iter().map(item).collect(),
            before: format!("{}/{view}/", target::repository(&frame.repo.path)),
            after,
        }
    }
}

/// One part of the path above a directory or file; the last one has no address.
pub(crate) struct Crumb {
    pub(crate) name: String,
    pub(crate) href: Option<String>,
}

/// The path from the repository down to `below`.
pub(crate) fn crumbs(repository: &RepoPath, revision: &Revision, below: &TreePath) -> Vec<Crumb> {
    let root = target::within(repository, "src", &revision.name, &TreePath::default());
    let mut crumbs = vec![Crumb { name: repository.name.to_string(), href: Some(root.clone()) }];
    let mut href = root;
    for part in below.parts() {
        href = format!("{href}/{}", target::encode(part));
        crumbs.push(Crumb { name: one_line(part), href: Some(href.clone()) });
    }
    if let Some(last) = crumbs.last_mut() {
        last.href = None;
    }
    crumbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_requests_are_read_as_bytes() {
        let at = At::parse("/alice/notes.git/src/main/a%20b/%FF%23").unwrap();
        assert_eq!((at.repository.to_string().as_str(), &at.rest[..]), ("alice/notes", &b"main/a b/\xff#"[..]));
        assert_eq!(At::parse("/alice/notes/commits").unwrap().rest, b"");
        for refused in ["/", "/alice", "/alice/..", "/al%2Fice/notes", "/%FF/notes", "/sign-in/notes"] {
            assert!(matches!(At::parse(refused), Err(Failure::NotFound)), "{refused}");
        }
    }
}
