//! How a registry is told who asks: with user and password, or with a token of the service that it names. Nobody hears the password
//! before saying how, one that takes tokens never does, and a service hears it only over TLS or on this very host, when it is on the
//! registry's own host or was named by whoever gave the password. A token goes to the registry alone.
//!
//! <https://distribution.github.io/distribution/spec/auth/token>

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::Secret;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use tokio::runtime::Runtime;
use url::{Position, Url};

use crate::egress::Egress;
use crate::registry_challenge::{self, Challenge};
use crate::registry_error::RegistryError;
use crate::text::{has_credentials, is_here, line};
use crate::trust::Trust;

/// How much of a service's answer is read, in bytes.
const ANSWER: usize = 64 << 10;
/// The longest token, in bytes: what a header can hold.
const TOKEN: usize = 16 << 10;
/// How long a token lasts whose service does not say it, in seconds.
const LASTS: u64 = 60;
/// What a question for a token says in its query.
const OURS: [&str; 5] = ["scope", "service", "account", "client_id", "offline_token"];
/// How long any token is used, in seconds.
const LONGEST: u64 = 3600;

/// Whom a registry knows.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret<String>,
    /// A service that may hear it, too, when the registry takes its tokens: its address, of which host and port count, and the path when it has one.
    pub realm: Option<String>,
}

/// What the registry hears of whoever asks.
pub(crate) struct Access {
    address: String,
    base: Url,
    trust: Trust,
    login: Option<Login>,
    named: Option<Url>,
    known: Mutex<Known>,
}

/// What it wants to hear, as far as it has said by now.
#[derive(Default)]
struct Known {
    way: Way,
    /// By what they allow.
    tokens: HashMap<String, Token>,
}

#[derive(Default)]
enum Way {
    #[default]
    Unknown,
    Password,
    Token(Service),
}

/// Who gives tokens.
struct Service {
    egress: Egress,
    place: Url,
}

struct Token {
    text: Secret<String>,
    until: Instant,
}

impl Access {
    /// Nothing is known of the registry at `base` yet.
    pub(crate) fn new(base: &Url, trust: &Trust, login: Option<Login>) -> Result<Self, RegistryError> {
        let named = login.as_ref().and_then(|login| login.realm.as_deref()).map(named).transpose()?;
        let address = base.origin().ascii_serialization();
        Ok(Self { address, base: base.clone(), trust: trust.clone(), login, named, known: Mutex::default() })
    }

    /// Says whether there is somebody to tell of.
    pub(crate) const fn is_told(&self) -> bool {
        self.login.is_some()
    }

    /// Says who asks, in the way that is known by now; a token that ran out is renewed before.
    pub(crate) fn sign(
        &self,
        runtime: &Runtime,
        request: RequestBuilder,
        scopes: &[String],
    ) -> Result<RequestBuilder, RegistryError> {
        let Some(login) = &self.login else { return Ok(request) };
        let known = &mut *self.lock();
        let service = match &known.way {
            Way::Unknown => return Ok(request),
            Way::Password => return Ok(request.basic_auth(&login.user, Some(login.password.expose()))),
            Way::Token(service) => service,
        };
        let allowed = scopes.join(" ");
        if let Some(token) = known.tokens.get(&allowed).filter(|token| Instant::now() < token.until) {
            return Ok(request.bearer_auth(token.text.expose()));
        }
        let token = service.token(runtime, login, scopes)?;
        let request = request.bearer_auth(token.text.expose());
        known.tokens.insert(allowed, token);
        Ok(request)
    }

