//! Reads that Git's own walks do best, each in a process of its own: full object ids and literal paths are all that
//! reaches their command lines. Never more of them at once than the gate says, and none past its deadline.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use base::name::{Oid, TreePath};

use crate::child::{finish, one_line};
use crate::gates::enter;
use crate::{Error, Log, Repo, environment};

/// Time that the history of a path may take.
const HISTORY: Duration = Duration::from_secs(15);
/// Commits that a page of a path's history may hold, so that what Git says stays below what is kept of it.
const PAGE: usize = 1_000;

impl Repo {
    /// `limit` (at most 1,000) commits from `from` that changed what is at `path`, after the first `skip`, newest
    /// first. Fails with `Stalled` when Git did not find them within 15 s.
    pub async fn log_of_path(&self, from: &Oid, path: &TreePath, skip: usize, limit: usize) -> Result<Log, Error> {
        let limit = limit.min(PAGE);
        let program = environment::in_repository("rev-list", self.path())
            .env("GIT_LITERAL_PATHSPECS", "1")
            .option(format!("--skip={skip}"))
            .option(format!("--max-count={}", limit + 1))
            .options(["--end-of-options", from.as_str()])
            .operands([OsStr::from_bytes(path.as_bytes())]);
        let said = {
            let _place = enter(&self.gates().spawned).await?;
            finish(program, "rev-list", b"", HISTORY).await?
        };
        if !said.status.success() {
            return Err(Error::Git { command: "rev-list", message: one_line(&said.stderr) });
        }
        let ids = said.stdout.lines().map(Oid::parse).collect::<Result<Vec<_>, _>>()?;
        let has_more = ids.len() > limit;
        let commits = self.summaries(ids.into_iter().take(limit).collect()).await?;
        Ok(Log { commits, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    /// Names that Git would take for options or patterns, were they not given as what they are.
    #[test]
    fn the_history_of_a_path_is_that_of_its_literal_name() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let first = tree.commit("*", b"1");
        tree.commit("plain", b"1");
        let option = tree.commit("d/--all", b"1");
        let magic = tree.commit(":(top)plain", b"1");
        let second = tree.commit("*", b"2");
        tree.git(&["rm", "--quiet", ":(literal)*"]);
        tree.git(&["commit", "--quiet", "--message", "gone"]);
        let tip = tree.git(&["rev-parse", "HEAD"]);
        tree.git(&["push", "--quiet", "origin", "main"]);
        let from = Oid::parse(&tip).unwrap();
        let log = |path: &str, skip, limit| {
            let path = TreePath::parse(path.as_bytes()).unwrap();
            let log = site.block_on(site.repo.log_of_path(&from, &path, skip, limit)).unwrap();
            (log.commits.into_iter().map(|commit| commit.id.to_string()).collect::<Vec<_>>(), log.has_more)
        };
        assert_eq!(log("*", 0, 9), (vec![tip.clone(), second.clone(), first.clone()], false));
        assert_eq!(log("*", 1, 1), (vec![second], true));
        assert_eq!(log("d/--all", 0, 9), (vec![option.clone()], false));
        assert_eq!(log("d", 0, 9), (vec![option], false));
        assert_eq!(log(":(top)plain", 0, 9), (vec![magic], false));
        assert_eq!(log("absent", 0, 9), (vec![], false));
    }
}
