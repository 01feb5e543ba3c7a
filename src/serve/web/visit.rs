//! Who visits and how: the session behind the cookie, read once for each request, and the refusal of forms that other
//! sites send. Sets what all pages' answers have in common: a deadline, a page in place of a panic, and that nothing of
//! a session is kept by the browser. Decides no right; that is the forge's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CACHE_CONTROL, COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::Secret;
use base::clock::Timestamp;
use forge::{Actor, Banner, Origin, SignedIn, Waiting};
use futures_util::FutureExt;

use super::failure::Failure;
use super::target::{LocalPath, Notice};
use crate::request::{Peer, RequestId, panic_text};
use crate::state::AppState;

/// Time that a page may take to begin its answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a page knows of its visitor. Handlers take it as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// Who it is.
    pub(crate) actor: Actor,
    /// What forms of this session carry back; none without a session.
    pub(crate) csrf: Option<Secret<String>>,
    /// The address.
    pub(crate) here: LocalPath,
    /// Where to come back to after signing in: the address, or the start for one that only takes forms.
    pub(crate) back: LocalPath,
    /// What the page before wants said.
    pub(crate) notice: Option<Notice>,
    /// The moment of the request.
    pub(crate) now: Timestamp,
    /// The request's name in the log.
    pub(crate) request: String,
    /// Says whether `/ca.pem` has something to give.
    pub(crate) has_ca: bool,
    /// What stands at the top and the foot of every page.
    pub(crate) banner: Option<Banner>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Failure::Internal("no visit was read".into()))
    }
}

/// The layer around every page: reads the visit, refuses foreign forms, draws failures.
pub(crate) async fn layer(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
    let mut visit = anonymous(&state, &parts);
    let answer = async {
        read(&state, &parts, &mut visit).await?;
        if !is_open_to_all(parts.uri.path()) {
            state.forge.admits(&visit.actor).await?;
        }
        if !is_safe && !is_from_here(&parts.headers, &state) {
            return Err(Failure::ForeignForm);
        }
        parts.extensions.insert(visit.clone());
        let drawn = AssertUnwindSafe(next.run(Request::from_parts(parts, body))).catch_unwind().await;
        drawn.map_err(|panic| Failure::Internal(format!("panicked: {}", panic_text(&*panic)).into()))
    };
    let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap_or(Err(Failure::TooSlow));
    let mut response = finished(answer, &visit);
    let caching = if is_safe && visit.actor.user().is_none() { "private, no-cache" } else { "no-store" };
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(caching));
    response
}

/// Draws a failure, be it the layer's own or one that a handler left.
fn finished(answer: Result<Response, Failure>, visit: &Visit) -> Response {
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    match response.extensions().get::<Arc<Failure>>() {
        Some(failure) => failure.respond(visit),
        // A part of the address that is no number or no text: axum's own words.
        None if response.status() == StatusCode::BAD_REQUEST => Failure::NotFound.respond(visit),
        None => response,
    }
}

/// The cookie that carries a session. The `__Host-` name binds it to this host, `/` and TLS.
pub(crate) fn cookie(state: &AppState, signed_in: &SignedIn) -> String {
    written(SESSION, state.is_https, signed_in.token.expose(), left(state, signed_in.expires))
}

/// The cookie that ends a session in the browser.
pub(crate) fn ended_cookie(state: &AppState) -> String {
    written(SESSION, state.is_https, "", 0)
}

/// The cookie that carries a sign-in that waits for its second factor.
pub(crate) fn waiting_cookie(state: &AppState, waiting: &Waiting) -> String {
    written(WAITING, state.is_https, waiting.token.expose(), left(state, waiting.expires))
}

/// The cookie that forgets a sign-in that waited.
pub(crate) fn ended_waiting_cookie(state: &AppState) -> String {
    written(WAITING, state.is_https, "", 0)
}

/// The sign-in that waits, as the request names it.
pub(crate) fn waiting_token(state: &AppState, headers: &HeaderMap) -> Option<Secret<String>> {
    token_in(WAITING, headers, state.is_https)
}

fn left(state: &AppState, expires: Timestamp) -> i64 {
    expires.seconds().saturating_sub(state.clock.now().seconds()).max(0)
}

