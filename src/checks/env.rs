//! The settings check: each variable of a `.env` file against its rule in the registry. Never says a secret's value.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base::envfile::{self, EnvFileError, Values};
use base::settings::{REGISTRY, Role, Rule, SECRETS, Setting};
use base::site::SiteDir;
use base::{Finding, Severity};

use crate::catalogue::{self, Known};
use crate::env_rules;
use crate::text::{distance, line};

/// Names that Docker and Compose read from the same file.
const FOREIGN: [&str; 2] = ["COMPOSE_", "DOCKER_"];

/// How strict the check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A site that others use: its address must lead there from elsewhere.
    Site,
    /// A trial on one machine: loopback addresses are only worth a warning.
    Lab,
}

/// Reads and judges the `.env` file at `path`.
pub fn check(path: &Path, purpose: Purpose) -> Vec<Finding> {
    let subject = line(&path.display().to_string());
    let values = match envfile::read(path) {
        Ok(values) => values,
        Err(EnvFileError::Line { line, .. }) => {
            return vec![catalogue::ENV_LINE.found(Severity::Error, subject, format!("line {line} is not NAME=value"))];
        }
        Err(EnvFileError::File(_)) => {
            return vec![catalogue::ENV_UNREADABLE.found(Severity::Error, subject, "not a readable text file")];
        }
    };
    let mut findings: Vec<Finding> = mode(path).into_iter().collect();
    findings.extend(judge(&values, &stored(path), purpose));
    if findings.is_empty() {
        let message = format!("{} variables, nothing to say against them", values.names().count());
        findings.push(catalogue::ENV_FINE.found(Severity::Ok, subject, message));
    }
    findings
}

/// Judges one value by its setting's rule, wherever it comes from. A name that is no setting has nothing against it.
pub fn value(name: &str, value: &str, purpose: Purpose) -> Vec<Finding> {
    base::settings::find(name).map(|setting| env_rules::judge(setting, value, purpose)).unwrap_or_default()
}

/// Judges the values of one file. `stored` is what the site keeps in `data/secrets.json` instead.
fn judge(values: &Values, stored: &BTreeMap<String, String>, purpose: Purpose) -> Vec<Finding> {
    let mut findings: Vec<Finding> = values.names().filter_map(|name| stray(name, values)).collect();
    for setting in REGISTRY.iter().filter(|setting| setting.role != Role::ComposeInternal) {
        match values.get(setting.name).filter(|value| !value.is_empty()) {
            Some(value) => {
                findings.extend(env_rules::judge(setting, value, purpose));
                findings.extend(conflict(setting, value, stored));
            }
            None if is_needed(setting, values) && !stored.contains_key(setting.name) => {
                findings.push(catalogue::ENV_MISSING.found(Severity::Error, setting.name, "is not set"));
            }
            None => {}
        }
    }
    findings.extend(reused(values));
    findings.extend(same_port(values));
    findings
}

/// GitLab's settings are needed once a GitLab is named, or sign-in with it is switched on by hand: a site of its own needs
/// none of them.
fn is_needed(setting: &Setting, values: &Values) -> bool {
    let is_set = |name: &str| values.get(name).is_some_and(|value| !value.is_empty());
    match setting.role {
        Role::Required => true,
        Role::GitLab => is_set("GITLAB_URL") || values.get("AUTH_PROVIDER_GITLAB_ENABLED") == Some("True"),
        Role::Optional | Role::ComposeInternal => false,
    }
}

/// A name that has no business in the file.
fn stray(name: &str, values: &Values) -> Option<Finding> {
    match base::settings::find(name) {
        Some(setting) if setting.role == Role::ComposeInternal => Some(internal(setting, values)),
        Some(_) => None,
        None if FOREIGN.iter().any(|start| name.starts_with(start)) => None,
        None => {
            let nearest = REGISTRY.iter().map(|setting| (distance(name, setting.name), setting.name)).min();
            let message = match nearest {
                Some((edits, near)) if edits <= 3 && edits * 2 < name.len() => {
                    format!("no such variable; did you mean {near}?")
                }
                _ => "no such variable".into(),
            };
            Some(catalogue::ENV_UNKNOWN.found(Severity::Warning, line(name), message))
        }
    }
}

