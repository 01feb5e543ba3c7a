//! Reads and writes `.env` files. Reading goes through dotenvy; a line that it refuses is named by number only, as
//! it may hold a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::file::{FileError, read_text};
use crate::{Hint, Secret};

/// The largest `.env` that is read, in bytes.
const LIMIT: u64 = 1 << 20;

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
    for pair in dotenvy::from_read_iter(text.as_bytes()) {
        match pair {
            Ok((name, value)) => values.set(&name, value),
            Err(dotenvy::Error::LineParse(refused, _)) => {
                let first = refused.lines().next().unwrap_or_default().trim();
                let line = text.lines().position(|line| line.trim() == first).map_or(1, |index| index + 1);
                return Err(EnvFileError::Line { path: path.into(), line });
            }
            Err(_) => return Err(EnvFileError::Line { path: path.into(), line: 1 }),
        }
    }
    Ok(values)
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
    fn what_is_quoted_reads_back_the_same() {
        for value in ["", "plain", "a b", "a#b", "$HOME", "\"x\"", "p@ss word=!", "ä"] {
            let text = format!("NAME={}\n", quoted(value).unwrap());
            assert_eq!(parse(&text, Path::new("x")).unwrap().get("NAME"), Some(value), "{text}");
        }
        assert_eq!(quoted("it's"), None);
    }

    #[test]
    fn values_are_not_in_debug_output() {
        let values: Values = [("SECRET_KEY", "hunter2")].into_iter().collect();
        assert_eq!(format!("{values:?}"), r#"{"SECRET_KEY"}"#);
    }
}
