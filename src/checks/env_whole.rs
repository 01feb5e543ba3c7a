//! Rules that look at several settings of one file at once. Says names and ports, never a secret.

use std::collections::BTreeMap;

use base::envfile::Values;
use base::settings::{REGISTRY, Role, Rule, SECRETS, Setting};
use base::url::BaseUrl;
use base::{Finding, Severity};

use crate::catalogue::{self, Known};

/// Every rule over the whole file.
pub(crate) fn judge(values: &Values) -> Vec<Finding> {
    let mut findings = reused(values);
    findings.extend(same_port(values));
    findings.extend(unpublished(values));
    findings.extend(own_gitlab(values));
    findings
}

/// The value of `name` where there is one and it is not empty.
pub(crate) fn given<'v>(values: &'v Values, name: &str) -> Option<&'v str> {
    values.get(name).filter(|value| !value.is_empty())
}

/// A stack's database needs its password, but where another database is named. GitLab's settings are needed once a GitLab is named, or sign-in with it is switched on by hand: a site of its own needs
/// none of them.
pub(crate) fn is_needed(setting: &Setting, values: &Values) -> bool {
    match setting.role {
        Role::Required => true,
        Role::GitLab => {
            given(values, "GITLAB_URL").is_some() || values.get("AUTH_PROVIDER_GITLAB_ENABLED") == Some("True")
        }
        Role::Optional if setting.name == "POSTGRES_PASSWORD" => {
            given(values, "TAG").is_some() && given(values, "DATABASE_URL").is_none()
        }
        Role::Optional | Role::ComposeInternal => false,
    }
}

/// A secret that the site keeps with another value.
pub(crate) fn conflict(setting: &Setting, value: &str, stored: &BTreeMap<String, String>) -> Option<Finding> {
    let is_other = stored.get(setting.name).is_some_and(|other| other != value) && SECRETS.contains(&setting.name);
    let message = "has another value than in data/secrets.json";
    is_other.then(|| catalogue::ENV_CONFLICT.found(Severity::Error, setting.name, message))
}

/// Says whether the file is a stack's: an embedded site has no image tag, and publishes no port.
pub(crate) fn is_stack(values: &Values) -> bool {
    given(values, "TAG").is_some() || given(values, "APP_PORT").is_some()
}

/// The value of `name`, else its default.
pub(crate) fn effective<'v>(values: &'v Values, name: &str) -> Option<&'v str> {
    given(values, name).or_else(|| base::settings::find(name).map(|setting| setting.default))
}

fn reused(values: &Values) -> Vec<Finding> {
    let is_secret = |setting: &&Setting| matches!(setting.rule, Rule::Secret(_) | Rule::Fernet);
    let secrets: Vec<_> = REGISTRY
        .iter()
        .filter(is_secret)
        .filter_map(|setting| Some((setting.name, given(values, setting.name)?)))
        .collect();
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
    let (web, ssh) = (effective(values, "APP_PORT")?, effective(values, "SSH_PORT")?);
    let found: &'static Known = &catalogue::ENV_PORT_TAKEN;
    (web == ssh).then(|| found.found(Severity::Error, "SSH_PORT", "is the same port as APP_PORT"))
}

/// Only for a stack: an embedded site listens where SITE_URL says.
fn unpublished(values: &Values) -> Option<Finding> {
    let published: u16 = effective(values, "APP_PORT").filter(|_| is_stack(values))?.parse().ok()?;
    let port = BaseUrl::parse(given(values, "SITE_URL")?).ok()?.port();
    let is_joined = port == published || given(values, "TRUSTED_PROXIES").is_some();
    let how = if given(values, "APP_PORT").is_some() {
        "APP_PORT publishes"
    } else {
        "the stack, without APP_PORT, publishes"
    };
    let message = format!("leads to port {port}, and {how} {published}");
    (!is_joined).then(|| catalogue::ENV_UNPUBLISHED.found(Severity::Warning, "SITE_URL", message))
}

fn own_gitlab(values: &Values) -> Option<Finding> {
    let address = |name: &str| BaseUrl::parse(given(values, name)?).ok();
    let is_same = address("GITLAB_URL").is_some_and(|gitlab| Some(gitlab) == address("SITE_URL"));
    is_same
        .then(|| catalogue::ENV_OWN_GITLAB.found(Severity::Error, "GITLAB_URL", "is the address of this site itself"))
}
