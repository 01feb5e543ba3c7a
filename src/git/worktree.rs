//! What a checked-out tree says of itself: its commit, whether it holds changes that no commit has, and its files; and what
//! its commit has in them. Reads alone; the operator's configuration, hooks, watchers and filters play no part.

use std::path::Path;
use std::time::Duration;

use base::process::Program;

use crate::{Error, child, environment};

/// How long a question may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// The most output of one question, in bytes.
const OUTPUT: usize = 256 << 20;
/// What holds for each question: no program of the repository's own choosing runs.
const SETTINGS: [(&str, &str); 5] = [
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.quotePath", "false"),
    ("log.showSignature", "false"),
];

/// A checked-out tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    /// The commit that is checked out.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub seconds: u64,
    /// A tag that names it; where there are several, the one that `git describe` prefers: the newest with words of its own.
    pub tag: Option<String>,
    /// The first file that differs from the commit, or that no commit has; `None` when there is none.
    pub dirty: Option<String>,
    /// The first file of the commit that differs from it; files that no commit has do not count.
    pub edited: Option<String>,
    /// Where the directory lies in the tree, as in `docs/`; empty for its root.
    pub inside: String,
    /// The files of the commit; of the index, when the tree is dirty.
    pub files: Vec<TreeFile>,
}

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path from the root.
    pub path: String,
    /// What it is.
    pub kind: TreeKind,
    /// The id of its content.
    pub id: String,
}

/// What a file of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// A file.
    Plain,
    /// A file that can be run.
    Program,
    /// A link, or another repository's place.
    Other,
}

impl Worktree {
    /// Reads the tree that `directory` is in. Blocks.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let head = ask(directory, "log", &["log", "-1", "--format=%H %ct", "HEAD"])?;
        let (commit, seconds) = head.trim().split_once(' ').unwrap_or_default();
        let unread = || Error::Git { command: "log", message: child::one_line(&head) };
        let seconds = seconds.parse().map_err(|_| unread())?;
        let inside = ask(directory, "rev-parse", &["rev-parse", "--show-prefix"])?.trim_end_matches('\n').to_owned();
        let tag = tag(directory, commit)?;
        let (dirty, edited) = changed(directory)?;
        let listing: &[&str] = match dirty {
            None => &["ls-tree", "-r", "-z", "--full-tree", commit],
            Some(_) => &["ls-files", "--stage", "-z"],
        };
        let listed = ask(directory, "ls-tree", listing)?;
        let files = listed.split('\0').filter_map(|line| {
            let (facts, path) = line.split_once('\t')?;
            let facts: Vec<_> = facts.split(' ').collect();
            let kind = match *facts.first()? {
                "100644" => TreeKind::Plain,
                "100755" => TreeKind::Program,
                _ => TreeKind::Other,
            };
            // `ls-tree` has the id behind the type, `ls-files` behind the mode.
            let id = facts.iter().find(|word| matches!(word.len(), 40 | 64))?;
            Some(TreeFile { path: path.to_owned(), kind, id: (*id).to_owned() })
        });
        let files = files.collect();
        Ok(Self { commit: commit.to_owned(), seconds, tag, dirty, edited, inside, files })
    }

    /// What the repository has under the ids of `files`, in their order, whatever lies in the tree by now. Blocks.
    pub fn contents(directory: &Path, files: &[&TreeFile]) -> Result<Vec<Vec<u8>>, Error> {
        const COMMAND: &str = "cat-file";
        let mut ids = String::new();
        for file in files {
            ids.push_str(&file.id);
            ids.push('\n');
        }
        let output = run(directory, COMMAND, &["cat-file", "--batch"], &SETTINGS, ids.as_bytes())?;
        let mut rest = output.as_slice();
        let mut contents = Vec::with_capacity(files.len());
        for file in files {
            let broken = || Error::Git { command: COMMAND, message: format!("`{}` is not whole", file.path) };
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
            let (header, behind) = rest.split_at(end);
            let header = std::str::from_utf8(header).map_err(|_| broken())?;
            let size = header.strip_prefix(&format!("{} blob ", file.id)).and_then(|size| size.parse().ok());
            let behind = behind.get(1..).ok_or_else(broken)?;
            let (content, behind) = behind.split_at_checked(size.ok_or_else(broken)?).ok_or_else(broken)?;
            contents.push(content.to_vec());
            rest = behind.get(1..).ok_or_else(broken)?;
        }
        Ok(contents)
    }
}

