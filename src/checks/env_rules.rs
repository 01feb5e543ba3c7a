//! One rule, one value, what there is to say. Pure but for looking at the CA file that a value names.

use std::net::IpAddr;
use std::path::Path;

use base::network::Network;
use base::settings::{Rule, Setting};
use base::url::BaseUrl;
use base::{Finding, Severity};
use url::Url;

use crate::catalogue::{self, Known};
use crate::env::Purpose;
use crate::isolation::Targets;
use crate::text::{has_credentials, line};
use crate::trust::{Trust, TrustError};
use crate::{env_resolvers, env_secret};

/// One value that a setting has, and whether it may be repeated.
pub(crate) struct Given<'g> {
    pub(crate) setting: &'static Setting,
    pub(crate) text: &'g str,
    pub(crate) is_private: bool,
}

impl Given<'_> {
    /// The part of the value in backticks; none where the value must not be repeated. No other way leads into a message.
    pub(crate) fn quoted(&self, part: &str) -> Option<String> {
        (!self.is_private && !has_credentials(part)).then(|| format!("`{}`", line(part)))
    }

    fn is_not(&self, known: &'static Known, what: &str) -> Finding {
        let begin = self.quoted(self.text).map_or_else(String::new, |text| text + " ");
        known.found(Severity::Error, self.setting.name, format!("{begin}is not {what}"))
    }
}

/// Judges one value against its setting's rule.
pub(crate) fn judge(given: &Given<'_>, purpose: Purpose) -> Vec<Finding> {
    let (setting, value) = (given.setting, given.text);
    let unless = |is_fine: bool, known: &'static Known, what: &str| {
        if is_fine { Vec::new() } else { vec![given.is_not(known, what)] }
    };
    match setting.rule {
        Rule::Text => Vec::new(),
        Rule::Tag => unless(is_tag(value), &catalogue::ENV_TAG, "an image tag"),
        Rule::SiteUrl => address(given, purpose, Severity::Warning),
        Rule::GitLabUrl => address(given, purpose, Severity::Error),
        Rule::Port => unless(is_port(value), &catalogue::ENV_PORT, "a port from 1 to 65535"),
        Rule::Host => unless(is_host(value), &catalogue::ENV_HOST, "a host name or address"),
        Rule::Secret(length) => env_secret::secret(setting, value, length),
        Rule::Fernet => env_secret::fernet(setting, value),
        Rule::Boolean => {
            unless(matches!(value, "True" | "False"), &catalogue::ENV_BOOLEAN, "exactly `True` or `False`")
                .into_iter()
                .chain(outside(setting, value))
                .collect()
        }
        Rule::OnlyTrue => unless(value == "True", &catalogue::ENV_AIRGAPPED, "`True`"),
        Rule::Resolvers => env_resolvers::judge(given),
        Rule::CaFile => ca_file(given).into_iter().collect(),
        Rule::DatabaseUrl => addressed(setting, value, &["postgres", "postgresql"]),
        Rule::RedisUrl => addressed(setting, value, &["redis", "rediss"]),
        Rule::Networks => {
            unless(Network::parse_list(value).is_ok(), &catalogue::ENV_NETWORKS, "a list of addresses or networks")
        }
        Rule::OneOf(known) => unless(known.contains(&value), &catalogue::ENV_WORD, &known.join(", or ")),
        Rule::Count => unless(value.parse::<u32>().is_ok(), &catalogue::ENV_COUNT, "a whole number"),
        Rule::Targets => unless(Targets::parse(Some(value)).is_ok(), &catalogue::ENV_TARGETS, "a list of host:port"),
    }
}

