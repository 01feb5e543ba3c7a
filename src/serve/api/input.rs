//! What a request carries: parts of its path, parameters, and a JSON body of bounded size. Fields that are not known are
//! passed over, as clients of the family expect; a field of another type is refused.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::name::{OwnerName, RepoPath};
use forge::Stretch;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;
use crate::state::AppState;
use crate::web::target::encode_value;

/// Bytes of a body, unless its address takes more.
pub(crate) const BODY: usize = 64 << 10;
/// Bytes of a body that holds files.
const LARGE: usize = 32 << 20;
/// Large bodies at once: each is held whole, and once more when it is decoded.
const PLACES: usize = 4;
/// How long a large body waits for a place.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows on a page, unless asked for otherwise, and at most.
pub(crate) const ROWS: usize = 30;
pub(crate) const MOST_ROWS: usize = 50;
/// The last page that is looked at.
const LAST_PAGE: usize = 100_000;

/// The parts of the path, decoded.
#[derive(Debug)]
pub(crate) struct At(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        // No name holds a NUL, and a database takes none.
        let is_plain = |parts: &HashMap<String, String>| !parts.values().any(|part| part.contains('\0'));
        found.ok().map(|Path(parts)| parts).filter(is_plain).map(Self).ok_or_else(Refusal::not_found)
    }
}

impl At {
    /// The repository; absent when none could have this name.
    pub(crate) fn repo(&self) -> Result<RepoPath, Refusal> {
        RepoPath::parse(self.text("owner"), self.text("repo")).map_err(|_| Refusal::not_found())
    }

    /// A user's or an organisation's name; absent when none could have it.
    pub(crate) fn owner(&self, part: &str) -> Result<OwnerName, Refusal> {
        OwnerName::parse(self.text(part)).map_err(|_| Refusal::not_found())
    }

    /// A part as text; empty when the route has none of that name.
    pub(crate) fn text(&self, part: &str) -> &str {
        self.0.get(part).map_or("", String::as_str)
    }

    /// A part as a number; absent when it is none.
    pub(crate) fn number(&self, part: &str) -> Result<i64, Refusal> {
        self.text(part).parse().map_err(|_| Refusal::not_found())
    }
}

/// The parameters behind the question mark; of equal names the first counts.
#[derive(Debug)]
pub(crate) struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let is_plain = |pairs: &Vec<(String, String)>| !pairs.iter().any(|(_, value)| value.contains('\0'));
        let found = found.ok().map(|Query(pairs)| pairs).filter(is_plain);
        found.map(Self).ok_or_else(|| Refusal::Unfit("the parameters do not read".into()))
    }
}

impl Asked {
    /// A parameter's text; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// A parameter that is true or false; what is neither is not there.
    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        match self.text(name) {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// A parameter that is a number; what is none is not there.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }
}

/// Which page of a list is wanted, and how to write it. What is no number or too large is clamped, as clients expect.
#[derive(Debug)]
pub(crate) struct Page {
    number: usize,
    limit: usize,
    /// Address of the list, parameters without `page` behind it.
    base: String,
}

impl FromRequestParts<AppState> for Page {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let asked = Asked::from_request_parts(parts, state).await?;
        let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.0.path());
        let site = state.forge.settings().site_url.as_str();
        Ok(Self::of(&asked, &format!("{site}{path}")))
    }
}

impl Page {
    fn of(asked: &Asked, address: &str) -> Self {
        let asked_for = |name: &str| asked.text(name).parse::<usize>().ok().filter(|number| *number > 0);
        let mut base = format!("{address}?");
        for (name, value) in asked.0.iter().filter(|(name, _)| name != "page") {
            // Writing into a String has no way to fail.
            let _ = write!(base, "{}={}&", encode_value(name), encode_value(value));
        }
        Self {
            number: asked_for("page").unwrap_or(1).min(LAST_PAGE),
            limit: asked_for("limit").unwrap_or(ROWS).min(MOST_ROWS),
            base,
        }
    }

    /// The part of the list.
    pub(crate) const fn window(&self) -> Stretch {
        Stretch { skip: (self.number - 1) * self.limit, limit: self.limit }
    }

    /// The page's number, from 1, and the rows on it.
    pub(crate) fn numbered(&self) -> (u32, u32) {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (small(self.number), small(self.limit))
    }

    /// The rows of this page out of a list that is all here.
    pub(crate) fn cut<T>(&self, all: Vec<T>) -> (Vec<T>, usize) {
        let total = all.len();
        let Stretch { skip, limit } = self.window();
        (all.into_iter().skip(skip).take(limit).collect(), total)
    }

