//! The site's address and other base URLs: scheme and host, perhaps a port, nothing after it.

use std::fmt;

use ::url::{Host, Url};

use crate::Hint;

/// Why a text is not a base URL. Texts name the fault only; the caller names the variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("it is not a URL")]
    Syntax,
    /// A scheme other than http and https. A password may pass for one, so only known ones are told.
    #[error("its scheme is {}not https", scheme(.0))]
    Scheme(String),
    /// No host.
    #[error("it names no host")]
    Host,
    /// User name or password inside, or an `@` in a place where it may end one.
    #[error("it holds a user name or a password")]
    Credentials,
    /// Path, query or fragment after the host. It may be a secret, so no more of it is told than a lone slash.
    #[error("it goes on after the host{}", if .0 == "/" { " with a slash" } else { "" })]
    Tail(String),
}

impl Hint for UrlError {
    fn hint(&self) -> Option<String> {
        Some("write it like https://forge.example.internal:8828, without a slash at the end".into())
    }
}

/// `http(s)://host[:port]`, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
    is_https: bool,
    is_local: bool,
}

impl BaseUrl {
    /// Parses a base URL; host names are lowered, a default port is dropped.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        // `https://u:12/rest@host` has a port and a path for the parser, and a password for who wrote it.
        if text.contains('@') {
            return Err(UrlError::Credentials);
        }
        let url = Url::parse(text.trim()).map_err(|_| UrlError::Syntax)?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(UrlError::Scheme(other.into())),
        };
        let tail = text
            .trim()
            .get(url.scheme().len() + 3..)
            .and_then(|rest| rest.find(['/', '?', '#', '\\']).map(|at| rest.split_at(at).1));
        if let Some(tail) = tail {
            return Err(UrlError::Tail(crate::name::shown(tail)));
        }
        let is_local = match url.host().ok_or(UrlError::Host)? {
            Host::Domain(name) => {
                // A dot at the end only says that the name is whole.
                let name = name.strip_suffix('.').unwrap_or(name);
                LOCAL.contains(&name) || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
            Host::Ipv6(address) => {
                let is_mapped =
                    address.to_ipv4_mapped().is_some_and(|four| four.is_loopback() || four.is_unspecified());
                address.is_loopback() || address.is_unspecified() || is_mapped
            }
        };
        let host = url.host_str().ok_or(UrlError::Host)?.to_owned();
        let port = url.port_or_known_default().ok_or(UrlError::Host)?;
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { text, host, port, is_https, is_local })
    }

    /// The whole address, no slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also when it is the scheme's own.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Says whether the scheme is https.
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Says whether the host is this machine only (localhost, 127.0.0.0/8, `::1`, unspecified).
    pub const fn is_local(&self) -> bool {
        self.is_local
    }
}

/// The names that hosts files give to the machine itself.
const LOCAL: [&str; 6] = [
    "localhost",
    "localhost.localdomain",
    "localhost4.localdomain4",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

fn scheme(found: &str) -> String {
    let known = ["ftp", "ssh", "git", "file", "ws", "wss", "tcp", "ldap", "ldaps"];
    if known.contains(&found) { format!("`{found}`, ") } else { String::new() }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_end_at_the_host() {
        let url = BaseUrl::parse("https://Forge.Acme.internal:8828").unwrap();
        assert_eq!(
            (url.as_str(), url.host(), url.port(), url.is_local()),
            ("https://forge.acme.internal:8828", "forge.acme.internal", 8828, false)
        );
        assert_eq!(BaseUrl::parse("https://a/"), Err(UrlError::Tail("/".into())));
        assert_eq!(BaseUrl::parse("https://a?x"), Err(UrlError::Tail("?x".into())));
        assert_eq!(BaseUrl::parse("ftp://a"), Err(UrlError::Scheme("ftp".into())));
        assert_eq!(BaseUrl::parse("https://u:p@a"), Err(UrlError::Credentials));
        assert_eq!(BaseUrl::parse("forge"), Err(UrlError::Syntax));
    }

    #[test]
    fn no_refusal_repeats_what_may_be_a_secret() {
        for (text, expected) in [
            ("https://h/", "it goes on after the host with a slash"),
            ("https://h/hunter2", "it goes on after the host"),
            ("https://u:12/hunter2@h", "it holds a user name or a password"),
            ("https://u:a#hunter2@h", "it holds a user name or a password"),
            ("hunter2:12", "its scheme is not https"),
            ("ftp://h", "its scheme is `ftp`, not https"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn local_hosts_are_known_in_every_spelling() {
        for local in [
            "http://localhost",
            "https://127.0.0.2:1",
            "https://[::1]",
            "https://0.0.0.0",
            "https://0x7f.1",
            "https://a.localhost",
            "https://localhost.",
            "https://localhost.localdomain:8828",
            "https://[::ffff:127.0.0.1]",
        ] {
            assert!(BaseUrl::parse(local).unwrap().is_local(), "{local}");
        }
        assert!(!BaseUrl::parse("https://10.0.0.1").unwrap().is_local());
    }
}
