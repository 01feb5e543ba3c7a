//! Names that people and clients send: parsed once at the edge, safe everywhere after. No room takes a raw path,
//! ref or owner string past its own door.

use std::fmt;

use crate::Hint;
pub use crate::reserved::RESERVED;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a user or organisation name.
    #[error("`{0}` is not a user name")]
    Owner(String),
    /// One of the words that pages and clients use.
    #[error("the name `{0}` is taken by the site itself")]
    Reserved(String),
    /// Not a team name.
    #[error("`{0}` is not a team name")]
    Team(String),
    /// Not a repository name.
    #[error("`{0}` is not a repository name")]
    Repository(String),
    /// Not a full ref name.
    #[error("`{0}` is not a ref name")]
    Ref(String),
    /// Not an object id.
    #[error("`{0}` is not an object id")]
    Oid(String),
    /// Not a path inside a tree.
    #[error("`{0}` is not a path inside a repository")]
    Path(String),
}

impl Hint for NameError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Owner(_) => "use 1 to 39 letters, digits, `-`, `_` or `.`, beginning and ending with a letter or digit".into(),
            Self::Team(_) => "use 1 to 60 letters, digits, `-`, `_` or `.`, beginning and ending with a letter or digit".into(),
            Self::Reserved(_) => "choose another name".into(),
            Self::Repository(_) => "use 1 to 100 letters, digits, `-`, `_` or `.`, not beginning with `-` or `.`, not ending with `.git`, `.lock` or `.`".into(),
            Self::Ref(_) => "see git-check-ref-format(1)".into(),
            Self::Oid(_) => "use the full hexadecimal id".into(),
            Self::Path(_) => "use `/` between names, without `.` or `..`".into(),
        })
    }
}

/// The name of a user or an organisation. Compared without regard to case; keeps the case it was given.
#[derive(Clone, Debug)]
pub struct OwnerName(String);

impl OwnerName {
    /// Parses a name; refuses reserved words.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_edge_fine = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !is_edge_fine || text.len() > 39 || !text.bytes().all(is_name_byte) || text.contains("..") {
            return Err(NameError::Owner(shown(text)));
        }
        let name = Self(text.into());
        if RESERVED.contains(&name.key().as_str()) {
            return Err(NameError::Reserved(text.into()));
        }
        Ok(name)
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique: lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// The name of a team in its organisation. Compared without regard to case; keeps the case it was given.
#[derive(Clone, Debug)]
pub struct TeamName(String);

