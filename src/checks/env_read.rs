//! Reads a `.env` file with both readers that meet it, Docker Compose and the site's own, and says where they part.
//! Never says a value that may be a secret, nor a line of the file.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use base::envfile::{self, EnvFileError, LIMIT, Values};
use base::file::FileError;
use base::settings::REGISTRY;
use base::{Finding, Severity};

use crate::catalogue::{self, Known};
use crate::compose::{self, Environment, Reading, Reason, Refusal};
use crate::env_private::{Private, shown};
use crate::text::line;

/// How many names that are no settings each kind of finding lists.
const LISTED: usize = 20;

/// What a file holds, as far as it could be read.
pub(crate) struct Read {
    /// The values that a stack gets; the site's reading where Compose refuses the file. `None` when both refuse it.
    pub(crate) reading: Option<Reading>,
    /// What of it must not be said.
    pub(crate) private: Private,
    /// What was found on the way.
    pub(crate) findings: Vec<Finding>,
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path, environment: Environment<'_>) -> Read {
    let subject = line(&path.display().to_string());
    match base::file::read_bytes(path, LIMIT) {
        Ok(bytes) => both(&bytes, path, &subject, environment),
        Err(error) => Read { reading: None, private: Private::default(), findings: vec![unread(&error, &subject)] },
    }
}

/// As Compose reads it, but for one thing: a name that the file sets keeps the file's value, so that the file is judged and not
/// the shell that happens to run the check.
pub(crate) fn by_compose(bytes: &[u8], environment: Environment<'_>) -> Result<Reading, Refusal> {
    let first = compose::read(bytes, environment)?;
    compose::read(bytes, &|name| if first.lines.contains_key(name) { None } else { environment(name) })
}

/// The names that a report lists one by one: every setting, and a few of the others. And how many others there are beyond.
pub(crate) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> (Vec<&'n str>, usize) {
    let (known, other): (Vec<&str>, Vec<&str>) = names.partition(|name| base::settings::find(name).is_some());
    let more = other.len().saturating_sub(LISTED);
    (known.into_iter().chain(other.into_iter().take(LISTED)).collect(), more)
}

/// Says that there are more than were listed.
pub(crate) fn beyond(known: &'static Known, more: usize) -> Option<Finding> {
    (more > 0).then(|| known.found(Severity::Warning, "other names", format!("and {more} more of this kind")))
}

fn both(bytes: &[u8], path: &Path, subject: &str, environment: Environment<'_>) -> Read {
    let (mut findings, mut private) = (Vec::new(), Private::default());
    let at = |finding: Finding, line| Finding { line: Some(line), ..finding };
    let ours = match std::str::from_utf8(bytes) {
        Ok(text) => match envfile::parse(text, path) {
            Ok(values) => Some(values),
            Err(EnvFileError::Line { line, .. }) => {
                let message = format!("line {line} is not NAME=value");
                findings.push(at(catalogue::ENV_LINE.found(Severity::Error, subject, message), line));
                None
            }
            Err(EnvFileError::File(_)) => None,
        },
        Err(error) => {
            let (line, encoding) = encoding(bytes, error.valid_up_to());
            let message = format!("line {line}: {encoding}");
            findings.push(at(catalogue::ENV_ENCODING.found(Severity::Error, subject, message), line));
            if encoding == WIDE {
                return Read { reading: None, private, findings };
            }
            None
        }
    };
    let theirs = by_compose(bytes, environment).map_err(|refusal| findings.push(refused(&refusal, subject))).ok();
    for values in theirs.iter().map(|theirs| &theirs.values).chain(&ours) {
        private.learn(values);
    }
    private.mix(theirs.iter().flat_map(|theirs| theirs.mixed.iter().cloned()));
    if let (Some(theirs), Some(ours)) = (&theirs, &ours) {
        findings.extend(differences(theirs, ours, &private));
    }
    if let Some(theirs) = &theirs {
        findings.extend(doubled(theirs));
        findings.extend(shadowed(theirs, environment));
    }
    let reading = match (theirs, ours) {
        (Some(theirs), _) => Some(theirs),
        (None, Some(values)) => {
            // Which of them are put together from others, only Compose's reader could tell.
            private.mix(values.names().filter(|_| bytes.contains(&b'$')).map(str::to_owned));
            Some(Reading { values, ..Reading::default() })
        }
        (None, None) => None,
    };
    Read { reading, private, findings }
}

/// What a text is called that has a zero byte in most of its letters.
const WIDE: &str = "UTF-16 text, which neither Docker Compose nor the site reads";