/// The tag that names the commit. Without one, `git describe` fails, as it does for other reasons too.
fn tag(directory: &Path, commit: &str) -> Result<Option<String>, Error> {
    let done = program(directory, &SETTINGS).options(["describe", "--tags", "--exact-match", commit]).run(b"")?;
    if done.status.success() {
        return Ok(text("describe", done.stdout)?.lines().next().map(str::to_owned));
    }
    let is_none = ["no tag exactly matches", "No names found"].iter().any(|said| done.stderr.contains(said));
    if is_none { Ok(None) } else { Err(Error::Git { command: "describe", message: child::one_line(&done.stderr) }) }
}

/// The first file that differs, or that no commit has; and the first that differs.
fn changed(directory: &Path) -> Result<(Option<String>, Option<String>), Error> {
    // Filters are programs; a file that needs one differs then, and does not go for the same.
    let named = ["config", "--null", "--name-only", "--get-regexp", "^filter[.]"];
    let program = program(directory, &SETTINGS).options(named);
    let filters = program.run(b"")?;
    let filters = String::from_utf8_lossy(&filters.stdout).into_owned();
    let off = filters.split('\0').filter(|name| !name.is_empty());
    let off = off.map(|name| (name, if name.ends_with(".required") { "false" } else { "" }));
    let settings: Vec<_> = SETTINGS.into_iter().chain(off).collect();
    let options =
        ["status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=all", "--no-renames"];
    let said = run(directory, "status", &options, &settings, b"")?;
    let said = text("status", said)?;
    let mut changes = said.split('\0').filter_map(|line| Some((line.get(..2)?, line.get(3..)?)));
    let first = changes.clone().next();
    let edited = changes.find(|(state, _)| *state != "??");
    let path = |change: Option<(&str, &str)>| change.map(|(_, path)| path.to_owned());
    Ok((path(first), path(edited)))
}

fn ask(directory: &Path, command: &'static str, arguments: &[&str]) -> Result<String, Error> {
    text(command, run(directory, command, arguments, &SETTINGS, b"")?)
}

fn text(command: &'static str, said: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(said).map_err(|_| Error::Git { command, message: "a name is not UTF-8".into() })
}

fn run(
    directory: &Path,
    command: &'static str,
    arguments: &[&str],
    settings: &[(&str, &str)],
    input: &[u8],
) -> Result<Vec<u8>, Error> {
    let done = program(directory, settings).options(arguments).run(input)?;
    if !done.status.success() {
        return Err(Error::Git { command, message: child::one_line(&done.stderr) });
    }
    Ok(done.stdout)
}

