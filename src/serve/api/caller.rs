//! Who calls: a token or a name and a password in the `Authorization` header, and nothing else. Cookies are never read,
//! so that no page of another site can make a browser call; a token in an address is refused, because addresses are
//! written into logs. Sets what all answers have in common.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::Secret;
use base::name::OwnerName;
use forge::{Actor, Origin};
use futures_util::FutureExt;

use super::refusal::Refusal;
use crate::basic;
use crate::request::{Peer, RequestId, panic_text};
use crate::state::AppState;

/// Time that an answer may take to begin.
const DEADLINE: Duration = Duration::from_secs(30);
/// What a token begins with.
const TOKEN: &str = "ggt_";
/// Parameters that other programs of the family take secrets from.
const SECRET_PARAMETERS: [&str; 4] = ["token", "access_token", "private_token", "sudo"];

/// Who calls. Handlers take it as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) actor: Actor,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Refusal::Internal("no caller was read".into()))
    }
}

impl Caller {
    /// The caller's own name; who is nobody must sign in.
    pub(crate) fn name(&self) -> Result<OwnerName, Refusal> {
        Ok(self.actor.user().ok_or(forge::Error::SignInNeeded)?.name.clone())
    }
}

/// What an `Authorization` header holds.
#[derive(Debug)]
enum Sent {
    Nothing,
    Token(Secret<String>),
    Password { name: String, password: Secret<String> },
}

/// The layer around the whole API: finds out who calls, writes refusals, keeps answers out of shared caches.
pub(crate) async fn layer(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    let answer = async {
        let caller = call(&state, &parts, &id).await?;
        parts.extensions.insert(caller);
        let done = AssertUnwindSafe(next.run(Request::from_parts(parts, body))).catch_unwind().await;
        done.map_err(|panic| Refusal::Internal(format!("panicked: {}", panic_text(&*panic)).into()))
    };
    let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap_or(Err(Refusal::TooSlow));
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let site = state.forge.settings().site_url.as_str();
    if let Some(refusal) = response.extensions().get::<Arc<Refusal>>() {
        response = refusal.respond(site, &id);
    } else if response.status() == StatusCode::BAD_REQUEST {
        // A part of the address that is no text: axum's own words.
        response = Refusal::not_found().respond(site, &id);
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

async fn call(state: &AppState, parts: &Parts, id: &str) -> Result<Caller, Refusal> {
    if parts.uri.query().is_some_and(has_secret) {
        return Err(Refusal::Unknown("a token is taken from the Authorization header alone, never from an address"));
    }
    if parts.headers.contains_key("sudo") {
        return Err(Refusal::Forbidden("Sudo is not known here: use a token of that account".into()));
    }
    let address = parts.extensions.get::<Peer>().map(|peer| peer.address());
    let origin = Origin { address, request: Some(id.into()) };
    let actor = match sent(&parts.headers)? {
        Sent::Nothing => Actor::Anonymous,
        // The forge takes what begins like a token for one, whatever name stands beside it.
        Sent::Token(secret) if secret.expose().starts_with(TOKEN) => state.forge.basic("", &secret, origin).await?,
        Sent::Token(_) => return Err(forge::Error::SignInRefused.into()),
        Sent::Password { name, password } => state.forge.basic(&name, &password, origin).await?,
    };
    Ok(Caller { actor })
}

/// The form of the header decides; what is in no known form is refused, never taken for nothing.
fn sent(headers: &HeaderMap) -> Result<Sent, Refusal> {
    let refused = || Refusal::Unknown("the Authorization header is not one that is understood");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Sent::Nothing) };
    let text = value.to_str().map_err(|_| refused())?;
    if values.next().is_some() || text.len() > 1024 {
        return Err(refused());
    }
    let (scheme, rest) = text.split_once(' ').ok_or_else(refused)?;
    let token = |text: &str| Sent::Token(Secret::new(text.trim().to_owned()));
    if scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer") {
        return Ok(token(rest));
    }
    let Some(found) = basic::credentials(headers).map_err(|_| refused())? else { return Err(refused()) };
    // Programs put a token on either side of the colon.
    if found.secret.expose().starts_with(TOKEN) {
        return Ok(Sent::Token(found.secret));
    }
    if found.name.starts_with(TOKEN) {
        return Ok(token(&found.name));
    }
    Ok(Sent::Password { name: found.name, password: found.secret })
}

fn has_secret(query: &str) -> bool {
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let names = names.map(|name| percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase());
    names.into_iter().any(|name| SECRET_PARAMETERS.contains(&name.as_str()))
}

/// The answer to a path that the API does not know.
pub(crate) async fn absent() -> Refusal {
    Refusal::not_found()
}

/// The answer to a method that a path does not know.
pub(crate) async fn wrong_method() -> Refusal {
    Refusal::WrongMethod
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Sent, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        sent(&headers)
    }

    #[test]
    fn a_token_is_found_wherever_programs_put_it() {
        // The last two are `x:ggt_abc` and `ggt_abc:`.
        let values = ["token ggt_abc", "Bearer ggt_abc", "bearer  ggt_abc", "Basic eDpnZ3RfYWJj", "Basic Z2d0X2FiYzo="];
        for value in values {
            assert!(matches!(read(value), Ok(Sent::Token(secret)) if secret.expose() == "ggt_abc"), "{value}");
        }
    }

    #[test]
    fn what_is_in_no_known_form_is_refused_and_never_taken_for_nothing() {
        for value in ["", "token", "ggt_abc", "Digest x", "Basic", "Basic !!", &format!("token {}", "x".repeat(2000))] {
            assert!(read(value).is_err(), "{value}");
        }
        assert!(matches!(sent(&HeaderMap::new()), Ok(Sent::Nothing)));
    }

    #[test]
    fn secrets_in_addresses_are_seen_in_every_spelling() {
        for query in ["token=x", "a=b&access_token=y", "Token=", "%74oken=x", "private_token", "sudo=root"] {
            assert!(has_secret(query), "{query}");
        }
        assert!(!has_secret("q=token&tokens=1"));
    }
}
