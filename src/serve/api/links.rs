//! Addresses and times as the API writes them: absolute, below SITE_URL, whatever name the caller used for the host.

use base::clock::Timestamp;
use base::name::{Oid, RepoPath, TreePath};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::state::AppState;
use crate::web::target::{encode, encode_value};

const MOMENT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A time in RFC 3339, UTC. What no calendar has becomes the epoch's start.
pub(crate) fn moment(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at.seconds()).ok().filter(|at| (0..=9999).contains(&at.year()));
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&MOMENT).unwrap_or_default()
}

/// A time that is written in RFC 3339, and the minutes that its place is ahead of UTC.
pub(crate) fn read_moment(text: &str) -> Option<(Timestamp, i16)> {
    let read = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some((Timestamp(read.unix_timestamp().saturating_mul(1_000_000)), read.offset().whole_minutes()))
}

/// Writes addresses of one site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links<'a>(&'a str);

impl<'a> Links<'a> {
    pub(crate) fn of(state: &'a AppState) -> Self {
        Self(state.forge.settings().site_url.as_str())
    }

    /// A page's address; `path` begins with a slash.
    pub(crate) fn page(self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// An address of the API; `path` begins with a slash.
    pub(crate) fn api(self, path: &str) -> String {
        format!("{}/api/v1{path}", self.0)
    }

    /// An address of the API below a repository.
    pub(crate) fn repo(self, repo: &RepoPath, path: &str) -> String {
        self.api(&format!("/repos/{repo}{path}"))
    }

    /// The repository's own page and what is below it.
    pub(crate) fn repo_page(self, repo: &RepoPath, path: &str) -> String {
        self.page(&format!("/{repo}{path}"))
    }

    /// A commit's address in the API.
    pub(crate) fn commit(self, repo: &RepoPath, id: &Oid) -> String {
        self.repo(repo, &format!("/git/commits/{id}"))
    }

    /// A commit's page.
    pub(crate) fn commit_page(self, repo: &RepoPath, id: &Oid) -> String {
        self.repo_page(repo, &format!("/commit/{id}"))
    }

    /// The address of a path's contents in the API.
    pub(crate) fn contents(self, repo: &RepoPath, path: &TreePath, reference: &str) -> String {
        let path = encode(path.as_bytes());
        self.repo(repo, &format!("/contents/{path}?ref={}", encode_value(reference)))
    }

    /// Where a file is to be had as it is, with the credentials of a program.
    pub(crate) fn raw(self, repo: &RepoPath, path: &TreePath, reference: &str) -> String {
        let path = encode(path.as_bytes());
        self.repo(repo, &format!("/raw/{path}?ref={}", encode_value(reference)))
    }

    /// The host of the site, for addresses that nobody writes to.
    pub(crate) fn host(self) -> &'a str {
        let rest = self.0.split_once("://").map_or(self.0, |(_, rest)| rest);
        rest.split(['/', ':']).next().unwrap_or(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_and_what_no_calendar_has_is_the_epoch() {
        assert_eq!(moment(Timestamp(1_795_226_400_000_000)), "2026-11-21T02:00:00Z");
        for seconds in [i64::MAX / 1_000_000, -100_000_000_000_000, 253_402_300_800] {
            assert_eq!(moment(Timestamp(seconds.saturating_mul(1_000_000))), "1970-01-01T00:00:00Z");
        }
    }

    #[test]
    fn the_host_is_a_name_alone() {
        assert_eq!(Links("https://forge.internal:8828").host(), "forge.internal");
    }
}
