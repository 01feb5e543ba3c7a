//! Pages that a browser has already: a tag for what a page is made of, and the short answer to who names it. Asked after
//! the forge has said that the visitor may read; never keeps a page itself, and gives no tag to a visitor with a session,
//! whose browser is to keep nothing.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};

use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base::clock::Timestamp;
use base::name::Oid;
use forge::RepoFrame;

use super::asset;
use super::failure::PageResult;
use super::moment;
use super::target::Notice;
use super::visit::Visit;

/// Kept by the visitor's own browser, and asked for each time: rights may have ended.
const ASKED_FOR: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Bytes under an object id, which everyone may read: they are the same for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// What a page is made of: the object that it shows, word for word, and a digest of all that surrounds it.
pub(crate) struct Tag {
    object: String,
    rest: DefaultHasher,
    is_given: bool,
}

impl Tag {
    /// For a page of `object` in this repository, for this visitor.
    ///
    /// All visitors without a session see the same page: what they see of the repository is in the tag, as is the address.
    pub(crate) fn of(visit: &Visit, frame: &RepoFrame, object: &Oid) -> Self {
        let mut rest = DefaultHasher::new();
        (env!("CARGO_PKG_VERSION"), asset::address("site.css"), asset::address("copy.js"), asset::address("live.js"))
            .hash(&mut rest);
        (visit.here.as_str(), visit.notice.map(Notice::text), visit.has_ca, &visit.banner).hash(&mut rest);
        let shown = (frame.can_write, frame.can_maintain, frame.can_admin, visibility(frame), &frame.repo.description);
        (frame.repo.path.to_string(), shown).hash(&mut rest);
        (frame.default_branch.as_str(), &frame.branches, &frame.tags).hash(&mut rest);
        Self { object: object.to_string(), rest, is_given: visit.actor.user().is_none() }
    }

    /// Adds something else that the page shows.
    #[must_use]
    pub(crate) fn with(mut self, shown: impl Hash) -> Self {
        shown.hash(&mut self.rest);
        self
    }

    /// Adds a moment as the page tells it: `3 hours ago` is another page than `4 hours ago`.
    #[must_use]
    pub(crate) fn at(self, moment: Timestamp, now: Timestamp) -> Self {
        self.with((moment.0, moment::relative(moment, now)))
    }

    /// The answer to a browser that has the page already.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Response> {
        let tag = self.written();
        let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut named = given.flat_map(|list| list.split(',')).map(str::trim);
        (self.is_given && named.any(|one| one == tag)).then(|| {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.mark(response.headers_mut());
            response
        })
    }

    /// Puts the tag on a page. `is_final` is false for a page that will be another the next time: colours that were not
    /// ready.
    pub(crate) fn on(&self, page: PageResult, is_final: bool) -> PageResult {
        let mut response = page?;
        if self.is_given && is_final {
            self.mark(response.headers_mut());
        }
        Ok(response)
    }

    fn mark(&self, headers: &mut HeaderMap) {
        if let Ok(tag) = HeaderValue::from_str(&self.written()) {
            headers.insert(ETAG, tag);
            headers.insert(CACHE_CONTROL, ASKED_FOR);
        }
    }

    fn written(&self) -> String {
        let mut text = String::with_capacity(64);
        // Writing into a String cannot fail.
        let _ = write!(text, "W/\"{}-{:016x}\"", self.object, self.rest.finish());
        text
    }
}

fn visibility(frame: &RepoFrame) -> &'static str {
    super::listing::visibility_word(frame.repo.visibility)
}

/// How a file's bytes are kept by the browser of a visitor without a session: by their own id, which is all that they are
/// made of. `is_fixed` says that the address names a commit. Gives the headers, and whether the browser has the bytes.
pub(crate) fn raw(id: &Oid, headers: &HeaderMap, is_fixed: bool) -> (HeaderMap, bool) {
    let tag = format!("\"{id}\"");
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = given.flat_map(|list| list.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut marks = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        marks.insert(ETAG, tag);
        marks.insert(CACHE_CONTROL, if is_fixed { FOR_EVER } else { ASKED_FOR });
    }
    (marks, is_known)
}
