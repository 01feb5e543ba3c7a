//! A program at the site's API: sends JSON, reads JSON, carries one `Authorization` header and no cookie.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::site::{PASSWORD, Site};
use crate::visitor::install_provider;

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its headers, names lowered.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// One header; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body, of an answer that must have this status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }
}

/// A program.
pub(crate) struct Caller {
    base: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    authorization: Option<String>,
}

impl Caller {
    /// A program without credentials.
    pub(crate) fn nobody(site: &Site) -> Self {
        install_provider();
        let authority = reqwest::Certificate::from_pem(&std::fs::read(site.ca_file()).unwrap()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { base: site.url(), client, runtime, authorization: None }
    }

    /// A program with a whole `Authorization` header.
    pub(crate) fn with(site: &Site, authorization: &str) -> Self {
        Self { authorization: Some(authorization.into()), ..Self::nobody(site) }
    }

    /// A program that knows somebody's password.
    pub(crate) fn knowing(site: &Site, name: &str) -> Self {
        use base64::Engine;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{PASSWORD}"));
        Self::with(site, &format!("Basic {pair}"))
    }

    /// A program with a fresh token of somebody for these scopes, and the token.
    pub(crate) fn holding(site: &Site, name: &str, scopes: &[&str]) -> (Self, String) {
        let new = json!({ "name": format!("for {}", scopes.join(" ")), "scopes": scopes });
        let made = Self::knowing(site, name).post(&format!("/users/{name}/tokens"), new).expect(201);
        let token = made["sha1"].as_str().unwrap().to_owned();
        (Self::with(site, &format!("token {token}")), token)
    }

    /// Sends a request; `path` is below `/api/v1`.
    pub(crate) fn send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
            let headers =
                response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
            Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
        })
    }

    /// Asks for something.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[])
    }

    /// Makes something.
    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(&body), &[])
    }

    /// Puts something in a place.
    pub(crate) fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(&body), &[])
    }

    /// Changes something.
    pub(crate) fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(&body), &[])
    }

    /// Removes something.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[])
    }
}