fn internal(setting: &Setting, values: &Values) -> Finding {
    let is_harmless = setting.rule == Rule::OnlyTrue && values.get(setting.name) == Some("True");
    if setting.rule == Rule::OnlyTrue && !is_harmless {
        return catalogue::ENV_AIRGAPPED.found(Severity::Error, setting.name, "is not `True`");
    }
    let severity = if is_harmless { Severity::Warning } else { Severity::Error };
    catalogue::ENV_INTERNAL.found(severity, setting.name, "is set by the stack itself")
}

fn conflict(setting: &Setting, value: &str, stored: &BTreeMap<String, String>) -> Option<Finding> {
    let is_other = stored.get(setting.name).is_some_and(|other| other != value) && SECRETS.contains(&setting.name);
    let message = "has another value than in data/secrets.json";
    is_other.then(|| catalogue::ENV_CONFLICT.found(Severity::Error, setting.name, message))
}

fn reused(values: &Values) -> Vec<Finding> {
    let is_secret = |setting: &&Setting| matches!(setting.rule, Rule::Secret(_) | Rule::Fernet);
    let value = |setting: &Setting| values.get(setting.name).filter(|value| !value.is_empty());
    let secrets: Vec<_> =
        REGISTRY.iter().filter(is_secret).filter_map(|setting| Some((setting.name, value(setting)?))).collect();
    let mut findings = Vec::new();
    for (index, (name, value)) in secrets.iter().enumerate() {
        if let Some((first, _)) = secrets.iter().take(index).find(|(_, other)| other == value) {
            let message = format!("has the same value as {first}");
            findings.push(catalogue::ENV_REUSED.found(Severity::Error, *name, message));
        }
    }
    findings
}

fn same_port(values: &Values) -> Option<Finding> {
    let port = |name: &str| {
        let given = values.get(name).filter(|value| !value.is_empty());
        given.or_else(|| base::settings::find(name).map(|setting| setting.default)).map(str::to_owned)
    };
    let is_same = port("APP_PORT").is_some() && port("APP_PORT") == port("SSH_PORT");
    let found: &'static Known = &catalogue::ENV_PORT_TAKEN;
    is_same.then(|| found.found(Severity::Error, "SSH_PORT", "is the same port as APP_PORT"))
}

fn mode(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let message = || format!("has mode {mode:04o}, not 0600");
    (mode & 0o077 != 0)
        .then(|| catalogue::ENV_MODE.found(Severity::Warning, line(&path.display().to_string()), message()))
}

