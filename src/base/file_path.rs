//! A path that a file may be written to by an edit. Stricter than what Git stores: such a path means the same on every
//! system that checks it out, and never anything of Git's own.

use crate::name::{TreePath, shown};

/// Why a path may not be written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path `{path}` {problem}")]
pub struct FilePathError {
    path: String,
    problem: &'static str,
}

impl FilePathError {
    /// What is wrong with it, as in "climbs out of the repository".
    pub const fn problem(&self) -> &'static str {
        self.problem
    }
}

/// A file's path from the root, `/` between its parts: UTF-8, at most 1,000 bytes, 255 for each of at most 100 parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(TreePath);

impl FilePath {
    /// Parses a path. Nothing is trimmed or repaired: what is not a plain relative path is refused.
    pub fn parse(text: &str) -> Result<Self, FilePathError> {
        let refused = |problem| FilePathError { path: shown(text), problem };
        if text.is_empty() {
            return Err(refused("is empty"));
        }
        if text.len() > 1_000 || text.split('/').count() > 100 {
            return Err(refused("is too long"));
        }
        for part in text.split('/') {
            if let Some(problem) = problem(part) {
                return Err(refused(problem));
            }
        }
        TreePath::parse(text.as_bytes()).map(Self).map_err(|_| refused("is no path"))
    }

    /// The path as trees have it.
    pub const fn as_tree_path(&self) -> &TreePath {
        &self.0
    }

    /// The directories above the file, from the root down, and the file's own name.
    pub fn split(&self) -> (Vec<&[u8]>, &[u8]) {
        let mut parts: Vec<_> = self.0.parts().collect();
        let name = parts.pop().unwrap_or_default();
        (parts, name)
    }
}

impl std::fmt::Display for FilePath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// What is wrong with one part of a path.
fn problem(part: &str) -> Option<&'static str> {
    match part {
        "" => return Some("begins or ends with a slash, or has two in a row"),
        "." | ".." => return Some("holds `.` or `..`"),
        _ => {}
    }
    if part.len() > 255 {
        return Some("has a part of more than 255 bytes");
    }
    // Windows takes it for a slash.
    if part.contains('\\') {
        return Some("holds a backslash");
    }
    if part.chars().any(|c| c.is_control() || shown(c.encode_utf8(&mut [0; 4])).contains('\u{fffd}')) {
        return Some("holds a control character");
    }
    is_git_directory(part).then_some("leads into `.git`, which belongs to Git")
}

/// Says whether some file system takes the name for `.git`: in any case, with dots, spaces or a stream's name behind it
/// (NTFS), by its short name (FAT), or with characters in it that do not count (HFS+). As git's own `verify_path`.
fn is_git_directory(part: &str) -> bool {
    let counts = |c: &char| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let name: String = part.chars().filter(counts).collect::<String>().to_lowercase();
    let name = name.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']);
    name == ".git" || name == "git~1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_are_taken_as_they_are() {
        for fine in ["a", "a/b.c", ".gitignore", ".github/x", "git", "a.git", "ä/ö ü", "a:b", "..a", "a..", "~", "-x"]
        {
            assert_eq!(FilePath::parse(fine).unwrap().to_string(), fine);
        }
        let (directories, name) = (FilePath::parse("a/b/c").unwrap(), b"c");
        assert_eq!(directories.split(), (vec![&b"a"[..], b"b"], &name[..]));
    }

    /// CVE-2025-8110, CVE-2024-54148, CVE-2025-52811 and older ones came in through a path that was looked at by halves.
    #[test]
    fn nothing_leads_out_of_the_tree_or_into_git() {
        for refused in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "../x",
            "a/../../x",
            "a/./b",
            "..\\x",
            "a\\b",
            "C:\\x",
            ".git",
            ".git/config",
            "a/.git/hooks/post-update",
            ".GIT/config",
            ".Git",
            ".git.",
            ".git ",
            ".git . .",
            ".git::$INDEX_ALLOCATION/config",
            ".git:x",
            "git~1/config",
            "GIT~1",
            ".g\u{200c}it/config",
            ".gi\u{feff}t",
            "\u{206a}.git",
            "a\nb",
            "a\0b",
            "a\u{7f}",
            "a\u{202e}b",
            &"a".repeat(256),
            &"a/".repeat(600),
            &format!("{}x", "a/".repeat(100)),
        ] {
            assert!(FilePath::parse(refused).is_err(), "{refused:?}");
        }
    }
}