/// A root address; `plain_http` says how bad a missing `s` is.
fn address(given: &Given<'_>, purpose: Purpose, plain_http: Severity) -> Vec<Finding> {
    let setting = given.setting;
    let url = match BaseUrl::parse(given.text) {
        Ok(url) => url,
        // The value may hold a password, so only the fault is told.
        Err(fault) => return vec![catalogue::ENV_URL.found(Severity::Error, setting.name, fault.to_string())],
    };
    let host = given.quoted(url.host());
    let mut findings = inside(setting, &url, host.as_deref());
    if url.is_local() {
        let severity = match purpose {
            Purpose::Site => Severity::Error,
            Purpose::Lab => Severity::Warning,
        };
        let message =
            host.map_or_else(|| "leads".into(), |host| format!("{host} leads")) + " only to this machine itself";
        findings.push(catalogue::ENV_LOOPBACK.found(severity, setting.name, message));
    }
    if !url.is_https() {
        findings.push(catalogue::ENV_PLAIN_HTTP.found(plain_http, setting.name, "is a plain http address"));
    }
    findings
}

/// What only containers know, or only some hosts, or everybody.
fn inside(setting: &Setting, url: &BaseUrl, shown: Option<&str>) -> Vec<Finding> {
    let host = url.host().trim_end_matches('.');
    let is_public = host == "gitlab.com" || host.ends_with(".gitlab.com");
    if setting.rule == Rule::GitLabUrl && is_public {
        return vec![catalogue::ENV_PUBLIC_GITLAB.found(Severity::Error, setting.name, "is the public gitlab.com")];
    }
    let (known, severity): (&'static Known, _) = match host {
        _ if setting.rule != Rule::SiteUrl || url.is_local() || host.contains(':') => return Vec::new(),
        "host.docker.internal" | "gateway.docker.internal" | "app" | "db" | "redis" => {
            (&catalogue::ENV_INSIDE, Severity::Error)
        }
        _ if host.contains('.') => return Vec::new(),
        _ => (&catalogue::ENV_SHORT_NAME, Severity::Warning),
    };
    let message = shown.map_or_else(|| "names such a host".into(), |host| format!("names the host {host}"));
    vec![known.found(severity, setting.name, message)]
}

fn outside(setting: &Setting, value: &str) -> Option<Finding> {
    let is_outside = value == "True" && (setting.name.contains("GITHUB") || setting.name.contains("GOOGLE"));
    is_outside.then(|| catalogue::ENV_OUTSIDE.found(Severity::Warning, setting.name, "is True in a closed network"))
}

fn ca_file(given: &Given<'_>) -> Option<Finding> {
    let (path, name) = (Path::new(given.text), given.setting.name);
    if path.is_relative() {
        return Some(given.is_not(&catalogue::ENV_CA_PATH, "an absolute path"));
    }
    let error = Trust::load(path).err()?;
    let known: &'static Known = match error {
        TrustError::Unreadable { .. } => &catalogue::ENV_CA_PATH,
        _ => &catalogue::ENV_CA_CONTENT,
    };
    // The error names the path.
    let message = if given.quoted(given.text).is_some() { line(&error.to_string()) } else { "is not usable".into() };
    Some(known.found(Severity::Error, name, message))
}

/// Such an address may hold a password, so nothing of it is repeated.
fn addressed(setting: &Setting, value: &str, schemes: &[&str]) -> Vec<Finding> {
    let known: &'static Known =
        if setting.rule == Rule::RedisUrl { &catalogue::ENV_REDIS } else { &catalogue::ENV_DATABASE };
    let Some(url) = Url::parse(value).ok().filter(|url| schemes.contains(&url.scheme())) else {
        let message = format!("does not begin with {}://", schemes.first().copied().unwrap_or_default());
        return vec![known.found(Severity::Error, setting.name, message)];
    };
    let has_host = url.host_str().is_some_and(|host| !host.is_empty())
        || url.query_pairs().any(|(name, host)| name == "host" && !host.is_empty());
    let hostless = (!has_host).then(|| known.found(Severity::Error, setting.name, "names no host"));
    // Such a server runs already, and may be known to few.
    let password = url.password().and_then(|password| env_secret::placeholder(setting, password));
    let password = password.map(|found| Finding { severity: Severity::Warning, ..found });
    hostless.into_iter().chain(password).collect()
}