    /// Takes in what a registry says that wants to know more. `false` when it was told already.
    pub(crate) fn learn(&self, headers: &HeaderMap) -> Result<bool, RegistryError> {
        if self.login.is_none() {
            return Ok(false);
        }
        let ways = registry_challenge::read(headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes));
        let ways = ways.ok_or_else(|| self.broken("how it wants to be told who asks does not parse"))?;
        let known = &mut *self.lock();
        for way in &ways {
            if let Challenge::Bearer { realm, service } = way {
                known.way = Way::Token(self.service(realm, service.as_deref())?);
                known.tokens.clear();
                return Ok(true);
            }
        }
        // One that took tokens never hears the password after all.
        let is_new = ways.contains(&Challenge::Basic) && matches!(known.way, Way::Unknown);
        if is_new {
            known.way = Way::Password;
        }
        Ok(is_new)
    }

    /// The service at `realm`, when it may hear the password.
    fn service(&self, realm: &str, service: Option<&str>) -> Result<Service, RegistryError> {
        let mut place = Url::parse(realm).map_err(|_| self.broken("where tokens are to be had does not parse"))?;
        if has_credentials(realm) || place.fragment().is_some() {
            return Err(self.broken("where tokens are to be had holds more than an address"));
        }
        // What is asked for is said here alone, and the hint that names the host is one that can be typed.
        if place.query_pairs().any(|(name, _)| OURS.contains(&name.as_ref())) {
            return Err(self.broken("where tokens are to be had says what for"));
        }
        if !place
            .host_str()
            .unwrap_or_default()
            .bytes()
            .all(|sign| sign.is_ascii_alphanumeric() || b".-_[]:".contains(&sign))
        {
            return Err(self.broken("where tokens are to be had names no host"));
        }
        let is_same = place.origin() == self.base.origin();
        let is_named = self.named.as_ref().is_some_and(|named| {
            named.origin() == place.origin() && (named.path() == "/" || named.path() == place.path())
        });
        match place.scheme() {
            "https" => {}
            "http" if is_here(&place) && (is_same || is_named) => {}
            "http" => return Err(self.broken("it wants the password to go over plain HTTP")),
            _ => return Err(self.broken("tokens are to be had neither over https nor over http")),
        }
        // Whoever has another port of a host over TLS has that host's certificate.
        if !is_same && !is_named && (place.scheme() != "https" || place.host() != self.base.host()) {
            let realm = line(&place.origin().ascii_serialization());
            return Err(RegistryError::Realm { address: self.address.clone(), realm });
        }
        if let Some(service) = service {
            place.query_pairs_mut().append_pair("service", service);
        }
        let origin = place.origin().ascii_serialization();
        let absent = |source| RegistryError::Absent { address: line(&origin), what: "begin".into(), source };
        let egress = Egress::new(&origin, &self.trust).map_err(absent)?;
        Ok(Service { egress, place })
    }

    fn broken(&self, why: &str) -> RegistryError {
        RegistryError::Protocol { address: self.address.clone(), why: why.into() }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Access").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The service that was named.
fn named(realm: &str) -> Result<Url, RegistryError> {
    let shown = if has_credentials(realm) { "…".to_owned() } else { line(realm) };
    let refused = |why| RegistryError::Address { address: shown.clone(), why };
    let url = Url::parse(realm).map_err(|_| refused("it does not parse"))?;
    match url.scheme() {
        _ if has_credentials(realm) => Err(refused("it holds more than a host and a folder")),
        "https" => Ok(url),
        "http" if is_here(&url) => Ok(url),
        "http" => Err(refused("a password does not go over plain HTTP")),
        _ => Err(refused("it is neither https nor http")),
    }
}

/// What a service answers.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
}

impl Service {
    fn token(&self, runtime: &Runtime, login: &Login, scopes: &[String]) -> Result<Token, RegistryError> {
        let mut place = self.place.clone();
        place.query_pairs_mut().extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        let address = line(&place.origin().ascii_serialization());
        let what = "have a token".to_owned();
        let asked = Instant::now();
        let request = self.egress.request(Method::GET, &place[Position::BeforePath..]);
        let request = request.basic_auth(&login.user, Some(login.password.expose()));
        let absent = |error: &reqwest::Error| {
            let source = self.egress.explain(error);
            RegistryError::Absent { address: address.clone(), what: what.clone(), source }
        };
        let mut response = runtime.block_on(async { request.send().await }).map_err(|error| absent(&error))?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err(RegistryError::Denied { address, what, is_told: true }),
            status => {
                let what = "give a token".to_owned();
                return Err(RegistryError::Refused { address, what, status, message: String::new() });
            }
        }
        let body = runtime.block_on(async { body(&mut response).await }).map_err(|error| absent(&error))?;
        // Nothing of it is repeated: it may hold a token after all.
        let broken = || RegistryError::Protocol { address: address.clone(), why: "it gave no token".into() };
        let given: Given = body.and_then(|body| serde_json::from_slice(&body).ok()).ok_or_else(broken)?;
        let is_good =
            |text: &String| (1..=TOKEN).contains(&text.len()) && text.bytes().all(|sign| sign.is_ascii_graphic());
        let text = given.token.filter(is_good).or(given.access_token.filter(is_good)).ok_or_else(broken)?;
        let lasts = given.expires_in.and_then(|lasts| lasts.as_u64()).unwrap_or(LASTS).min(LONGEST);
        // It is renewed before its end: a piece of a blob may be long on its way.
        let until = asked + Duration::from_secs(lasts) * 3 / 4;
        Ok(Token { text: Secret::new(text), until })
    }
}

