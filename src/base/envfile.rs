//! Reads and writes `.env` files. Reading goes through dotenvy; a line that it refuses is named by number only, as
//! it may hold a secret.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::file::{FileError, read_text};
use crate::{Hint, Secret};

/// The largest `.env` that is read, in bytes.
pub const LIMIT: u64 = 1 << 20;

/// What the values of one file may grow to by substitution, in bytes.
const GROWTH: usize = 8 << 20;

/// Names and values as one file or the environment gives them. `Debug` shows names alone.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, Secret<String>>);

impl std::fmt::Debug for Values {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

impl Values {
    /// The value of `name`; an empty value counts as there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose().as_str())
    }

    /// Sets one value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.into(), Secret::new(value.into()));
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Adds what `other` has and `self` has not.
    pub fn fill_from(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.0.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), Secret::new(value.into()))).collect())
    }
}

/// A `.env` file that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// Not readable as a file.
    #[error("could not read settings")]
    File(#[from] FileError),
    /// One line is not `NAME=value`.
    #[error("line {line} of `{path}` is not NAME=value")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Hint for EnvFileError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Line { .. } => Some("quote values that hold spaces, `#` or `$`: NAME='value'".into()),
        }
    }
}

/// Reads `path`. The last of two equal names wins, as with Docker Compose.
pub fn read(path: &Path) -> Result<Values, EnvFileError> {
    parse(&read_text(path, LIMIT)?, path)
}

/// Reads the text of a `.env` file; `path` is for errors alone.
pub fn parse(text: &str, path: &Path) -> Result<Values, EnvFileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = Values::default();
    let grown = Grown::default();
    for pair in dotenvy::from_read_iter(Lines { rest: text.as_bytes(), is_within: false, grown: &grown }) {
        match pair {
            Ok((name, value)) => {
                grown.add(value.len());
                values.set(&name, value);
            }
            Err(dotenvy::Error::LineParse(refused, _)) => {
                // The lines are handed out one by one, so the last of them ends what was refused.
                let line = (grown.line.get() + 1).saturating_sub(refused.lines().count().max(1)).max(1);
                return Err(EnvFileError::Line { path: path.into(), line });
            }
            Err(_) => return Err(EnvFileError::Line { path: path.into(), line: grown.line.get() }),
        }
    }
    Ok(values)
}

/// How far the values have grown: `A=$B$B` a few times over would fill any memory.
#[derive(Default)]
struct Grown {
    /// All values read, in bytes.
    total: Cell<usize>,
    /// The longest of them.
    longest: Cell<usize>,
    /// The most that the value being read can come to.
    pending: Cell<usize>,
    /// The line that was handed out last, from 1.
    line: Cell<usize>,
}

impl Grown {
    fn add(&self, length: usize) {
        self.total.set(self.total.get().saturating_add(length));
        self.longest.set(self.longest.get().max(length));
        self.pending.set(0);
    }

    /// Counts a line in that is about to be read. Fails when what it can come to is too much.
    fn expect(&self, line: &[u8]) -> io::Result<()> {
        self.line.set(self.line.get() + 1);
        let dollars: usize = line.iter().map(|byte| usize::from(*byte == b'$')).sum();
        let most = dollars.saturating_mul(self.longest.get()).saturating_add(line.len());
        self.pending.set(self.pending.get().saturating_add(most));
        let is_fine = dollars == 0 || self.total.get().saturating_add(self.pending.get()) <= GROWTH;
        if is_fine { Ok(()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    }
}

/// Hands the text out line by line, so that each is counted before it is read.
struct Lines<'t> {
    rest: &'t [u8],
    is_within: bool,
    grown: &'t Grown,
}

impl Read for Lines<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |at| at + 1);
        let (mut line, _) = self.rest.split_at(end);
        if !line.is_empty() && !self.is_within {
            self.grown.expect(line)?;
        }
        let taken = line.read(into)?;
        // A line that does not fit comes in parts, and is counted once.
        self.is_within = taken < end;
        self.rest = self.rest.split_at(taken).1;
        Ok(taken)
    }
}

/// Writes a value so that dotenvy and Docker Compose read back the same text: bare where nothing needs quoting, else in
/// single quotes. Fails (`None`) on a single quote or a line break, which the two read differently.
pub fn quoted(value: &str) -> Option<String> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if value.chars().all(is_bare) {
        return Some(value.into());
    }
    let is_safe = !value.contains(['\'', '\n', '\r', '\\', '\0']);
    is_safe.then(|| format!("'{value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_is_named_by_number_and_never_shown() {
        let error = parse("A=1\n\nthis is my password\n", Path::new(".env")).unwrap_err();
        assert_eq!(error.to_string(), "line 3 of `.env` is not NAME=value");
    }

    #[test]
    fn the_line_is_the_one_where_the_refused_setting_begins() {
        for (text, expected) in [
            ("A=1\nTAG=1.2\nPOSTGRES_USER=git grit; drop", 3),
            ("A=1\nB=x y z\nC=x y z\n", 2),
            ("A=1\r\n\r\nB=x y z\r\n", 3),
            ("# x y z\nA='1\n2'\nB='a\nb' c d\nC=1\n", 4),
            ("A=1\nB=\"open\n\n\n", 2),
            ("A=1\nB=\"open\n\nlast", 2),
        ] {
            let error = parse(text, Path::new("x")).unwrap_err();
            assert_eq!(error.to_string(), format!("line {expected} of `x` is not NAME=value"), "{text:?}");
        }
    }

    #[test]
    fn what_is_quoted_reads_back_the_same() {
        for value in ["", "plain", "a b", "a#b", "$HOME", "\"x\"", "p@ss word=!", "ä"] {
            let text = format!("NAME={}\n", quoted(value).unwrap());
            assert_eq!(parse(&text, Path::new("x")).unwrap().get("NAME"), Some(value), "{text}");
        }
        assert_eq!(quoted("it's"), None);
    }

    #[test]
    fn values_that_double_and_double_are_refused_before_they_fill_the_memory() {
        let doubling = (1..40).map(|n| format!("A{n}=$A{m}$A{m}\n", m = n - 1)).collect::<Vec<_>>().concat();
        let refused = parse(&format!("A0={}\n{doubling}", "x".repeat(1000)), Path::new("x"));
        assert!(matches!(refused, Err(EnvFileError::Line { line: 10..=16, .. })), "{refused:?}");
        let many = (0..200).map(|n| format!("B{n}=$A0$A0/{n}\n")).collect::<Vec<_>>().concat();
        assert!(parse(&format!("A0=plain\n{many}"), Path::new("x")).is_ok());
    }

    #[test]
    fn values_are_not_in_debug_output() {
        let values: Values = [("SECRET_KEY", "hunter2")].into_iter().collect();
        assert_eq!(format!("{values:?}"), r#"{"SECRET_KEY"}"#);
    }
}