impl TeamName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_edge_fine = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !is_edge_fine || text.len() > 60 || !text.bytes().all(is_name_byte) || text.contains("..") {
            return Err(NameError::Team(shown(text)));
        }
        Ok(Self(text.into()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique in its organisation: lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// The name of a repository under its owner. Compared without regard to case.
#[derive(Clone, Debug)]
pub struct RepoName(String);

impl RepoName {
    /// Parses a name without the `.git` that clone URLs may carry.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let lower = text.to_ascii_lowercase();
        let has_bad_end = [".git", ".lock", ".wiki", ".", ".atom", ".rss"].iter().any(|end| lower.ends_with(end));
        let has_bad_start = text.starts_with(['-', '.']);
        if text.is_empty()
            || text.len() > 100
            || has_bad_end
            || has_bad_start
            || text.contains("..")
            || !text.bytes().all(is_name_byte)
        {
            return Err(NameError::Repository(shown(text)));
        }
        Ok(Self(text.into()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique under its owner: lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An owner and a repository name: `alice/notes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoPath {
    /// Whose it is.
    pub owner: OwnerName,
    /// Its name there.
    pub name: RepoName,
}

impl RepoPath {
    /// Parses the two parts; a `.git` at the end of the second is dropped, as clone URLs carry it.
    pub fn parse(owner: &str, name: &str) -> Result<Self, NameError> {
        let name = name.strip_suffix(".git").unwrap_or(name);
        Ok(Self { owner: OwnerName::parse(owner)?, name: RepoName::parse(name)? })
    }

    /// Parses `alice/notes`, `/alice/notes.git` and the like, as SSH clients send them.
    pub fn parse_joined(text: &str) -> Result<Self, NameError> {
        let trimmed = text.strip_prefix('/').unwrap_or(text);
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        let (owner, name) = trimmed.split_once('/').ok_or_else(|| NameError::Repository(shown(text)))?;
        Self::parse(owner, name)
    }
}

macro_rules! by_key {
    ($type:ty) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }
        impl Eq for $type {}
        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}
by_key!(OwnerName);
by_key!(TeamName);
by_key!(RepoName);

impl fmt::Display for RepoPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.owner, self.name)
    }
}

/// A full ref name below `refs/`, valid by git-check-ref-format(1), no component beginning with `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// Parses a full name such as `refs/heads/main`. At most 1,024 bytes of UTF-8.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_part_fine = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.to_ascii_lowercase().ends_with(".lock")
        };
        let is_char_fine = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
        let is_fine = text.starts_with("refs/")
            && text.len() <= 1024
            && text.split('/').count() >= 3
            && text.split('/').all(is_part_fine)
            && text.chars().all(is_char_fine)
            && !text.contains("..")
            && !text.contains("@{");
        if is_fine { Ok(Self(text.into())) } else { Err(NameError::Ref(shown(text))) }
    }

    /// The branch with this short name.
    pub fn branch(short: &str) -> Result<Self, NameError> {
        Self::parse(&format!("refs/heads/{short}"))
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without `refs/heads/` or `refs/tags/`.
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/heads/").or_else(|| self.0.strip_prefix("refs/tags/")).unwrap_or(&self.0)
    }

    /// Says whether it is below `refs/heads/`.
    pub fn is_branch(&self) -> bool {
        self.0.starts_with("refs/heads/")
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// An object id: 40 lower-case hexadecimal digits, SHA-1. Repositories of SHA-256 there are none here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(String);

impl Oid {
    /// Parses a full id.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if is_hex && text.len() == 40 { Ok(Self(text.into())) } else { Err(NameError::Oid(shown(text))) }
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }

    /// Says whether it is the all-zero id that means "no object" in pushes.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'0')
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A path inside a tree, `/` between its parts; empty for the root. Bytes, as Git has no encoding for paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// Parses a path of at most 4,096 bytes; slashes at both ends are dropped.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        let start = bytes.iter().take_while(|byte| **byte == b'/').count();
        let end = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == b'/').count();
        let trimmed = bytes.get(start..end).unwrap_or_default();
        if trimmed.is_empty() {
            return Ok(Self::default());
        }
        let is_fine = trimmed.len() <= 4096
            && !trimmed.contains(&0)
            && trimmed.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."));
        if is_fine { Ok(Self(trimmed.into())) } else { Err(NameError::Path(shown(&String::from_utf8_lossy(bytes)))) }
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts from the root down.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// This path with one more part below it. Fails when the part holds a slash or is `..`.
    pub fn join(&self, part: &[u8]) -> Result<Self, NameError> {
        let mut bytes = self.0.clone();
        if part.contains(&b'/') {
            return Err(NameError::Path(shown(&String::from_utf8_lossy(part))));
        }
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(part);
        Self::parse(&bytes)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.0))
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Text from outside, made fit for one line of a message: no control characters, at most 80 characters.
pub fn shown(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.chars().take(80).map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_names_have_edges_and_no_reserved_words() {
        for fine in ["a", "alice", "A-b_c.d", "x9"] {
            assert!(OwnerName::parse(fine).is_ok(), "{fine}");
        }
        for refused in ["", "-a", "a-", ".a", "a..b", "a/b", "ä", "Admin", "sign-in", "a b", &"a".repeat(40)] {
            assert!(OwnerName::parse(refused).is_err(), "{refused}");
        }
        assert_eq!(OwnerName::parse("Alice").unwrap(), OwnerName::parse("aLICE").unwrap());
    }

    #[test]
    fn repository_paths_drop_one_git_suffix() {
        assert_eq!(RepoPath::parse_joined("/alice/notes.git").unwrap().to_string(), "alice/notes");
        for refused in [
            "alice",
            "alice/",
            "alice/../b",
            "alice/a/b",
            "alice/.git",
            "alice/a.git.git",
            "-x/--upload-pack=y",
            "alice/a\0",
        ] {
            assert!(RepoPath::parse_joined(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn ref_names_follow_check_ref_format() {
        for fine in ["refs/heads/main", "refs/heads/a/b.c", "refs/tags/v1.0", "refs/heads/ä", "refs/heads/@"] {
            assert!(RefName::parse(fine).is_ok(), "{fine}");
        }
        for refused in [
            "main",
            "refs/heads",
            "refs/heads/",
            "refs/heads/--upload-pack=x",
            "refs/heads/a..b",
            "refs/heads/a.lock",
            "refs/heads/.a",
            "refs/heads/a b",
            "refs/heads/a~1",
            "refs/heads/a^",
            "refs/heads/a:b",
            "refs/heads/a?",
            "refs/heads/a*",
            "refs/heads/a[",
            "refs/heads/a\\b",
            "refs/heads/a@{b",
            "refs/heads//a",
            "refs/heads/a/",
            "refs/heads/a.",
            "refs/heads/a\nb",
            "refs/heads/a/../b",
        ] {
            assert!(RefName::parse(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn an_object_id_is_that_of_sha_1() {
        let fits = |text: &str| Oid::parse(text).is_ok();
        assert!(fits(&"a1".repeat(20)) && !fits(&"a1".repeat(32)) && !fits(&"A1".repeat(20)) && !fits(""));
    }

    #[test]
    fn tree_paths_never_climb() {
        assert_eq!(TreePath::parse(b"/a/b/").unwrap().as_bytes(), b"a/b");
        assert!(TreePath::parse(b"").unwrap().is_root());
        assert!(TreePath::parse(b"a/\xff").is_ok());
        for refused in [&b"a/../b"[..], b"..", b"a//b", b"./a", b"a/\0"] {
            assert!(TreePath::parse(refused).is_err(), "{refused:?}");
        }
        assert!(TreePath::default().join(b"a/b").is_err());
        assert!(TreePath::default().join(b"..").is_err());
    }

    #[test]
    fn what_is_shown_holds_no_control_or_bidi_characters() {
        assert_eq!(shown("a\u{1b}[31m\u{202e}b"), "a\u{fffd}[31m\u{fffd}b");
    }
}
