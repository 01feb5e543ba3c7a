//! Reads a `.env` file with both readers that meet it, Docker Compose and the site's own, and says where they part.
//! Never says a value that may be a secret, nor a line of the file.

use std::collections::BTreeSet;
use std::path::Path;

use base::envfile::{self, EnvFileError, LIMIT, Values};
use base::file::FileError;
use base::settings::{REGISTRY, Rule};
use base::{Finding, Severity};

use crate::catalogue;
use crate::compose::{self, Environment, Reading};
use crate::text::{has_credentials, line};

/// What a file holds, as far as it could be read.
pub(crate) struct Read {
    /// The values that a stack gets; the site's reading where Compose refuses the file. `None` when both refuse it.
    pub(crate) reading: Option<Reading>,
    /// What was found on the way.
    pub(crate) findings: Vec<Finding>,
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path, environment: Environment<'_>) -> Read {
    let subject = line(&path.display().to_string());
    let unread = |finding| Read { reading: None, findings: vec![finding] };
    let bytes = match base::file::read_bytes(path, LIMIT) {
        Ok(bytes) => bytes,
        Err(FileError::TooLarge { .. }) => {
            return unread(catalogue::ENV_LARGE.found(Severity::Error, subject, "is larger than 1 MiB"));
        }
        Err(_) => {
            return unread(catalogue::ENV_UNREADABLE.found(Severity::Error, subject, "not a readable text file"));
        }
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return unread(catalogue::ENV_UNREADABLE.found(Severity::Error, subject, "not a readable text file"));
    };
    let mut findings = Vec::new();
    let ours = match envfile::parse(text, path) {
        Ok(values) => Some(values),
        Err(EnvFileError::Line { line, .. }) => {
            let message = format!("line {line} is not NAME=value");
            findings.push(catalogue::ENV_LINE.found(Severity::Error, subject.as_str(), message));
            None
        }
        Err(EnvFileError::File(_)) => None,
    };
    let theirs = match by_compose(&bytes, environment) {
        Ok(reading) => Some(reading),
        Err(refusal) => {
            let message = format!("line {}: {}", refusal.line, line(&refusal.reason.to_string()));
            findings.push(catalogue::ENV_REFUSED.found(Severity::Error, subject, message));
            None
        }
    };
    if let (Some(theirs), Some(ours)) = (&theirs, &ours) {
        findings.extend(differences(theirs, ours));
    }
    if let Some(theirs) = &theirs {
        findings.extend(doubled(theirs));
        findings.extend(shadowed(theirs, environment));
    }
    let alone = ours.map(|values| Reading { values, ..Reading::default() });
    Read { reading: theirs.or(alone), findings }
}

/// As Compose reads it, but for one thing: a name that the file sets keeps the file's value, so that the file is judged and not
/// the shell that happens to run the check.
fn by_compose(bytes: &[u8], environment: Environment<'_>) -> Result<Reading, compose::Refusal> {
    let first = compose::read(bytes, environment)?;
    compose::read(bytes, &|name| if first.lines.contains_key(name) { None } else { environment(name) })
}

/// How a report calls a name: only what looks like a variable is repeated, since a line of a cut secret can pass for a name.
pub(crate) fn shown(name: &str, reading: &Reading) -> String {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() <= 40 && name.bytes().all(is_letter) && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return name.into();
    }
    match reading.lines.get(name).and_then(|lines| lines.last()) {
        Some(line) => format!("line {line}"),
        None => "a name".into(),
    }
}

/// Says whether the value of `name` must not be repeated: secrets, and whatever we know nothing about.
pub(crate) fn is_private(name: &str, value: &str) -> bool {
    let Some(setting) = base::settings::find(name) else { return true };
    let is_secret = matches!(setting.rule, Rule::Secret(_) | Rule::Fernet | Rule::DatabaseUrl | Rule::RedisUrl);
    is_secret || name.contains("PASSWORD") || name.contains("SECRET") || has_credentials(value)
}

fn differences(theirs: &Reading, ours: &Values) -> Vec<Finding> {
    let names: BTreeSet<&str> = theirs.values.names().chain(ours.names()).collect();
    let differs = |name: &str| {
        let (stack, site) = (theirs.values.get(name), ours.get(name));
        if stack == site {
            return None;
        }
        let place = theirs.lines.get(name).and_then(|lines| lines.last()).map(|line| format!("line {line}: "));
        let what = match (stack, site) {
            (Some(stack), Some(site)) if !is_private(name, stack) && !is_private(name, site) => {
                format!("Docker Compose reads `{}`, the site `{}`", line(stack), line(site))
            }
            (Some(_), Some(_)) => "Docker Compose and the site read different values".into(),
            (Some(_), None) => "Docker Compose reads a value, the site none".into(),
            _ => "the site reads a value, Docker Compose none".into(),
        };
        let severity = if base::settings::find(name).is_some() { Severity::Error } else { Severity::Warning };
        let message = format!("{}{what}", place.unwrap_or_default());
        Some(catalogue::ENV_DIFFERS.found(severity, shown(name, theirs), message))
    };
    names.into_iter().filter_map(differs).collect()
}

fn doubled(reading: &Reading) -> Vec<Finding> {
    let twice = reading.lines.iter().filter(|(_, lines)| lines.len() > 1);
    let found = |(name, lines): (&String, &Vec<usize>)| {
        let numbers: Vec<String> = lines.iter().take(20).map(ToString::to_string).collect();
        let message = format!("is set on lines {}", numbers.join(", "));
        catalogue::ENV_TWICE.found(Severity::Warning, shown(name, reading), message)
    };
    twice.map(found).collect()
}

fn shadowed(reading: &Reading, environment: Environment<'_>) -> Vec<Finding> {
    let is_other = |name: &str| environment(name).is_some_and(|value| reading.values.get(name) != Some(value.as_str()));
    let names = REGISTRY.iter().map(|setting| setting.name).filter(|name| reading.lines.contains_key(*name));
    let message = "has another value in the environment";
    names
        .filter(|name| is_other(name))
        .map(|name| catalogue::ENV_SHADOWED.found(Severity::Warning, name, message))
        .collect()
}
