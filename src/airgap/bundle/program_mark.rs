//! The mark that a program of this product carries in its file: its version, and the commit that it was built from where that
//! was said when it was compiled. Read out of the bytes, so that a program for another processor can be asked too; a mark is
//! the program's own word and proves nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use base::file::FileError;

/// What a mark begins with. A program that looks for marks holds this text too; it is no mark without the rest.
pub const BEGIN: &str = "\u{1}gitgrit-ops built as ";
/// What stands between version and commit.
pub const BETWEEN: &str = " from ";
/// What a mark ends with.
pub const END: &str = "\u{1}";
/// The longest mark, in bytes.
const LONGEST: u64 = 256;

/// What a program says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its version.
    pub version: String,
    /// The commit that it was built from, with `-dirty` when the tree had changes; `None` when nobody said.
    pub commit: Option<String>,
}

impl Mark {
    /// Reads the first mark in `bytes`.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        search(bytes).ok().flatten()
    }

    /// Version and commit in one word, as a manifest has them.
    pub fn word(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{}+{commit}", self.version),
            None => self.version.clone(),
        }
    }

    /// Says whether the mark names another commit than `commit`, or changes that no commit has.
    pub fn is_of_another(&self, commit: &str) -> bool {
        self.commit.as_deref().is_some_and(|own| own != commit)
    }

    /// Reads what stands between two of the signs that marks begin and end with.
    fn between(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(END.as_bytes())?.strip_prefix(BEGIN.trim_start_matches(END).as_bytes())?;
        let (version, commit) = std::str::from_utf8(bytes).ok()?.split_once(BETWEEN)?;
        let is_word = |text: &str| text.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"._-".contains(&sign));
        let id = commit.strip_suffix("-dirty").unwrap_or(commit);
        let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'));
        let is_good = !version.is_empty() && version.len() <= 32 && is_word(version) && (commit.is_empty() || is_id);
        is_good.then(|| Self { version: version.into(), commit: is_id.then(|| commit.into()) })
    }
}

/// The mark of the program in the file at `path`; `None` when it carries none.
pub fn find(path: &Path) -> Result<Option<Mark>, FileError> {
    let failed = |source| FileError::Read { path: path.into(), source };
    search(BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?)).map_err(failed)
}

/// Looks at what stands between the signs, in pieces of at most [`LONGEST`].
fn search(mut file: impl BufRead) -> io::Result<Option<Mark>> {
    let sign = END.as_bytes().first().copied().unwrap_or_default();
    let (mut piece, mut is_start) = (Vec::new(), false);
    loop {
        piece.clear();
        if (&mut file).take(LONGEST).read_until(sign, &mut piece)? == 0 {
            return Ok(None);
        }
        if is_start && let Some(mark) = Mark::between(&piece) {
            return Ok(Some(mark));
        }
        is_start = piece.last() == Some(&sign);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_lies() {
        let commit = "0123456789".repeat(4);
        let text = format!("{BEGIN}1.2.3{BETWEEN}{commit}-dirty{END}");
        for before in [0, 1, (1 << 20) - 30, (1 << 20) - 1, (1 << 20) + 5] {
            // The text that only begins as one is none.
            let bytes = [BEGIN.as_bytes(), &vec![9; before], text.as_bytes(), b"more"].concat();
            let found = search(bytes.as_slice()).unwrap().unwrap();
            assert_eq!(found.word(), format!("1.2.3+{commit}-dirty"), "{before}");
            assert!(found.is_of_another(&commit));
        }
    }

    #[test]
    fn what_is_no_mark_says_nothing() {
        let found =
            |version: &str, commit: &str| Mark::read(format!("{BEGIN}{version}{BETWEEN}{commit}{END}").as_bytes());
        assert_eq!(found("1.0", "").map(|mark| mark.word()), Some("1.0".into()));
        assert!(!found("1.0", "").unwrap().is_of_another("x"));
        for (version, commit) in [("", ""), ("1 0", ""), ("1.0", "abc"), ("1.0", "HEAD"), ("1.0\u{1b}", "")] {
            assert_eq!(found(version, commit), None, "{version} {commit}");
        }
        assert_eq!(search(b"".as_slice()).unwrap(), None);
    }
}
