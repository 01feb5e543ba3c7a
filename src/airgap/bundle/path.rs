//! The paths that a file of a bundle may have: the same on every file system, harmless in every shell and archive tool.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::BundleError;

/// The longest path, in bytes. With it every path fits a ustar header.
const LONGEST: usize = 200;
/// The longest part between two slashes, in bytes.
const LONGEST_PART: usize = 100;

/// A path inside a bundle: relative, its parts of ASCII letters, digits and `._+-@=~`, none of them a way up or an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(String);

impl EntryPath {
    /// Reads a path, and says what is wrong with one that is none.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        match fault(text) {
            None => Ok(Self(text.into())),
            Some(why) => Err(BundleError::Path { path: shown(text), why }),
        }
    }

    /// The path of the blob with the digest `digest`.
    pub(crate) fn of_blob(digest: &super::Digest) -> Self {
        Self(format!("blobs/sha256/{digest}"))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Serialize for EntryPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Takes any text: the rules judge it, so that the refusal has its own id.
impl<'de> Deserialize<'de> for EntryPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// What is wrong with `text` as a path.
fn fault(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.len() > LONGEST {
        return Some("it is empty or longer than 200 bytes");
    }
    if text.starts_with('/') {
        return Some("it is absolute");
    }
    text.split('/').find_map(part_fault)
}

fn part_fault(part: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-@=~".contains(&byte);
    match part {
        "" => Some("a part of it is empty"),
        "." | ".." => Some("a part of it is a way up or no way at all"),
        _ if !part.bytes().all(is_plain) => Some("it holds a sign that paths of bundles may not hold"),
        _ if part.len() > LONGEST_PART => Some("a part of it is longer than 100 bytes"),
        _ if part.starts_with(['-', '~']) => Some("a part of it begins as an option or a home directory does"),
        _ if part.ends_with('.') => Some("a part of it ends in a dot"),
        _ => None,
    }
}

/// `text` for a message: cut, and without signs that do something to a terminal.
pub(crate) fn shown(text: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_graphic() || sign == ' ' { sign } else { '?' };
    let cut: String = text.chars().take(120).map(plain).collect();
    if text.chars().count() > 120 { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_every_file_system_takes_are_paths() {
        for path in
            ["a", "SHA256SUMS", ".gitgrit/sbom/app.spdx.json", "compose/.env.example", "bin/gitgrit-ops", "a/b+c@1=2~3"]
        {
            assert_eq!(EntryPath::parse(path).unwrap().as_str(), path);
        }
        let longest = format!("{}/{}", "a".repeat(99), "b".repeat(100));
        assert!(EntryPath::parse(&longest).is_ok());
    }

    #[test]
    fn paths_that_lead_out_or_mean_something_else_are_none() {
        let long = "a".repeat(101);
        let deep = "a/".repeat(120);
        let wrong = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "a\\b",
            "C:\\a",
            "c:a",
            "-rf",
            "a/-x",
            "~/a",
            "~",
            "a b",
            "a\n",
            "a\0",
            "a\u{202e}b",
            "é",
            "a*",
            "a?",
            "$x",
            "a.",
            "a./b",
            "...",
            "a%2e",
            "%2e%2e/a",
            &long,
            &deep,
        ];
        for path in wrong {
            assert!(matches!(EntryPath::parse(path), Err(BundleError::Path { .. })), "{path:?}");
        }
    }

    #[test]
    fn what_a_message_shows_does_nothing_to_a_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}"), "a?[2Jb?");
        assert!(shown(&"x".repeat(500)).len() < 130);
    }
}
