//! The settings check: each variable of a `.env` file against its rule in the registry. Never says a secret's value.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base::envfile::Values;
use base::file::Lock;
use base::settings::{REGISTRY, Role, Rule, Setting};
use base::site::SiteDir;
use base::{Finding, Severity};

use crate::catalogue;
use crate::compose::{Environment, Reading};
use crate::env_read::{self, shown};
use crate::text::{distance, line};
use crate::{env_rules, env_whole};

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

/// What a check is asked to look at.
pub struct Asked<'e> {
    /// How strict it is.
    pub purpose: Purpose,
    /// Says whether the ports shall be free, as before an installation.
    pub are_ports_free: bool,
    /// The environment that Docker Compose would run in.
    pub environment: Environment<'e>,
}

/// Reads and judges the `.env` file at `path`.
pub fn check(path: &Path, asked: &Asked<'_>) -> Vec<Finding> {
    let subject = line(&path.display().to_string());
    let read = env_read::read(path, asked.environment);
    let mut findings = read.findings;
    let Some(reading) = read.reading else { return findings };
    findings.extend(mode(path));
    findings.extend(judge(&reading, &stored(path), asked.purpose));
    if asked.are_ports_free && !Lock::is_held(&site(path).serve_lock()) {
        findings.extend(env_whole::busy_ports(&reading.values));
    }
    if findings.is_empty() {
        let message = format!("{} variables, nothing to say against them", reading.values.names().count());
        findings.push(catalogue::ENV_FINE.found(Severity::Ok, subject, message));
    }
    findings
}

/// The values of the file at `path` as Docker Compose reads them, or why there are none.
pub fn values(path: &Path, environment: Environment<'_>) -> Result<Values, Vec<Finding>> {
    let read = env_read::read(path, environment);
    match read.reading {
        Some(reading) if !read.findings.iter().any(|finding| finding.id == catalogue::ENV_REFUSED.id) => {
            Ok(reading.values)
        }
        _ => Err(read.findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()),
    }
}

/// Judges one value by its setting's rule, wherever it comes from. A name that is no setting has nothing against it.
pub fn value(name: &str, value: &str, purpose: Purpose) -> Vec<Finding> {
    base::settings::find(name).map(|setting| env_rules::judge(setting, value, purpose)).unwrap_or_default()
}

/// Judges the values of one file. `stored` is what the site keeps in `data/secrets.json` instead.
fn judge(reading: &Reading, stored: &BTreeMap<String, String>, purpose: Purpose) -> Vec<Finding> {
    let values = &reading.values;
    let mut findings: Vec<Finding> = values.names().filter_map(|name| stray(name, reading)).collect();
    for setting in REGISTRY.iter().filter(|setting| setting.role != Role::ComposeInternal) {
        match env_whole::given(values, setting.name) {
            Some(value) => {
                findings.extend(env_rules::judge(setting, value, purpose));
                findings.extend(env_whole::conflict(setting, value, stored));
            }
            None if env_whole::is_needed(setting, values) && !stored.contains_key(setting.name) => {
                findings.push(catalogue::ENV_MISSING.found(Severity::Error, setting.name, "is not set"));
            }
            None => {}
        }
    }
    findings.extend(env_whole::judge(values));
    findings
}

/// A name that has no business in the file.
fn stray(name: &str, reading: &Reading) -> Option<Finding> {
    match base::settings::find(name) {
        Some(setting) if setting.role == Role::ComposeInternal => Some(internal(setting, &reading.values)),
        Some(_) => None,
        None if FOREIGN.iter().any(|start| name.starts_with(start)) => None,
        None => {
            let short: String = name.chars().take(40).collect();
            let nearest = REGISTRY.iter().map(|setting| (distance(&short, setting.name), setting.name)).min();
            let message = match nearest {
                Some((edits, near)) if edits <= 3 && edits * 2 < name.len() => {
                    format!("no such variable; did you mean {near}?")
                }
                _ => "no such variable".into(),
            };
            Some(catalogue::ENV_UNKNOWN.found(Severity::Warning, shown(name, reading), message))
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

fn mode(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let message = || format!("has mode {mode:04o}, not 0600");
    (mode & 0o077 != 0)
        .then(|| catalogue::ENV_MODE.found(Severity::Warning, line(&path.display().to_string()), message()))
}

/// The site whose `.env` this is, if it is one's.
fn site(path: &Path) -> SiteDir {
    SiteDir::new(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// The secrets that the site whose `.env` this is keeps beside it.
fn stored(path: &Path) -> BTreeMap<String, String> {
    let text = base::file::read_text(&site(path).secrets(), 64 << 10).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

#[cfg(test)]
#[path = "env_test.rs"]
mod tests;
