//! A registry of images on the site's own network, spoken to as the OCI distribution specification says, through this room's one
//! HTTP client. Sends only what its caller has verified, and only what the registry lacks; never follows it to another host. Who asks
//! is told by `registry_login`.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, "Push".

use std::io::Read;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, RequestBuilder, Response};
use tokio::runtime::Runtime;
use url::Url;

use crate::egress::Egress;
pub use crate::registry_error::RegistryError;
use crate::registry_login::Access;
pub use crate::registry_login::Login;
use crate::text::{has_credentials, is_here, line};
use crate::trust::Trust;

/// How much of a blob is sent with one request, in bytes: so much is in memory at a time.
const PIECE: usize = 4 << 20;
/// How long one request may take, also one that carries a piece over a slow line.
const PATIENCE: Duration = Duration::from_mins(5);
/// What an OCI manifest is called.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// How much of a refusal is read, in bytes.
const WORDS: usize = 2000;

/// A registry.
#[derive(Debug)]
pub struct Registry {
    runtime: Runtime,
    egress: Egress,
    address: String,
    base: Url,
    /// The folder in it, with a slash at its end; empty for none.
    folder: String,
    access: Access,
}

/// What is asked.
struct Errand {
    /// In words.
    what: String,
    /// What a token for it must allow.
    scopes: Vec<String>,
}

impl Errand {
    /// Something about one repository.
    fn to(what: String, repository: &str) -> Self {
        Self { what, scopes: vec![format!("repository:{repository}:pull,push")] }
    }
}

impl Registry {
    /// The registry at `address`, as in `https://registry.site:5000/folder`. A password is told to nobody over plain HTTP, but on this
    /// very host.
    pub fn new(address: &str, trust: &Trust, login: Option<Login>) -> Result<Self, RegistryError> {
        let shown = if has_credentials(address) { "…".to_owned() } else { line(address) };
        let refused = |why| RegistryError::Address { address: shown.clone(), why };
        let base = Url::parse(address).map_err(|_| refused("it does not parse"))?;
        let host = base.host_str().ok_or_else(|| refused("it has no host"))?;
        let has_more = [base.password(), base.query(), base.fragment()].iter().any(Option::is_some);
        if has_more || !base.username().is_empty() {
            return Err(refused("it holds more than a host and a folder"));
        }
        let is_here = is_here(&base);
        match base.scheme() {
            "https" => {}
            "http" if login.is_none() || is_here => {}
            "http" => return Err(refused("a password does not go over plain HTTP")),
            _ => return Err(refused("it is neither https nor http")),
        }
        let folder = base.path().trim_matches('/');
        let is_part = |part: &str| {
            let is_inner = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit();
            part.bytes().all(|sign| is_inner(sign) || b"._-".contains(&sign))
                && part.bytes().next().is_some_and(is_inner)
                && part.bytes().next_back().is_some_and(is_inner)
        };
        if !folder.is_empty() && !folder.split('/').all(is_part) {
            return Err(refused("its folder is not of lower-case letters, digits, `.`, `_` and `-`"));
        }
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let root = format!("{}://{host}{port}", base.scheme());
        let absent = |source| RegistryError::Absent { address: shown.clone(), what: "begin".into(), source };
        let egress = Egress::new(&root, trust).map_err(absent)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| RegistryError::Runtime { source })?;
        let access = Access::new(&base, trust, login)?;
        Ok(Self { runtime, egress, address: root, base, folder, access })
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What a repository called `name` is called in this registry's folder.
    pub fn repository(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// Says whether the repository has the blob.
    pub fn has_blob(&self, repository: &str, digest: &str) -> Result<bool, RegistryError> {
        let errand = Errand::to(format!("say whether `{repository}` has {digest}"), repository);
        let path = format!("/v2/{repository}/blobs/{digest}");
        let response = self.ask(&errand, Method::HEAD, &path, |request| request)?;
        match response.status().as_u16() {
            // One that keeps its blobs in another store sends whoever asks for one that it has on to there: not followed, but a yes.
            200 | 302 | 307 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refusal(response, &errand)),
        }
    }