/// As Docker has it: a letter, digit or `_`, then up to 127 of those, `.` and `-`.
fn is_tag(value: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    value.bytes().next().is_some_and(is_word)
        && value.len() <= 128
        && value.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_port(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_host(value: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
    bare.parse::<IpAddr>().is_ok() || (value.len() <= 253 && value.split('.').all(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str, purpose: Purpose) -> Vec<Finding> {
        judge(&Given { setting: base::settings::find(name).unwrap(), text, is_private: false }, purpose)
    }

    fn ids(name: &str, value: &str) -> Vec<&'static str> {
        found(name, value, Purpose::Site).iter().map(|finding| finding.id).collect()
    }

    /// Setting, value, and what is found.
    const CASES: &[(&str, &str, &[&str])] = &[
        ("TAG", "1.2", &[]),
        ("TAG", "-1", &["GG-ENV-027"]),
        ("SITE_URL", "https://forge.acme.internal", &[]),
        ("SITE_URL", "https://forge.acme.internal/", &["GG-ENV-009"]),
        ("SITE_URL", "forge.acme.internal", &["GG-ENV-009"]),
        ("SITE_URL", "https://localhost:8828", &["GG-ENV-010"]),
        ("SITE_URL", "http://[::1]", &["GG-ENV-010", "GG-ENV-011"]),
        ("SITE_URL", "https://localhost.localdomain", &["GG-ENV-010"]),
        ("GITLAB_URL", "https://gitlab.com", &["GG-ENV-064"]),
        ("GITLAB_URL", "https://GitLab.com.", &["GG-ENV-064"]),
        ("GITLAB_URL", "https://notgitlab.com", &[]),
        ("GITLAB_URL", "http://gitlab.acme.internal", &["GG-ENV-011"]),
        ("APP_PORT", "3000", &[]),
        ("APP_PORT", "0", &["GG-ENV-012"]),
        ("APP_PORT", "+1", &["GG-ENV-012"]),
        ("APP_PORT", "65536", &["GG-ENV-012"]),
        ("SSH_CLONE_HOST", "forge.acme.internal", &[]),
        ("SSH_CLONE_HOST", "10.0.0.1", &[]),
        ("SSH_CLONE_HOST", "forge:2424", &["GG-ENV-014"]),
        ("SECRET_KEY", "kz8Wm2Qp7Xr4Nt9Vb3Yc6Lf1Hd5Gs0JaEuIoRwTqPyMnBvCxZlKj", &[]),
        ("SECRET_KEY", "kz8Wm2Qp7Xr4Nt9Vb3Yc6Lf1", &["GG-ENV-015"]),
        ("SECRET_KEY", "changeme", &["GG-ENV-015", "GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "aaaaaaaaaaaaaaaaaaaa", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "xK4rT9mzxK4rT9mzxK4rT9mz", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "abcdefghijklmnopqrst", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "your-long-random-value", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "todo-todo-fill-in-me", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "SummerWinter2026!", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "kz8WtodoQp7Xr4myNt9V", &[]),
        ("POSTGRES_PASSWORD", "Xy9876543210zyxwvuT", &["GG-ENV-016"]),
        ("POSTGRES_PASSWORD", "Letmein-kz8Wm2Qp7Xr4", &["GG-ENV-016"]),
        ("SITE_URL", "https://host.docker.internal:8828", &["GG-ENV-057"]),
        ("SITE_URL", "https://app:3000", &["GG-ENV-057"]),
        ("SITE_URL", "https://forge", &["GG-ENV-058"]),
        ("SITE_URL", "https://10.0.0.1:8828", &[]),
        ("SITE_URL", "https://[fd00::1]:8828", &[]),
        ("GITLAB_URL", "https://gitlab", &[]),
        ("GITLAB_URL", "https://gitlab.acme.internal/", &["GG-ENV-009"]),
        ("GITGRIT_ENCRYPTION_KEY", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", &[]),
        ("GITGRIT_ENCRYPTION_KEY", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4", &["GG-ENV-017"]),
        ("GITGRIT_ENCRYPTION_KEY", "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=", &["GG-ENV-017"]),
        ("GITGRIT_ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &["GG-ENV-016"]),
        ("AUTH_PROVIDER_GITLAB_ENABLED", "True", &[]),
        ("AUTH_PROVIDER_GITLAB_ENABLED", "true", &["GG-ENV-007"]),
        ("AUTH_PROVIDER_GITHUB_ENABLED", "True", &["GG-ENV-028"]),
        ("SANDBOX_DNS", "10.0.0.53, 10.0.1.53", &[]),
        ("SANDBOX_DNS", "10.0.0.53,127.0.0.11", &["GG-ENV-020"]),
        ("SANDBOX_DNS", "dns.acme.internal", &["GG-ENV-019"]),
        ("SANDBOX_DNS", "::ffff:127.0.0.11", &["GG-ENV-020"]),
        ("SANDBOX_DNS", "127.0.0.53", &["GG-ENV-062"]),
        ("SANDBOX_DNS", "::1,0.0.0.0", &["GG-ENV-062", "GG-ENV-062"]),
        ("SANDBOX_DNS", "::ffff:127.0.0.53", &["GG-ENV-062"]),
        ("SANDBOX_DNS", "224.0.0.1", &["GG-ENV-019"]),
        ("SANDBOX_DNS", "10.0.0.53,8.8.8.8", &["GG-ENV-063"]),
        ("SANDBOX_DNS", "2606:4700:4700:0::1111", &["GG-ENV-063"]),
        ("GITGRIT_CUSTOM_CA_FILE_PATH", "ca.pem", &["GG-ENV-021"]),
        ("GITGRIT_CUSTOM_CA_FILE_PATH", "/no/such/ca.pem", &["GG-ENV-021"]),
        ("DATABASE_URL", "postgres://u:p@db/gitgrit", &[]),
        ("DATABASE_URL", "mysql://u:p@db/gitgrit", &["GG-ENV-023"]),
        ("DATABASE_URL", "sqlite:///data/gitgrit.sqlite", &["GG-ENV-023"]),
        ("DATABASE_URL", "postgres://", &["GG-ENV-023"]),
        ("DATABASE_URL", "postgres:///gitgrit", &["GG-ENV-023"]),
        ("DATABASE_URL", "postgres:///gitgrit?host=/run/postgresql", &[]),
        ("DATABASE_URL", "postgres://u:changeme@db/gitgrit", &["GG-ENV-016"]),
        ("REDIS_URL", "redis://", &["GG-ENV-024"]),
        ("REDIS_URL", "redis://redis:6379", &[]),
        ("REDIS_URL", "http://redis", &["GG-ENV-024"]),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.7", &[]),
        ("TRUSTED_PROXIES", "10.0.0.0/33", &["GG-ENV-025"]),
        ("GITGRIT_TRANSFERS_PER_USER", "0", &[]),
        ("GITGRIT_TRANSFERS_PER_USER", "-1", &["GG-ENV-045"]),
        ("GITGRIT_ISOLATION_TARGETS", "www.google.com:443", &[]),
        ("GITGRIT_ISOLATION_TARGETS", "www.google.com", &["GG-ENV-026"]),
    ];

    #[test]
    fn every_rule_refuses_what_it_must_and_takes_the_rest() {
        for (name, value, expected) in CASES {
            assert_eq!(ids(name, value), *expected, "{name}={value}");
        }
    }

    #[test]
    fn loopback_is_a_warning_in_a_lab() {
        let found = found("SITE_URL", "https://127.0.0.1:8828", Purpose::Lab);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        for (name, value) in [
            ("SITE_URL", "https://me:hunter2@a"),
            ("SITE_URL", "https://me:12/hunter2@a"),
            ("SITE_URL", "https://a/hunter2"),
            ("SITE_URL", "hunter2:1"),
            ("DATABASE_URL", "x://me:hunter2@a"),
            ("DATABASE_URL", "postgres://me:hunter2password@"),
            ("TAG", "postgres://u:hun#hunter2@h"),
            ("SSH_CLONE_HOST", "https://u:hun/hunter2@h"),
            ("GITGRIT_CUSTOM_CA_FILE_PATH", "u:/hunter2@h"),
            ("SANDBOX_DNS", "10.0.0.1,u/hunter2@h"),
        ] {
            let found = found(name, value, Purpose::Site);
            assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"));
        }
    }
}
