//! Who last changed each line of a file, as `git blame` finds it. The file's size is looked at before Git starts; what
//! was found is kept by commit and path.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use base::name::{Oid, TreePath};
use base::process::ProcessError;

use crate::child::one_line;
use crate::gates::blocking;
use crate::{CommitSummary, Error, Repo, environment};

/// Time that one file may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Bytes that Git may say of one file.
const OUTPUT: usize = 16 << 20;
/// Spans of all files that are kept; one costs some 400 bytes when its commit has no other.
pub(crate) const KEPT_SPANS: usize = 30_000;

/// Lines of a file that one commit changed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlameSpan {
    /// The first line, from 1.
    pub first: usize,
    /// How many lines.
    pub lines: usize,
    /// The commit.
    pub commit: Arc<CommitSummary>,
}

/// The spans of a whole file, in order, neighbours of one commit joined.
pub type Blame = Arc<[BlameSpan]>;

impl Repo {
    /// Who last changed each line of the file at `path`; empty for an empty file. The caller looks at the file's size
    /// first. Fails with `Stalled` when Git does not find it within 20 s.
    pub async fn blame(&self, commit: &Oid, path: &TreePath) -> Result<Blame, Error> {
        let place = (self.id(), commit.clone(), path.clone());
        if let Some(known) = self.shared().blames.get(&place) {
            return Ok(known);
        }
        let found = parse(&self.say_blame(commit, path).await?);
        let mut ids: Vec<_> = found.iter().map(|(_, _, id)| id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let commits = self.summaries(ids).await?.into_iter();
        let commits: HashMap<_, _> = commits.map(|commit| (commit.id.clone(), Arc::new(commit))).collect();
        let span = |(first, lines, id): (usize, usize, Oid)| {
            commits.get(&id).map(|commit| BlameSpan { first, lines, commit: Arc::clone(commit) })
        };
        let blame: Blame = found.into_iter().filter_map(span).collect();
        self.shared().blames.put(place, blame.len().max(1), Arc::clone(&blame));
        Ok(blame)
    }

    async fn say_blame(&self, commit: &Oid, path: &TreePath) -> Result<String, Error> {
        let program = environment::in_repository("blame", self.path())
            .options(["--incremental", commit.as_str()])
            .operands([OsStr::from_bytes(path.as_bytes())])
            .deadline(DEADLINE)
            .output_limit(OUTPUT);
        blocking(&self.gates().spawned, move || {
            let done = program.run(b"").map_err(|error| match error {
                ProcessError::Deadline { seconds, .. } => Error::Stalled { command: "blame", seconds },
                other => other.into(),
            })?;
            if !done.status.success() {
                return Err(Error::Git { command: "blame", message: one_line(&done.stderr) });
            }
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        })
        .await
    }
}

/// The spans that `git blame --incremental` names, in the order of the file: first line, lines, commit.
fn parse(said: &str) -> Vec<(usize, usize, Oid)> {
    let mut spans: Vec<_> = said.lines().filter_map(span).collect();
    spans.sort_unstable_by_key(|(first, _, _)| *first);
    let mut joined: Vec<(usize, usize, Oid)> = Vec::new();
    for (first, lines, commit) in spans {
        match joined.last_mut() {
            Some(last) if last.2 == commit && last.0 + last.1 == first => last.1 += lines,
            _ => joined.push((first, lines, commit)),
        }
    }
    joined
}

/// `<id> <original line> <line> <lines>`; every other line begins with a word of its own.
fn span(line: &str) -> Option<(usize, usize, Oid)> {
    let mut words = line.split(' ');
    let commit = Oid::parse(words.next()?).ok()?;
    let mut number = || words.next()?.parse().ok();
    let (_, first, lines): (usize, usize, usize) = (number()?, number()?, number()?);
    Some((first, lines, commit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn each_line_has_the_commit_that_changed_it_last() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let first = tree.commit("--name", b"a\nb\nc\n");
        let second = tree.commit("--name", b"a\nB\nc\nd\n");
        tree.commit("other", b"x");
        tree.git(&["push", "--quiet", "origin", "main"]);
        let tip = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
        let path = TreePath::parse(b"--name").unwrap();
        for _ in 0..2 {
            let blame = site.block_on(site.repo.blame(&tip, &path)).unwrap();
            let spans: Vec<_> =
                blame.iter().map(|span| (span.first, span.lines, span.commit.id.as_str().to_owned())).collect();
            assert_eq!(
                spans,
                [(1, 1, first.clone()), (2, 1, second.clone()), (3, 1, first.clone()), (4, 1, second.clone())]
            );
        }
        let absent = TreePath::parse(b"absent").unwrap();
        assert!(matches!(site.block_on(site.repo.blame(&tip, &absent)), Err(Error::Git { .. })));
    }

    #[test]
    fn spans_are_put_in_order_and_joined_and_nothing_else_is_taken_for_one() {
        let id = |digit: &str| digit.repeat(40);
        let said = format!(
            "{b} 1 3 2\nsummary {a} 1 1 1\nfilename {a} 1 1 1\n{a} 1 1 1\nprevious {b} x\n{a} 9 2 1\n{a} 1 x 1\n{a} 5\n",
            a = id("a"),
            b = id("b")
        );
        let oid = |digit: &str| Oid::parse(&id(digit)).unwrap();
        assert_eq!(parse(&said), [(1, 2, oid("a")), (3, 2, oid("b"))]);
    }
}
