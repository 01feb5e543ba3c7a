//! Rules that look at several settings of one file at once. Says names and ports, never a secret.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use base::envfile::Values;
use base::settings::{REGISTRY, Role, Rule, SECRETS, Setting};
use base::url::BaseUrl;
use base::{Finding, Severity};

use crate::catalogue::{self, Known};

/// The settings that are ports of this host.
const PORTS: [&str; 2] = ["APP_PORT", "SSH_PORT"];

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

/// GitLab's settings are needed once a GitLab is named, or sign-in with it is switched on by hand: a site of its own needs
/// none of them.
pub(crate) fn is_needed(setting: &Setting, values: &Values) -> bool {
    match setting.role {
        Role::Required => true,
        Role::GitLab => {
            given(values, "GITLAB_URL").is_some() || values.get("AUTH_PROVIDER_GITLAB_ENABLED") == Some("True")
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

/// Ports that something listens on now. Asks the loopback address, which a listener on every address takes as well.
pub(crate) fn busy_ports(values: &Values) -> Vec<Finding> {
    let port = |name: &str| {
        let given = given(values, name).or_else(|| base::settings::find(name).map(|setting| setting.default));
        given.and_then(|port| port.parse::<u16>().ok())
    };
    let is_busy = |port: u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    };
    let busy = PORTS.into_iter().filter_map(|name| Some((name, port(name).filter(|port| is_busy(*port))?)));
    let found = |(name, port)| {
        catalogue::ENV_PORT_BUSY.found(Severity::Error, name, format!("port {port} is in use on this host"))
    };
    busy.map(found).collect()
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
    let port = |name: &str| {
        given(values, name).or_else(|| base::settings::find(name).map(|setting| setting.default)).map(str::to_owned)
    };
    let is_same = port("APP_PORT").is_some() && port("APP_PORT") == port("SSH_PORT");
    let found: &'static Known = &catalogue::ENV_PORT_TAKEN;
    is_same.then(|| found.found(Severity::Error, "SSH_PORT", "is the same port as APP_PORT"))
}

/// Only where APP_PORT was chosen: a site without a stack listens where SITE_URL says.
fn unpublished(values: &Values) -> Option<Finding> {
    let published: u16 = given(values, "APP_PORT")?.parse().ok()?;
    let port = BaseUrl::parse(given(values, "SITE_URL")?).ok()?.port();
    let is_joined = port == published || given(values, "TRUSTED_PROXIES").is_some();
    let message = format!("leads to port {port}, and APP_PORT publishes {published}");
    (!is_joined).then(|| catalogue::ENV_UNPUBLISHED.found(Severity::Warning, "SITE_URL", message))
}

fn own_gitlab(values: &Values) -> Option<Finding> {
    let address = |name: &str| BaseUrl::parse(given(values, name)?).ok();
    let is_same = address("GITLAB_URL").is_some_and(|gitlab| Some(gitlab) == address("SITE_URL"));
    is_same
        .then(|| catalogue::ENV_OWN_GITLAB.found(Severity::Error, "GITLAB_URL", "is the address of this site itself"))
}
