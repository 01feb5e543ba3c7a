//! The settings check: each variable of a `.env` file against its rule in the registry. Never says a secret's value.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base::envfile::Values;
use base::file::Lock;
use base::settings::{REGISTRY, Role, Rule, SECRETS, Setting};
use base::site::SiteDir;
use base::{Finding, Severity};

use crate::catalogue;
use crate::compose::{Environment, Reading};
use crate::env_private::{Private, is_foreign, nearest, shown};
use crate::env_read::{self, beyond, listed};
use crate::env_rules::Given;
use crate::text::line;
use crate::{env_ports, env_rules, env_whole};

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
    let mut private = read.private;
    findings.extend(mode(path));
    let stored = Stored::of(path);
    private.keep(&stored.values);
    findings.extend(stored.finding.clone());
    findings.extend(judge(&reading, &stored, &private, asked.purpose));
    if asked.are_ports_free && !Lock::is_held(&site(path).serve_lock()) {
        findings.extend(env_ports::busy(&reading.values));
    }
    if findings.is_empty() {
        let message = format!("{} variables, nothing to say against them", reading.values.names().count());
        findings.push(catalogue::ENV_FINE.found(Severity::Ok, subject, message));
    }
    let place = |finding: Finding| {
        let line = reading.lines.get(&finding.subject).and_then(|lines| lines.last().copied());
        Finding { line: finding.line.or(line), ..finding }
    };
    findings.into_iter().map(place).collect()
}

/// One file as Docker Compose reads it, to be compared. Holds secrets, so it has no `Debug`.
pub struct Side {
    pub(crate) reading: Reading,
    pub(crate) private: Private,
}

/// The file at `path` as Docker Compose reads it, or why there are no values.
pub fn side(path: &Path, environment: Environment<'_>) -> Result<Side, Vec<Finding>> {
    let read = env_read::read(path, environment);
    match read.reading {
        Some(reading) if !read.findings.iter().any(|finding| finding.id == catalogue::ENV_REFUSED.id) => {
            Ok(Side { reading, private: read.private })
        }
        _ => Err(read.findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()),
    }
}

/// Judges one value by its setting's rule, wherever it comes from. A name that is no setting has nothing against it.
pub fn value(name: &str, text: &str, purpose: Purpose) -> Vec<Finding> {
    let Some(setting) = base::settings::find(name) else { return Vec::new() };
    let is_private = Private::default().hides(name, text);
    env_rules::judge(&Given { setting, text, is_private }, purpose)
}

/// Judges the values of one file. `stored` is what the site keeps in `data/secrets.json` instead.
fn judge(reading: &Reading, stored: &Stored, private: &Private, purpose: Purpose) -> Vec<Finding> {
    let values = &reading.values;
    let mut findings = strays(reading);
    for setting in REGISTRY.iter().filter(|setting| setting.role != Role::ComposeInternal) {
        // An empty text is no value, but for a switch: there it is neither of the two.
        let is_switch = setting.rule == Rule::Boolean;
        match env_whole::given(values, setting.name).or_else(|| values.get(setting.name).filter(|_| is_switch)) {
            Some(text) => {
                let is_private = private.hides(setting.name, text);
                findings.extend(env_rules::judge(&Given { setting, text, is_private }, purpose));
                findings.extend(env_whole::conflict(setting, text, &stored.values));
            }
            None if env_whole::is_needed(setting, values) && !stored.may_have(setting.name) => {
                findings.push(catalogue::ENV_MISSING.found(Severity::Error, setting.name, "is not set"));
            }
            None => {}
        }
    }
    findings.extend(env_whole::judge(values));
    findings
}

/// Names that have no business in the file.
fn strays(reading: &Reading) -> Vec<Finding> {
    let (names, more) = listed(reading.values.names().filter(|name| !is_foreign(name)));
    let stray = |name: &str| {
        if let Some(setting) = base::settings::find(name) {
            return (setting.role == Role::ComposeInternal).then(|| internal(setting, &reading.values));
        }
        let message = nearest(name).map(|near| format!("no such variable; did you mean {near}?"));
        let message = message.unwrap_or_else(|| "no such variable".into());
        let line = reading.lines.get(name).and_then(|lines| lines.last().copied());
        let found = catalogue::ENV_UNKNOWN.found(Severity::Warning, shown(name, reading), message);
        Some(Finding { line, ..found })
    };
    names.into_iter().filter_map(stray).chain(beyond(&catalogue::ENV_UNKNOWN, more)).collect()
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

/// The secrets that the site keeps beside its `.env`.
#[derive(Default)]
struct Stored {
    values: BTreeMap<String, String>,
    finding: Option<Finding>,
}

impl Stored {
    /// Those of the site whose `.env` this is.
    fn of(path: &Path) -> Self {
        let file = site(path).secrets();
        if !file.exists() {
            return Self::default();
        }
        let text = base::file::read_text(&file, 64 << 10).ok();
        if let Some(values) = text.and_then(|text| serde_json::from_str(&text).ok()) {
            return Self { values, finding: None };
        }
        let message = "is not readable as a JSON object of texts";
        let found = catalogue::ENV_STORED.found(Severity::Error, line(&file.display().to_string()), message);
        Self { values: BTreeMap::new(), finding: Some(found) }
    }

    /// Says whether `name` may be kept there; nobody knows when the file does not read.
    fn may_have(&self, name: &str) -> bool {
        self.values.contains_key(name) || (self.finding.is_some() && SECRETS.contains(&name))
    }
}

#[cfg(test)]
#[path = "env_test.rs"]
mod tests;