/// The line of the first byte that is not UTF-8, and what the bytes seem to be.
fn encoding(bytes: &[u8], valid: usize) -> (usize, &'static str) {
    let zeros = bytes.split(|byte| *byte == 0).count() - 1;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || zeros * 4 > bytes.len() {
        return (1, WIDE);
    }
    let line = bytes.iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
    (line, "a byte that is not UTF-8, most often from Latin-1 (ISO 8859-1)")
}

fn unread(error: &FileError, subject: &str) -> Finding {
    let kind = match error {
        FileError::TooLarge { .. } => {
            return catalogue::ENV_LARGE.found(Severity::Error, subject, "is larger than 1 MiB");
        }
        FileError::Read { source, .. } => source.kind(),
        _ => ErrorKind::Other,
    };
    let found = |message: &str| catalogue::ENV_UNREADABLE.found(Severity::Error, subject, message);
    let (message, fix) = match kind {
        ErrorKind::NotFound => return found("does not exist"),
        ErrorKind::IsADirectory => ("is a directory", "name the file inside it"),
        ErrorKind::InvalidInput => ("is not a regular file", "write its content into a file, and name that"),
        ErrorKind::PermissionDenied => ("may not be read by this user", "run this as the user that owns the file"),
        _ => ("could not be read", "look at the file system that it is on"),
    };
    Finding { fix: fix.into(), ..found(message) }
}

/// The refusal, with the fix that its reason asks for.
fn refused(refusal: &Refusal, subject: &str) -> Finding {
    let fix = match &refusal.reason {
        Reason::Space => "write NAME=value, and put a value with line ends or `#` in single quotes",
        Reason::Character => "give the name letters, digits and `_` alone",
        Reason::Export => "write export NAME=value, or remove the line",
        Reason::Quote => "close the quote that begins in this line",
        Reason::Template => "write `$$` for a dollar sign, or put the value in single quotes; close every `${`",
        Reason::Required(_) => "set the variable that the line asks for, in the file above it or in the environment",
        Reason::Nameless => "write a name before the `=`",
        Reason::Zero => "remove the zero byte",
        Reason::Bounds => "write the values out instead of building them from each other",
    };
    let message = format!("line {}: {}", refusal.line, line(&refusal.reason.to_string()));
    let found = catalogue::ENV_REFUSED.found(Severity::Error, subject, message);
    Finding { line: Some(refusal.line), fix: fix.into(), ..found }
}

fn differences(theirs: &Reading, ours: &Values, private: &Private) -> Vec<Finding> {
    let names: BTreeSet<&str> = theirs.values.names().chain(ours.names()).collect();
    let is_other = |name: &&str| theirs.values.get(name) != ours.get(name);
    let (names, more) = listed(names.into_iter().filter(is_other));
    let found = |name: &str| {
        let place = theirs.lines.get(name).and_then(|lines| lines.last()).map(|line| format!("line {line}: "));
        let what = match (theirs.values.get(name), ours.get(name)) {
            (Some(stack), Some(site)) if !private.hides(name, stack) && !private.hides(name, site) => {
                format!("Docker Compose reads `{}`, the site `{}`", line(stack), line(site))
            }
            (Some(_), Some(_)) => "Docker Compose and the site read different values".into(),
            (Some(_), None) => "Docker Compose reads a value, the site none".into(),
            _ => "the site reads a value, Docker Compose none".into(),
        };
        let severity = if base::settings::find(name).is_some() { Severity::Error } else { Severity::Warning };
        let message = format!("{}{what}", place.unwrap_or_default());
        catalogue::ENV_DIFFERS.found(severity, shown(name, theirs), message)
    };
    names.into_iter().map(found).chain(beyond(&catalogue::ENV_DIFFERS, more)).collect()
}

fn doubled(reading: &Reading) -> Vec<Finding> {
    let lines = |name: &str| reading.lines.get(name).map_or(&[][..], Vec::as_slice);
    let (names, more) = listed(reading.lines.keys().map(String::as_str).filter(|name| lines(name).len() > 1));
    let found = |name: &str| {
        let numbers: Vec<String> = lines(name).iter().take(20).map(ToString::to_string).collect();
        let message = format!("is set on lines {}", numbers.join(", "));
        catalogue::ENV_TWICE.found(Severity::Warning, shown(name, reading), message)
    };
    names.into_iter().map(found).chain(beyond(&catalogue::ENV_TWICE, more)).collect()
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
