//! How two commits stand to each other: where their histories parted and what one has that the other has not. Git's own
//! walks, each in a process of its own; full object ids are all that reaches them.

use std::time::Duration;

use base::name::Oid;

use crate::child::{Said, finish, one_line};
use crate::gates::enter;
use crate::{CommitSummary, Error, Repo, environment};

/// Time for one walk.
const WALK: Duration = Duration::from_secs(15);
/// Commits that are counted.
const COUNTED: usize = 10_000;
/// Commits that a list may hold, so that what Git says stays below what is kept of it.
const LISTED: usize = 1_000;

/// Commits that one side has and the other has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The newest of them, newest first.
    pub commits: Vec<CommitSummary>,
    /// How many there are; 10,000 stands for that many or more.
    pub count: usize,
}

impl Repo {
    /// The commit where two histories parted; `None` when they have nothing in common. Of several, the best by Git's
    /// own judgement.
    pub async fn merge_base(&self, one: &Oid, other: &Oid) -> Result<Option<Oid>, Error> {
        let program = environment::in_repository("merge-base", self.path()).options([one.as_str(), other.as_str()]);
        let _place = enter(&self.gates().spawned).await?;
        let said = finish(program, "merge-base", b"", WALK).await?;
        match said.status.code() {
            Some(0) => Ok(said.stdout.lines().next().map(Oid::parse).transpose()?),
            Some(1) => Ok(None),
            _ => Err(failed("merge-base", &said)),
        }
    }

    /// What `head` has and `base` has not: at most `limit` (at most 1,000) commits, and how many there are.
    pub async fn ahead(&self, base: &Oid, head: &Oid, limit: usize) -> Result<Ahead, Error> {
        let limit = limit.min(LISTED);
        let listed = self.rev_list(base, head, &format!("--max-count={limit}"), None).await?;
        let ids = listed.lines().map(Oid::parse).collect::<Result<Vec<_>, _>>()?;
        let count = if ids.len() < limit {
            ids.len()
        } else {
            let counted = self.rev_list(base, head, &format!("--max-count={COUNTED}"), Some("--count")).await?;
            counted.trim().parse().unwrap_or(COUNTED)
        };
        Ok(Ahead { commits: self.summaries(ids).await?, count })
    }

    async fn rev_list(&self, base: &Oid, head: &Oid, limit: &str, more: Option<&str>) -> Result<String, Error> {
        let program = environment::in_repository("rev-list", self.path()).option(limit).options(more).options([
            "--end-of-options",
            &format!("^{base}"),
            head.as_str(),
        ]);
        let _place = enter(&self.gates().spawned).await?;
        let said = finish(program, "rev-list", b"", WALK).await?;
        if said.status.success() { Ok(said.stdout) } else { Err(failed("rev-list", &said)) }
    }
}

fn failed(command: &'static str, said: &Said) -> Error {
    Error::Git { command, message: one_line(&said.stderr) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn histories_part_where_git_says_and_strangers_have_no_base() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let base = tree.commit("a", b"1");
        let main = tree.commit("a", b"2");
        tree.git(&["checkout", "--quiet", "-b", "side", &base]);
        let (one, two) = (tree.commit("b", b"1"), tree.commit("b", b"2"));
        tree.git(&["checkout", "--quiet", "--orphan", "strange"]);
        let strange = tree.commit("c", b"1");
        tree.git(&["push", "--quiet", "origin", "main", "side", "strange"]);
        let oid = |id: &str| Oid::parse(id).unwrap();
        site.block_on(async {
            let repo = &site.repo;
            assert_eq!(repo.merge_base(&oid(&main), &oid(&two)).await.unwrap(), Some(oid(&base)));
            assert_eq!(repo.merge_base(&oid(&main), &oid(&strange)).await.unwrap(), None);
            let ahead = repo.ahead(&oid(&main), &oid(&two), 9).await.unwrap();
            let ids: Vec<_> = ahead.commits.iter().map(|commit| commit.id.to_string()).collect();
            assert_eq!((ids, ahead.count), (vec![two.clone(), one], 2));
            let cut = repo.ahead(&oid(&main), &oid(&two), 1).await.unwrap();
            assert_eq!((cut.commits.len(), cut.count), (1, 2));
            assert_eq!(repo.ahead(&oid(&two), &oid(&two), 9).await.unwrap().count, 0);
            assert!(repo.ahead(&oid(&two), &oid(&"1".repeat(40)), 9).await.is_err());
        });
    }
}