/// All of an answer; `None` when it is too long.
async fn body(response: &mut Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(base: &str, realm: Option<&str>) -> Result<Access, RegistryError> {
        let login = Login { user: "a".into(), password: Secret::new("b".into()), realm: realm.map(str::to_owned) };
        Access::new(&Url::parse(base).unwrap(), &Trust::system(), Some(login))
    }

    #[test]
    fn the_password_goes_to_the_registrys_own_host_or_to_whom_was_named() {
        let (own, here) = ("https://r.site:5000", "http://127.0.0.1:5000");
        for (base, named, realm, id) in [
            (own, None, "https://r.site:5000/token", None),
            (own, None, "https://R.SITE/jwt/auth?x=1", None),
            (own, Some("https://git.site"), "https://git.site/jwt/auth", None),
            (own, Some("https://git.site/jwt/auth"), "https://git.site:443/jwt/auth?x=1", None),
            (own, Some("https://git.site/jwt/auth"), "https://git.site:443/other", Some("188")),
            (own, None, "https://r.site:5000/token?scope=repository:other:pull", Some("179")),
            (own, None, "https://r.site:5000/token?a=1&%73ervice=b", Some("179")),
            (own, None, "https://a;reboot/token", Some("179")),
            (own, Some("http://127.0.0.1:9"), "http://127.0.0.1:9/token", None),
            (here, None, "http://127.0.0.1:5000/token", None),
            (here, None, "https://127.0.0.1/token", None),
            (own, None, "https://git.site/jwt/auth", Some("188")),
            (own, None, "https://r.site.evil.example/token", Some("188")),
            (own, None, "https://a.r.site/token", Some("188")),
            (own, None, "https://site/token", Some("188")),
            (own, Some("https://git.site"), "https://git.site:8443/jwt/auth", Some("188")),
            (own, Some("https://git.site"), "http://git.site/jwt/auth", Some("179")),
            (own, None, "http://r.site:5000/token", Some("179")),
            (own, None, "http://127.0.0.1/token", Some("179")),
            (here, None, "http://127.0.0.1:5001/token", Some("179")),
            (own, None, "https://r.site@evil.example/token", Some("179")),
            (own, None, "https://user:pass@r.site:5000/token", Some("179")),
            (own, None, "ftp://r.site:5000/token", Some("179")),
            (own, None, "data:,x", Some("179")),
            (own, None, "/token", Some("179")),
            (own, None, "", Some("179")),
        ] {
            let found = access(base, named).unwrap().service(realm, None).map(drop);
            let found = found.err().and_then(|error| error.id());
            assert_eq!(found, id.map(|id| format!("GG-BUNDLE-{id}")).as_deref(), "{base} {named:?} {realm}");
        }
    }

    #[test]
    fn who_is_named_is_an_address_that_a_password_may_go_to() {
        for wrong in [
            "",
            "git.site",
            "http://git.site",
            "http://127.evil.example",
            "ftp://git.site",
            "https://a:hunter2@git.site",
        ] {
            let error = access("https://r.site", Some(wrong)).unwrap_err();
            assert!(
                matches!(error, RegistryError::Address { .. }) && !error.to_string().contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn nothing_shows_the_password() {
        let login = Login { user: "a".into(), password: Secret::new("hunter2".into()), realm: None };
        let access = Access::new(&Url::parse("https://r.site").unwrap(), &Trust::system(), Some(login));
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