    /// Has the repository take a blob that another one of the registry has. `false` when the registry does not do that.
    pub fn mount(&self, repository: &str, digest: &str, from: &str) -> Result<bool, RegistryError> {
        let mut errand = Errand::to(format!("take {digest} of `{from}` for `{repository}`"), repository);
        errand.scopes.push(format!("repository:{from}:pull"));
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let response = self.ask(&errand, Method::POST, &path, |request| request.header(CONTENT_LENGTH, 0))?;
        match response.status().as_u16() {
            201 => Ok(true),
            202 => {
                self.give_up(&errand, response.headers());
                Ok(false)
            }
            _ => Err(self.refusal(response, &errand)),
        }
    }

    /// Sends a blob. `tell` hears of every piece that arrived. One that breaks off in the middle is begun anew by the next run.
    pub fn upload(
        &self,
        repository: &str,
        digest: &str,
        content: &mut dyn Read,
        tell: &dyn Fn(u64),
    ) -> Result<(), RegistryError> {
        let errand = Errand::to(format!("take {digest} into `{repository}`"), repository);
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.ask(&errand, Method::POST, &path, |request| request.header(CONTENT_LENGTH, 0))?;
        let begun = self.expect(begun, 202, &errand)?;
        let mut place = self.place(begun.headers())?;
        let mut at = 0_u64;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = (&mut *content).take(PIECE as u64).read_to_end(&mut piece);
            if let Err(source) = read {
                let _ = self.ask(&errand, Method::DELETE, &place, |request| request);
                return Err(RegistryError::Content { source });
            }
            if piece.is_empty() {
                break;
            }
            let size = piece.len() as u64;
            let range = format!("{at}-{}", at + size - 1);
            let response = self.ask(&errand, Method::PATCH, &place, |request| {
                let request = request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_RANGE, range);
                request.header(CONTENT_LENGTH, size).body(piece)
            })?;
            place = self.place(self.expect(response, 202, &errand)?.headers())?;
            at += size;
            tell(size);
        }
        let mark = if place.contains('?') { '&' } else { '?' };
        let end = format!("{place}{mark}digest={digest}");
        let done = self.ask(&errand, Method::PUT, &end, |request| request.header(CONTENT_LENGTH, 0))?;
        self.expect(done, 201, &errand).map(drop)
    }

    /// Gives the repository an image's OCI manifest under a tag.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: Vec<u8>,
        digest: &str,
    ) -> Result<(), RegistryError> {
        let errand = Errand::to(format!("name the image `{repository}:{tag}`"), repository);
        let path = format!("/v2/{repository}/manifests/{tag}");
        let response =
            self.ask(&errand, Method::PUT, &path, |request| request.header(CONTENT_TYPE, MANIFEST).body(manifest))?;
        let done = self.expect(response, 201, &errand)?;
        let found = done.headers().get("docker-content-digest").map(|value| String::from_utf8_lossy(value.as_bytes()));
        match found {
            Some(found) if found != digest => {
                let (address, image) = (self.address.clone(), format!("{repository}:{tag}"));
                Err(RegistryError::Differs { address, image, wanted: digest.into(), found: line(&found) })
            }
            _ => Ok(()),
        }
    }

    /// Asks, and once more when it is told how to say who asks, or when its token ran out.
    fn ask(
        &self,
        errand: &Errand,
        method: Method,
        path: &str,
        more: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let request = more(self.egress.request(method, path).timeout(PATIENCE));
        let again = request.try_clone();
        let response = self.send(request, errand)?;
        match again {
            Some(again) if response.status().as_u16() == 401 && self.access.learn(response.headers())? => {
                self.send(again, errand)
            }
            _ => Ok(response),
        }
    }

    fn send(&self, request: RequestBuilder, errand: &Errand) -> Result<Response, RegistryError> {
        let request = self.access.sign(&self.runtime, request, &errand.scopes)?;
        let sent = self.runtime.block_on(async { request.send().await });
        sent.map_err(|error| RegistryError::Absent {
            address: self.address.clone(),
            what: errand.what.clone(),
            source: self.egress.explain(&error),
        })
    }

    fn expect(&self, response: Response, status: u16, errand: &Errand) -> Result<Response, RegistryError> {
        if response.status().as_u16() == status { Ok(response) } else { Err(self.refusal(response, errand)) }
    }

    fn refusal(&self, mut response: Response, errand: &Errand) -> RegistryError {
        let (address, what) = (self.address.clone(), errand.what.clone());
        let status = response.status().as_u16();
        if status == 401 || status == 403 {
            return RegistryError::Denied { address, what, is_told: self.access.is_told() };
        }
        let mut words = Vec::new();
        while words.len() < WORDS {
            match self.runtime.block_on(async { response.chunk().await }) {
                Ok(Some(chunk)) => words.extend_from_slice(&chunk),
                _ => break,
            }
        }
        let message = line(String::from_utf8_lossy(&words).trim());
        RegistryError::Refused { address, what, status, message }
    }

    /// Where an upload goes on: a path on this registry and nowhere else.
    fn place(&self, headers: &HeaderMap) -> Result<String, RegistryError> {
        let refused = |why: String| RegistryError::Protocol { address: self.address.clone(), why };
        let place = headers.get(LOCATION).and_then(|place| place.to_str().ok());
        let place = place.ok_or_else(|| refused("it does not say where an upload goes on".into()))?;
        let found = self.base.join(place).map_err(|_| refused("where an upload goes on does not parse".into()))?;
        if found.origin() != self.base.origin() {
            return Err(refused(format!("it sends us to `{}`", line(found.host_str().unwrap_or_default()))));
        }
        Ok(found.query().map_or_else(|| found.path().to_owned(), |query| format!("{}?{query}", found.path())))
    }

    /// Says that an upload is not wanted. A registry that does not hear it clears up by itself.
    fn give_up(&self, errand: &Errand, headers: &HeaderMap) {
        if let Ok(place) = self.place(headers) {
            let _ = self.ask(errand, Method::DELETE, &place, |request| request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use base::Secret;

    #[test]
    fn an_address_is_a_host_and_a_folder_and_holds_no_password() {
        let login = || Some(Login { user: "a".into(), password: Secret::new("b".into()), realm: None });
        let made = |address: &str, login| Registry::new(address, &Trust::system(), login);
        for (address, folder) in [
            ("http://127.0.0.1:5000", ""),
            ("http://127.0.0.1:5000/", ""),
            ("http://registry.site/team/sub", "team/sub/"),
            ("http://[::1]:5000/a", "a/"),
        ] {
            assert_eq!(made(address, None).unwrap().folder, folder, "{address}");
        }
        for address in
            ["", "registry", "ftp://a", "http://a/../B", "http://a/%41", "http://a/x?y", "http://a/x#y", "http://a/-x"]
        {
            assert!(matches!(made(address, None), Err(RegistryError::Address { .. })), "{address}");
        }
        assert!(made("http://127.0.0.1:1", login()).is_ok());
        for elsewhere in
            ["registry.site", "127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]"]
        {
            assert!(made(&format!("http://{elsewhere}"), login()).is_err(), "a password to {elsewhere}");
        }
        let error = made("http://user:pass@registry.site", None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("pass"), "{error}");
    }

    #[test]
    fn an_upload_goes_on_at_this_registry_and_nowhere_else() {
        let registry = Registry::new("http://127.0.0.1:5000/team", &Trust::system(), None).unwrap();
        let place = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, text.parse().unwrap());
            registry.place(&headers)
        };
        assert_eq!(place("/v2/a/blobs/uploads/1?_state=x").unwrap(), "/v2/a/blobs/uploads/1?_state=x");
        assert_eq!(place("http://127.0.0.1:5000/v2/a/1").unwrap(), "/v2/a/1");
        for elsewhere in ["http://127.0.0.1:5001/v2/", "https://127.0.0.1:5000/v2/", "//other/v2/", "http://other/"] {
            assert!(matches!(place(elsewhere), Err(RegistryError::Protocol { .. })), "{elsewhere}");
        }
        assert!(registry.place(&HeaderMap::new()).is_err());
    }
}
