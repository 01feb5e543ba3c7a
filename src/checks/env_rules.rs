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

/// Words that stand in examples where a secret belongs.
const PLACEHOLDERS: [&str; 16] = [
    "changeme",
    "change-me",
    "change_me",
    "example",
    "placeholder",
    "password",
    "replace",
    "insecure",
    "secret-key",
    "secret_key",
    "gitgrit",
    "qwerty",
    "letmein",
    "postgres",
    "12345678",
    "<",
];

/// Docker's resolver inside containers.
const DOCKER_DNS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// Judges one value that is there against its setting's rule.
pub(crate) fn judge(setting: &Setting, value: &str, purpose: Purpose) -> Vec<Finding> {
    let shown = line(value);
    let not = |known: &'static Known, what: &str| {
        // An address with a password may stand where none belongs.
        let message =
            if has_credentials(value) { format!("is not {what}") } else { format!("`{shown}` is not {what}") };
        vec![known.found(Severity::Error, setting.name, message)]
    };
    let unless = |is_fine: bool, known: &'static Known, what: &str| if is_fine { Vec::new() } else { not(known, what) };
    match setting.rule {
        Rule::Text => Vec::new(),
        Rule::Tag => unless(is_tag(value), &catalogue::ENV_TAG, "an image tag"),
        Rule::SiteUrl => address(setting, value, purpose, Severity::Warning),
        Rule::GitLabUrl => address(setting, value, purpose, Severity::Error),
        Rule::Port => unless(is_port(value), &catalogue::ENV_PORT, "a port from 1 to 65535"),
        Rule::Host => unless(is_host(value), &catalogue::ENV_HOST, "a host name or address"),
        Rule::Secret(length) => secret(setting, value, length),
        Rule::Fernet => fernet(setting, value),
        Rule::Boolean => {
            unless(matches!(value, "True" | "False"), &catalogue::ENV_BOOLEAN, "exactly `True` or `False`")
                .into_iter()
                .chain(outside(setting, value))
                .collect()
        }
        Rule::OnlyTrue => unless(value == "True", &catalogue::ENV_AIRGAPPED, "`True`"),
        Rule::Resolvers => resolvers(setting, value),
        Rule::CaFile => ca_file(setting, value),
        // Such an address may hold a password, so it is not repeated.
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
fn address(setting: &Setting, value: &str, purpose: Purpose, plain_http: Severity) -> Vec<Finding> {
    let url = match BaseUrl::parse(value) {
        Ok(url) => url,
        // The value may hold a password, so only the fault is told.
        Err(fault) => return vec![catalogue::ENV_URL.found(Severity::Error, setting.name, fault.to_string())],
    };
    let mut findings = inside(setting, &url);
    if url.is_local() {
        let severity = match purpose {
            Purpose::Site => Severity::Error,
            Purpose::Lab => Severity::Warning,
        };
        let message = format!("`{}` leads only to this machine itself", url.host());
        findings.push(catalogue::ENV_LOOPBACK.found(severity, setting.name, message));
    }
    if !url.is_https() {
        findings.push(catalogue::ENV_PLAIN_HTTP.found(plain_http, setting.name, "is a plain http address"));
    }
    findings
}

/// What only containers know, or only some hosts.
fn inside(setting: &Setting, url: &BaseUrl) -> Vec<Finding> {
    let host = url.host().trim_end_matches('.');
    let (known, severity): (&'static Known, _) = match host {
        _ if setting.rule != Rule::SiteUrl || url.is_local() || host.contains(':') => return Vec::new(),
        "host.docker.internal" | "gateway.docker.internal" | "app" | "db" | "redis" => {
            (&catalogue::ENV_INSIDE, Severity::Error)
        }
        _ if host.contains('.') => return Vec::new(),
        _ => (&catalogue::ENV_SHORT_NAME, Severity::Warning),
    };
    vec![known.found(severity, setting.name, format!("names the host `{}`", line(host)))]
}

fn secret(setting: &Setting, value: &str, length: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = value.chars().count();
    if count < length {
        let message = format!("has {count} characters, and {length} are the least");
        findings.push(catalogue::ENV_SHORT.found(Severity::Error, setting.name, message));
    }
    findings.extend(placeholder(setting, value));
    findings
}

fn fernet(setting: &Setting, value: &str) -> Vec<Finding> {
    if !is_fernet(value) {
        let message = "is not 44 characters of URL-safe base64";
        return vec![catalogue::ENV_FERNET.found(Severity::Error, setting.name, message)];
    }
    let is_pattern = is_pattern(value.trim_end_matches('='));
    let weak = || catalogue::ENV_PLACEHOLDER.found(Severity::Error, setting.name, "repeats itself");
    is_pattern.then(weak).into_iter().collect()
}

fn placeholder(setting: &Setting, value: &str) -> Option<Finding> {
    let lower = value.to_lowercase();
    let message = if let Some(word) = PLACEHOLDERS.iter().find(|word| lower.contains(**word)) {
        format!("holds `{word}`, as examples do")
    } else if is_pattern(value) {
        "repeats itself".into()
    } else {
        return None;
    };
    Some(catalogue::ENV_PLACEHOLDER.found(Severity::Error, setting.name, message))
}

/// Few different characters, one part over and over, or mostly neighbours as in `abcdef` and `87654`.
fn is_pattern(value: &str) -> bool {
    let bytes = value.as_bytes();
    let neighbours =
        bytes.windows(2).filter(|pair| matches!(pair, [left, right] if left.abs_diff(*right) <= 1)).count();
    if bytes.len() >= 8 && neighbours * 2 >= bytes.len() {
        return true;
    }
    let different: std::collections::BTreeSet<_> = bytes.iter().collect();
    let repeats = |period: usize| bytes.iter().zip(bytes.iter().skip(period)).all(|(left, right)| left == right);
    different.len() < bytes.len().min(32) / 4 + 1 || (1..=bytes.len() / 2).any(repeats)
}

/// 32 bytes as base64: 43 characters of which the last stands for two bits less, and one `=`.
fn is_fernet(value: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let Some(letters) = value.strip_suffix('=') else { return false };
    let has_clean_end = letters.bytes().last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(&last));
    letters.len() == 43 && letters.bytes().all(is_letter) && has_clean_end
}