/// The visit before it is known whose it is.
fn anonymous(state: &AppState, request: &Parts) -> Visit {
    let uri = &request.uri;
    let here = uri.path_and_query().and_then(|whole| LocalPath::parse(whole.as_str()));
    let here = here.unwrap_or_else(LocalPath::start);
    Visit {
        actor: Actor::Anonymous,
        csrf: None,
        back: if request.method == Method::GET { here.clone() } else { LocalPath::start() },
        here,
        notice: uri.query().and_then(Notice::in_query),
        now: state.clock.now(),
        request: request.extensions.get::<RequestId>().map(ToString::to_string).unwrap_or_default(),
        has_ca: state.ca_certificate.is_some(),
        banner: None,
    }
}

/// What a site that requires signing in still shows: the way in, and what its page is made of.
fn is_open_to_all(path: &str) -> bool {
    path == "/sign-in" || path.starts_with("/sign-in/") || path.starts_with("/assets/") || path == "/favicon.ico"
}

/// Finds out whose visit it is. Assets are the same for everyone: no session is looked up for them.
async fn read(state: &AppState, request: &Parts, visit: &mut Visit) -> Result<(), Failure> {
    let is_asset = request.uri.path().starts_with("/assets/");
    if !is_asset {
        visit.banner.clone_from(&state.forge.site_settings().await.banner);
    }
    let token = if is_asset { None } else { token_in(SESSION, &request.headers, state.is_https) };
    let Some(token) = token else { return Ok(()) };
    if let Some(session) = state.forge.session(&token).await? {
        let address = request.extensions.get::<Peer>().map(|peer| peer.address());
        visit.actor = session.actor.coming_from(Origin { address, request: Some(visit.request.clone()) });
        visit.csrf = Some(session.csrf);
    }
    Ok(())
}

/// The names of our cookies over plain HTTP and over TLS.
const SESSION: [&str; 2] = ["gitgrit", "__Host-gitgrit"];
const WAITING: [&str; 2] = ["gitgrit-waiting", "__Host-gitgrit-waiting"];

const fn cookie_name([plain, bound]: [&'static str; 2], is_https: bool) -> &'static str {
    if is_https { bound } else { plain }
}

fn written(names: [&'static str; 2], is_https: bool, value: &str, seconds: i64) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", cookie_name(names, is_https))
}

fn token_in(names: [&'static str; 2], headers: &HeaderMap, is_https: bool) -> Option<Secret<String>> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let value =
        pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == cookie_name(names, is_https))?.1;
    let is_token = (1..=200).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| Secret::new(value.to_owned()))
}

fn is_from_here(headers: &HeaderMap, state: &AppState) -> bool {
    comes_from(headers, state.forge.settings().site_url.as_str())
}

/// Says whether a browser sent this from a page of this site. Browsers name the page's site in `Sec-Fetch-Site`, and
/// its origin in `Origin` with every POST; a request that names neither is refused.
fn comes_from(headers: &HeaderMap, site: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return false };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    origin == site || (authority.is_some() && authority == text(HOST.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        for (pairs, expected) in [
            (&[][..], false),
            (&[("origin", "null")], false),
            (&[("origin", "https://evil.example"), ("host", "forge.internal")], false),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "https://forge.internal"), ("host", "forge.internal")],
                false,
            ),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("origin", "https://forge.internal")], true),
            (&[("origin", "http://10.0.0.1:8828"), ("host", "10.0.0.1:8828")], true),
            (&[("host", "forge.internal")], false),
        ] {
            assert_eq!(comes_from(&headers(pairs), "https://forge.internal"), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_cookie_is_bound_to_host_and_tls() {
        assert_eq!(
            written(SESSION, true, "abc", 60),
            "__Host-gitgrit=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(written(SESSION, false, "", 0), "gitgrit=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn only_our_own_cookie_is_read() {
        let sent = headers(&[("cookie", "a=b; gitgrit=plain; __Host-gitgrit=bound")]);
        assert_eq!(token_in(SESSION, &sent, true).unwrap().expose(), "bound");
        assert_eq!(token_in(SESSION, &sent, false).unwrap().expose(), "plain");
        assert!(token_in(SESSION, &headers(&[("cookie", "gitgrit=")]), false).is_none());
    }
}