fn program(directory: &Path, settings: &[(&str, &str)]) -> Program {
    // What replaces an object is not what the commit has.
    let program = environment::hermetic(settings.iter().copied()).env("GIT_NO_REPLACE_OBJECTS", "1");
    program.env("GIT_OPTIONAL_LOCKS", "0").directory(directory).deadline(DEADLINE).output_limit(OUTPUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(home: &Path, arguments: &[&str]) -> String {
        let program = Program::new("git").options(["-c", "user.name=a", "-c", "user.email=a@b"]).options(arguments);
        let dated = program.env("GIT_COMMITTER_DATE", "1700000000 +0200").directory(home);
        let done = dated.env("HOME", home).run(b"").unwrap();
        assert!(done.status.success(), "{arguments:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn tree() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        git(home.path(), &["init", "-q"]);
        std::fs::create_dir(home.path().join("docs")).unwrap();
        std::fs::write(home.path().join("docs/ä b.md"), "text\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("docs/link")).unwrap();
        home
    }

    #[test]
    fn a_tree_says_its_commit_its_files_and_its_first_change() {
        let home = tree();
        assert!(Worktree::read(home.path()).is_err(), "no commit yet");
        git(home.path(), &["add", "."]);
        git(home.path(), &["commit", "-q", "-m", "one"]);
        let clean = Worktree::read(home.path()).unwrap();
        assert_eq!((clean.seconds, clean.dirty.clone(), clean.commit.len()), (1_700_000_000, None, 40));
        let names: Vec<_> = clean.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
        assert_eq!(names, [("docs/link", TreeKind::Other), ("docs/ä b.md", TreeKind::Plain)]);
        assert_eq!(
            (clean.inside.as_str(), Worktree::read(&home.path().join("docs")).unwrap().inside.as_str()),
            ("", "docs/")
        );
        std::fs::write(home.path().join("new"), "").unwrap();
        let untracked = Worktree::read(home.path()).unwrap();
        assert_eq!((untracked.dirty.as_deref(), untracked.edited), (Some("new"), None));
        std::fs::remove_file(home.path().join("new")).unwrap();
        std::fs::write(home.path().join("docs/ä b.md"), "other").unwrap();
        let dirty = Worktree::read(home.path()).unwrap();
        assert_eq!((dirty.dirty.as_deref(), dirty.files), (Some("docs/ä b.md"), clean.files));
    }

    #[test]
    fn of_several_tags_the_one_counts_that_git_describes_the_commit_by() {
        let home = tree();
        git(home.path(), &["add", "."]);
        git(home.path(), &["commit", "-q", "-m", "one"]);
        let tag = || Worktree::read(home.path()).unwrap().tag;
        assert_eq!(tag(), None);
        git(home.path(), &["tag", "nightly"]);
        assert_eq!(tag().as_deref(), Some("nightly"));
        git(home.path(), &["tag", "-a", "-m", "the release", "v1.0"]);
        assert_eq!(tag().as_deref(), Some("v1.0"));
        git(home.path(), &["commit", "-q", "--allow-empty", "-m", "two"]);
        assert_eq!(tag(), None, "a tag of an older commit");
    }

    /// A file can lie in the tree with other bytes than the commit's, and the tree is clean all the same.
    #[test]
    fn contents_are_those_of_the_commit_whatever_lies_in_the_tree() {
        let home = tree();
        git(home.path(), &["add", "."]);
        git(home.path(), &["commit", "-q", "-m", "one"]);
        git(home.path(), &["update-index", "--assume-unchanged", "docs/ä b.md"]);
        std::fs::write(home.path().join("docs/ä b.md"), "not of the commit").unwrap();
        let found = Worktree::read(home.path()).unwrap();
        assert_eq!(found.dirty, None);
        let files: Vec<_> = found.files.iter().filter(|file| file.kind == TreeKind::Plain).collect();
        let contents = || Worktree::contents(home.path(), &files).unwrap();
        assert_eq!(contents(), [b"text\n".to_vec()]);
        std::fs::write(home.path().join("forged"), "forged").unwrap();
        let forged = git(home.path(), &["hash-object", "-w", "forged"]);
        git(home.path(), &["replace", &files[0].id, &forged]);
        assert_eq!(contents(), [b"text\n".to_vec()]);
        let absent = TreeFile { id: "0".repeat(40), ..files[0].clone() };
        assert!(Worktree::contents(home.path(), &[&absent]).is_err());
        assert!(Worktree::contents(home.path(), &[]).unwrap().is_empty());
    }

    #[test]
    fn no_filter_of_the_repository_runs() {
        let home = tree();
        std::fs::write(home.path().join(".gitattributes"), "*.md filter=own\n").unwrap();
        git(home.path(), &["add", "."]);
        git(home.path(), &["commit", "-q", "-m", "one"]);
        let ran = home.path().join(".git/ran");
        git(home.path(), &["config", "filter.own.clean", &format!("touch {}; cat", ran.display())]);
        git(home.path(), &["config", "filter.own.required", "true"]);
        std::fs::write(home.path().join("docs/ä b.md"), "other\n").unwrap();
        assert_eq!(Worktree::read(home.path()).unwrap().dirty.as_deref(), Some("docs/ä b.md"));
        assert!(!ran.exists());
    }
}
