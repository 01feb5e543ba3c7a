//! A person at the site's web door: keeps cookies, follows redirects, fills in the forms that the pages show.
//! Never sends a field that the form does not have, so a page that loses a field fails its story.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};

use crate::html::{self, Form};

/// One answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status of the last answer, after redirects.
    pub(crate) status: u16,
    /// Where it came from: path and query.
    pub(crate) path: String,
    /// Its headers, names lowered; of equal names the last one.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// One header; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A web client with its own cookies.
pub(crate) struct Visitor {
    base: String,
    /// The origin that its forms say they come from.
    origin: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Visitor {
    /// Somebody who knows the site's address and authority, and is not signed in.
    pub(crate) fn new(base: &str, ca_file: &Path) -> Self {
        let client = client(ca_file);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { base: base.into(), origin: base.into(), client, runtime, cookies: RefCell::default() }
    }

    /// The same, at a replica of the site whose address is `origin`.
    pub(crate) fn of_site(self, origin: &str) -> Self {
        Self { origin: origin.into(), ..self }
    }

    /// Opens a page and follows redirects inside the site.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let answer = self.send(Method::GET, path, None);
        self.follow(answer)
    }

    /// Sends one request as it is: no redirect is followed, no form is looked up.
    pub(crate) fn send(&self, method: Method, path: &str, fields: Option<&[(String, String)]>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        let cookie = self.cookie();
        if !cookie.is_empty() {
            request = request.header(COOKIE, cookie);
        }
        if let Some(fields) = fields {
            request = request
                .header("origin", &self.origin)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(html::urlencoded(fields));
        }
        self.finish(path, request)
    }

    /// Opens `page`, fills in the form there that has a field named `field`, and sends it.
    pub(crate) fn submit(&self, page: &str, field: &str, fields: &[(&str, &str)]) -> Answer {
        let opened = self.get(page);
        let text = opened.text();
        let form = html::forms(&text)
            .into_iter()
            .find(|form| form.has(field))
            .unwrap_or_else(|| panic!("`{page}` ({}) has no form with `{field}`:\n{text}", opened.status));
        self.submit_form(&opened.path, form, fields)
    }

    /// Sends one form of the page at `page`.
    pub(crate) fn submit_form(&self, page: &str, mut form: Form, fields: &[(&str, &str)]) -> Answer {
        for (name, value) in fields {
            form.set(name, value);
        }
        let action = if form.action.is_empty() { page.to_owned() } else { form.action.clone() };
        let answer = self.send(Method::POST, &action, Some(&form.filled()));
        self.follow(answer)
    }

    /// Makes an account; only the administrator's pages let one.
    pub(crate) fn make_user(&self, name: &str, password: &str) -> Answer {
        expect_done(self.submit("/admin/users", "password", &[("name", name), ("password", password)]))
    }

    /// Makes a repository of one's own: `public`, `internal` or `private`.
    pub(crate) fn make_repository(&self, name: &str, visibility: &str) -> Answer {
        expect_done(self.submit("/new", "visibility", &[("name", name), ("visibility", visibility)]))
    }

    /// Makes a token and reads it off the page, which shows it once. `scope` is `read` or `write`.
    pub(crate) fn make_token(&self, name: &str, scope: &str) -> String {
        let answer =
            expect_done(self.submit("/settings/tokens", "repository", &[("name", name), ("repository", scope)]));
        html::find(&answer.text(), r"\b(ggt_[A-Za-z0-9_-]{30,})")
            .unwrap_or_else(|| panic!("no token on the page:\n{}", answer.text()))
    }

    /// Adds a public SSH key, one line as in `id_ed25519.pub`.
    pub(crate) fn add_key(&self, title: &str, line: &str) -> Answer {
        expect_done(self.submit("/settings/keys", "key", &[("title", title), ("key", line)]))
    }

    /// Sends the form of a page that has a field of this name, which must do its work.
    pub(crate) fn post(&self, page: &str, field: &str, fields: &[(&str, &str)]) -> Answer {
        expect_done(self.submit(page, field, fields))
    }

    /// Makes a token for one repository alone. `scope` is `read` or `write`.
    pub(crate) fn make_limited_token(&self, name: &str, scope: &str, repository: &str) -> String {
        let fields = [("name", name), ("repository", scope), ("repositories", repository)];
        Self::made_token(&self.post("/settings/tokens", "repository", &fields))
    }

    /// Makes a token that writes, and ends it; gives its secret and what kind it is.
    pub(crate) fn make_ended_token(&self) -> (String, String) {
        let secret = self.make_token("ended", "write");
        let page = self.get("/settings/tokens").text();
        let row = page.split("<tr>").find(|row| row.contains(">ended<")).expect("the token is listed");
        let form = html::forms(row).remove(0);
        self.submit_form("/settings/tokens", form, &[]);
        (secret, "ended".into())
    }

    fn made_token(answer: &Answer) -> String {
        html::find(&answer.text(), r"\b(ggt_[A-Za-z0-9_-]{30,})")
            .unwrap_or_else(|| panic!("no token on the page:\n{}", answer.text()))
    }

    /// The cookies, as a header's value.
    pub(crate) fn cookie(&self) -> String {
        let cookies: Vec<_> = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        cookies.join("; ")
    }

    fn finish(&self, path: &str, request: reqwest::RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let mut headers = BTreeMap::new();
            for (name, value) in response.headers() {
                let value = value.to_str().unwrap_or_default();
                if name == SET_COOKIE {
                    self.keep(value);
                }
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
            let body = response.bytes().await.unwrap().to_vec();
            Answer { status, path: path.into(), headers, body }
        })
    }

    fn keep(&self, cookie: &str) {
        let pair = cookie.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { return };
        let is_gone = cookie.to_ascii_lowercase().contains("max-age=0") || value.is_empty();
        let mut cookies = self.cookies.borrow_mut();
        if is_gone {
            cookies.remove(name.trim());
        } else {
            cookies.insert(name.trim().into(), value.trim().into());
        }
    }

    fn follow(&self, mut answer: Answer) -> Answer {
        for _ in 0..5 {
            let is_redirect = StatusCode::from_u16(answer.status).is_ok_and(|status| status.is_redirection());
            let Some(target) = answer.headers.get(LOCATION.as_str()).filter(|_| is_redirect).cloned() else {
                return answer;
            };
            let target = target.strip_prefix(&self.base).unwrap_or(&target).to_owned();
            assert!(target.starts_with('/'), "`{}` redirects out of the site, to `{target}`", answer.path);
            answer = self.send(Method::GET, &target, None);
        }
        panic!("`{}` redirects without end", answer.path);
    }
}

/// An HTTP client that trusts this authority alone and follows nothing.
pub(crate) fn client(ca_file: &Path) -> reqwest::Client {
    install_provider();
    let authority = reqwest::Certificate::from_pem(&std::fs::read(ca_file).unwrap()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap()
}

/// Makes aws-lc-rs the provider of this process's TLS clients; later calls change nothing.
pub(crate) fn install_provider() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

fn expect_done(answer: Answer) -> Answer {
    assert!(answer.status < 400, "{} answered {}:\n{}", answer.path, answer.status, answer.text());
    answer
}