/// The secrets that the site whose `.env` this is keeps beside it.
fn stored(path: &Path) -> BTreeMap<String, String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let text = base::file::read_text(&SiteDir::new(directory).secrets(), 64 << 10).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const SECRET: &str = "kz8Wm2Qp7Xr4Nt9Vb3Yc6Lf1Hd5Gs0JaEuIoRwTqPyMnBvCxZlKj";

    fn fresh() -> Values {
        [("SITE_URL", "https://forge.acme.internal:8828"), ("SECRET_KEY", SECRET), ("GITGRIT_ENCRYPTION_KEY", KEY)]
            .into_iter()
            .collect()
    }

    fn said(values: &Values) -> Vec<String> {
        let show = |finding: Finding| format!("{} {} {}", finding.id, finding.subject, finding.message);
        judge(values, &BTreeMap::new(), Purpose::Site).into_iter().map(show).collect()
    }

    fn with(name: &str, value: &str) -> Vec<String> {
        let mut values = fresh();
        values.set(name, value);
        said(&values)
    }

    #[test]
    fn a_fresh_site_of_its_own_needs_no_gitlab() {
        assert!(said(&fresh()).is_empty(), "{:?}", said(&fresh()));
    }

    #[test]
    fn a_named_gitlab_needs_the_rest_of_its_settings() {
        let missing = ["GITLAB_CLIENT_ID", "GITLAB_CLIENT_SECRET", "GITGRIT_CUSTOM_CA_FILE_PATH"]
            .map(|name| format!("GG-ENV-004 {name} is not set"));
        assert_eq!(with("GITLAB_URL", "https://gitlab.acme.internal"), missing);
        assert_eq!(with("AUTH_PROVIDER_GITLAB_ENABLED", "True").len(), 4);
        assert!(with("AUTH_PROVIDER_GITLAB_ENABLED", "False").is_empty());
    }

    #[test]
    fn required_variables_may_stand_in_the_stored_secrets_with_the_same_value() {
        let values: Values = [("SITE_URL", "https://forge.acme.internal")].into_iter().collect();
        let stored: BTreeMap<_, _> =
            [("SECRET_KEY", SECRET), ("GITGRIT_ENCRYPTION_KEY", KEY)].map(|(n, v)| (n.into(), v.into())).into();
        assert!(judge(&values, &stored, Purpose::Site).is_empty());
        let mut other = fresh();
        assert!(judge(&other, &stored, Purpose::Site).is_empty());
        other.set("SECRET_KEY", SECRET.to_lowercase());
        let found = judge(&other, &stored, Purpose::Site);
        assert_eq!((found.len(), found[0].id, found[0].subject.as_str()), (1, "GG-ENV-030", "SECRET_KEY"));
    }

    #[test]
    fn unknown_names_get_a_suggestion_when_one_is_near() {
        assert_eq!(with("SITE_ULR", "x"), ["GG-ENV-005 SITE_ULR no such variable; did you mean SITE_URL?"]);
        assert_eq!(with("FROBNICATE", "x"), ["GG-ENV-005 FROBNICATE no such variable"]);
        assert!(with("COMPOSE_PROJECT_NAME", "x").is_empty());
    }

    #[test]
    fn names_of_the_stack_are_refused() {
        for name in ["DB_HOST", "REQUESTS_CA_BUNDLE", "SANDBOX_NETWORK", "SSL_CERT_FILE", "DB_PASSWORD"] {
            assert_eq!(with(name, "x"), [format!("GG-ENV-006 {name} is set by the stack itself")]);
        }
        assert_eq!(with("AIRGAPPED", "true"), ["GG-ENV-008 AIRGAPPED is not `True`"]);
        assert_eq!(with("AIRGAPPED", "True"), ["GG-ENV-006 AIRGAPPED is set by the stack itself"]);
    }

    #[test]
    fn secrets_are_not_used_twice_and_never_shown() {
        let found = with("POSTGRES_PASSWORD", SECRET);
        assert_eq!(found, ["GG-ENV-018 POSTGRES_PASSWORD has the same value as SECRET_KEY"]);
        let weak = with("SECRET_KEY", "hunter2");
        assert!(!weak.is_empty() && !format!("{weak:?}").contains("hunter2"));
    }

    #[test]
    fn two_services_do_not_share_a_port() {
        assert_eq!(with("APP_PORT", "2424"), ["GG-ENV-013 SSH_PORT is the same port as APP_PORT"]);
    }

    #[test]
    fn a_file_that_others_may_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        let text = format!("SITE_URL=https://a.internal\nSECRET_KEY={SECRET}\nGITGRIT_ENCRYPTION_KEY={KEY}\n");
        base::file::write_atomic(&path, text.as_bytes(), 0o644).unwrap();
        let found = check(&path, Purpose::Site);
        assert_eq!((found.len(), found[0].id, found[0].message.as_str()), (1, "GG-ENV-003", "has mode 0644, not 0600"));
        base::file::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
        assert_eq!(check(&path, Purpose::Site)[0].id, "GG-ENV-029");
        assert_eq!(check(&dir.path().join("none"), Purpose::Site)[0].id, "GG-ENV-001");
        base::file::write_atomic(&path, b"my password\n", 0o600).unwrap();
        assert_eq!(check(&path, Purpose::Site)[0].message, "line 1 is not NAME=value");
    }
}
