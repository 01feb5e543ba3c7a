//! What a checked-out tree says of itself: its commit, whether it holds changes that no commit has, and its files. Reads
//! alone; the operator's configuration, hooks and watchers play no part.

use std::path::Path;
use std::time::Duration;

use crate::{Error, child, environment};

/// How long a question may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// The most output of one question, in bytes.
const OUTPUT: usize = 64 << 20;
/// What holds for each question: no program of the repository's own choosing runs.
const SETTINGS: [(&str, &str); 4] = [
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.quotePath", "false"),
];

/// A checked-out tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    /// The commit that is checked out.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub seconds: u64,
    /// The first file that differs from the commit, or that no commit has; `None` when there is none.
    pub dirty: Option<String>,
    /// The files that the commit's index has: path from the root, and whether it is a program. Links are left out.
    pub files: Vec<(String, bool)>,
}

impl Worktree {
    /// Reads the tree that `directory` is the root of. Blocks.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let head = ask(directory, "log", &["log", "-1", "--format=%H %ct", "HEAD"])?;
        let (commit, seconds) = head.trim().split_once(' ').unwrap_or_default();
        let unread = || Error::Git { command: "log", message: child::one_line(&head) };
        let seconds = seconds.parse().map_err(|_| unread())?;
        let changed = ask(directory, "status", &["status", "--porcelain=v1", "-z", "--untracked-files=normal"])?;
        let dirty = changed.split('\0').find_map(|line| line.get(3..)).map(str::to_owned);
        let listed = ask(directory, "ls-files", &["ls-files", "--stage", "-z"])?;
        let files = listed.split('\0').filter_map(|line| {
            let (facts, path) = line.split_once('\t')?;
            match facts.split(' ').next()? {
                "100644" => Some((path.to_owned(), false)),
                "100755" => Some((path.to_owned(), true)),
                _ => None,
            }
        });
        Ok(Self { commit: commit.to_owned(), seconds, dirty, files: files.collect() })
    }
}

fn ask(directory: &Path, command: &'static str, arguments: &[&str]) -> Result<String, Error> {
    let program = environment::hermetic(SETTINGS).env("GIT_OPTIONAL_LOCKS", "0").options(arguments);
    let done = program.directory(directory).deadline(DEADLINE).output_limit(OUTPUT).run(b"")?;
    if !done.status.success() {
        return Err(Error::Git { command, message: child::one_line(&done.stderr) });
    }
    String::from_utf8(done.stdout).map_err(|_| Error::Git { command, message: "a name is not UTF-8".into() })
}

#[cfg(test)]
mod tests {
    use base::process::Program;

    use super::*;

    #[test]
    fn a_tree_says_its_commit_its_files_and_its_first_change() {
        let home = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let program = Program::new("git").options(["-c", "user.name=a", "-c", "user.email=a@b"]).options(arguments);
            let dated = program.env("GIT_COMMITTER_DATE", "1700000000 +0200").directory(home.path());
            assert!(dated.env("HOME", home.path()).run(b"").unwrap().status.success(), "{arguments:?}");
        };
        git(&["init", "-q"]);
        assert!(Worktree::read(home.path()).is_err(), "no commit yet");
        std::fs::create_dir(home.path().join("docs")).unwrap();
        std::fs::write(home.path().join("docs/ä b.md"), "text").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("docs/link")).unwrap();
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "one"]);
        let clean = Worktree::read(home.path()).unwrap();
        assert_eq!((clean.seconds, clean.dirty.clone(), clean.commit.len()), (1_700_000_000, None, 40));
        assert_eq!(clean.files, [("docs/ä b.md".to_owned(), false)]);
        std::fs::write(home.path().join("new"), "").unwrap();
        assert_eq!(Worktree::read(home.path()).unwrap().dirty.as_deref(), Some("new"));
        std::fs::remove_file(home.path().join("new")).unwrap();
        std::fs::write(home.path().join("docs/ä b.md"), "other").unwrap();
        assert_eq!(Worktree::read(home.path()).unwrap().dirty.as_deref(), Some("docs/ä b.md"));
    }
}