    /// The answer: a list, how many there are in all, and where the other pages are.
    pub(crate) fn list<T: Serialize>(&self, rows: &T, total: usize) -> Response {
        self.wrapped(Json(rows).into_response(), total)
    }

    /// An answer that holds a list, with the headers of one.
    pub(crate) fn wrapped(&self, mut response: Response, total: usize) -> Response {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
        let links = self.links(total);
        if let Ok(value) = HeaderValue::from_str(&links)
            && !links.is_empty()
        {
            headers.insert(LINK, value);
        }
        response
    }

    fn links(&self, total: usize) -> String {
        let last = total.div_ceil(self.limit).max(1);
        let mut links = Vec::new();
        let mut add = |page: usize, relation: &str| {
            links.push(format!("<{}page={page}>; rel=\"{relation}\"", self.base));
        };
        if self.number < last {
            add(self.number + 1, "next");
            add(last, "last");
        }
        if self.number > 1 {
            add(1, "first");
            add((self.number - 1).min(last), "prev");
        }
        links.join(",")
    }
}

/// A JSON body of at most `MOST` bytes. It is read before any right is looked at, so it is small.
#[derive(Debug)]
pub(crate) struct Taken<T, const MOST: usize = BODY>(pub(crate) T);

impl<T: DeserializeOwned, const MOST: usize, S: Send + Sync> FromRequest<S> for Taken<T, MOST> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        parsed(request, MOST).await.map(Self)
    }
}

/// The places for large bodies.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }

    /// A JSON body that holds files, for who is known to be let in. The place is held for as long as what came of it.
    pub(crate) async fn take<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<(T, Option<OwnedSemaphorePermit>), Refusal> {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length <= BODY) {
            return Ok((parsed(request, BODY).await?, None));
        }
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or(Refusal::Forge(forge::Error::Busy))?;
        Ok((parsed(request, LARGE).await?, Some(place)))
    }
}

/// Reads a small body before anything is decided: a refusal that leaves it unread ends the connection, and some clients
/// then lose the refusal.
pub(crate) async fn read_small(request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_none_or(|length: usize| length == 0 || length > BODY) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(PATIENCE, whole(body, BODY)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => Refusal::Forge(forge::Error::Busy).into_response(),
    }
}

async fn parsed<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Refusal> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if kind.is_some_and(|kind| kind != "application/json" && !kind.ends_with("+json")) {
        return Err(Refusal::WrongKind);
    }
    let bytes = whole(body, most).await?;
    let parsed = serde_json::from_slice(if bytes.is_empty() { b"{}" } else { &bytes });
    parsed.map_err(|error| Refusal::Unfit(format!("the body does not fit: {error}")))
}

/// A whole body of at most so many bytes.
pub(crate) async fn whole(body: Body, most: usize) -> Result<bytes::Bytes, Refusal> {
    to_bytes(body, most).await.map_err(|_| Refusal::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&str, &str)]) -> Page {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Page::of(&Asked(pairs), "https://forge.internal/api/v1/x")
    }

    #[test]
    fn pages_are_clamped_and_never_refused() {
        for (pairs, skip, limit) in [
            (&[][..], 0, 30),
            (&[("page", "2"), ("limit", "10")], 10, 10),
            (&[("page", "0"), ("limit", "0")], 0, 30),
            (&[("page", "-1"), ("limit", "1000000")], 0, 50),
            (&[("page", "x"), ("limit", "")], 0, 30),
            (&[("page", "99999999999999999999")], 0, 30),
            (&[("page", "9999999"), ("limit", "1")], LAST_PAGE - 1, 1),
        ] {
            assert_eq!(page(pairs).window(), Stretch { skip, limit }, "{pairs:?}");
        }
    }

    #[test]
    fn the_other_pages_are_named_with_all_parameters() {
        let links = page(&[("q", "a b"), ("page", "2"), ("limit", "10")]).links(35);
        let base = "https://forge.internal/api/v1/x?q=a%20b&limit=10&page=";
        let expected = ["3>; rel=\"next\"", "4>; rel=\"last\"", "1>; rel=\"first\"", "1>; rel=\"prev\""];
        let expected: Vec<_> = expected.iter().map(|end| format!("<{base}{end}")).collect();
        assert_eq!(links, expected.join(","));
        assert_eq!(page(&[]).links(3), "");
    }
}