fn outside(setting: &Setting, value: &str) -> Option<Finding> {
    let is_outside = value == "True" && (setting.name.contains("GITHUB") || setting.name.contains("GOOGLE"));
    is_outside.then(|| catalogue::ENV_OUTSIDE.found(Severity::Warning, setting.name, "is True in a closed network"))
}

fn resolvers(setting: &Setting, value: &str) -> Vec<Finding> {
    let judge = |part: &str| match part.trim().parse::<IpAddr>() {
        Ok(DOCKER_DNS) => Some(catalogue::ENV_DOCKER_DNS.found(
            Severity::Error,
            setting.name,
            "lists Docker's embedded resolver 127.0.0.11",
        )),
        Ok(_) => None,
        Err(_) => {
            let message = if has_credentials(part) {
                "holds a part that is not an address".into()
            } else {
                format!("`{}` is not an address", line(part.trim()))
            };
            Some(catalogue::ENV_RESOLVER.found(Severity::Error, setting.name, message))
        }
    };
    value.split(',').filter_map(judge).collect()
}

fn ca_file(setting: &Setting, value: &str) -> Vec<Finding> {
    let path = Path::new(value);
    if path.is_relative() {
        let message = format!("`{}` is not an absolute path", line(value));
        return vec![catalogue::ENV_CA_PATH.found(Severity::Error, setting.name, message)];
    }
    match Trust::load(path) {
        Ok(_) => Vec::new(),
        Err(error @ TrustError::Unreadable { .. }) => {
            vec![catalogue::ENV_CA_PATH.found(Severity::Error, setting.name, line(&error.to_string()))]
        }
        Err(error) => vec![catalogue::ENV_CA_CONTENT.found(Severity::Error, setting.name, line(&error.to_string()))],
    }
}

fn addressed(setting: &Setting, value: &str, schemes: &[&str]) -> Vec<Finding> {
    let is_fine = Url::parse(value).is_ok_and(|url| schemes.contains(&url.scheme()));
    let known: &'static Known =
        if setting.rule == Rule::RedisUrl { &catalogue::ENV_REDIS } else { &catalogue::ENV_DATABASE };
    let message = || format!("does not begin with {}://", schemes.first().copied().unwrap_or_default());
    (!is_fine).then(|| known.found(Severity::Error, setting.name, message())).into_iter().collect()
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

    fn ids(name: &str, value: &str) -> Vec<&'static str> {
        judge(base::settings::find(name).unwrap(), value, Purpose::Site).iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn every_rule_refuses_what_it_must_and_takes_the_rest() {
        for (name, value, expected) in [
            ("TAG", "1.2", &[][..]),
            ("TAG", "-1", &["GG-ENV-027"]),
            ("SITE_URL", "https://forge.acme.internal", &[]),
            ("SITE_URL", "https://forge.acme.internal/", &["GG-ENV-009"]),
            ("SITE_URL", "forge.acme.internal", &["GG-ENV-009"]),
            ("SITE_URL", "https://localhost:8828", &["GG-ENV-010"]),
            ("SITE_URL", "http://[::1]", &["GG-ENV-010", "GG-ENV-011"]),
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
            ("GITGRIT_CUSTOM_CA_FILE_PATH", "ca.pem", &["GG-ENV-021"]),
            ("GITGRIT_CUSTOM_CA_FILE_PATH", "/no/such/ca.pem", &["GG-ENV-021"]),
            ("DATABASE_URL", "postgres://u:p@db/gitgrit", &[]),
            ("DATABASE_URL", "mysql://u:p@db/gitgrit", &["GG-ENV-023"]),
            ("DATABASE_URL", "sqlite:///data/gitgrit.sqlite", &["GG-ENV-023"]),
            ("REDIS_URL", "redis://redis:6379", &[]),
            ("REDIS_URL", "http://redis", &["GG-ENV-024"]),
            ("TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.7", &[]),
            ("TRUSTED_PROXIES", "10.0.0.0/33", &["GG-ENV-025"]),
            ("GITGRIT_TRANSFERS_PER_USER", "0", &[]),
            ("GITGRIT_TRANSFERS_PER_USER", "-1", &["GG-ENV-045"]),
            ("GITGRIT_ISOLATION_TARGETS", "www.google.com:443", &[]),
            ("GITGRIT_ISOLATION_TARGETS", "www.google.com", &["GG-ENV-026"]),
        ] {
            assert_eq!(ids(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn loopback_is_a_warning_in_a_lab() {
        let setting = base::settings::find("SITE_URL").unwrap();
        let found = judge(setting, "https://127.0.0.1:8828", Purpose::Lab);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        for (name, value) in [("SITE_URL", "https://me:hunter2@a"), ("DATABASE_URL", "x://me:hunter2@a")] {
            let found = judge(base::settings::find(name).unwrap(), value, Purpose::Site);
            assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"));
        }
    }
}
