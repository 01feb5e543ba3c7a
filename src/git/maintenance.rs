//! Keeps repositories quick: every push adds a pack, so now and then small packs are joined. Removes no object, reachable
//! or not, and may run beside pushes, clones and reads.

use std::time::Duration;

use base::file::{FileError, Lock};

use crate::child::{Said, finish, finish_under, one_line};
use crate::gates::enter;
use crate::repositories::failed;
use crate::{Error, Repo, environment};

/// Packs that a repository may have before they are joined.
const PACKS: usize = 40;
/// Time for one step.
const STEP: Duration = Duration::from_hours(1);

/// Joins packs in geometric steps, so that each object is written again only a few times.
const JOIN: &[&str] = &["--geometric=2", "-d", "-n", "--quiet"];
/// What makes walks and ref look-ups quick. Both take locks that only [`crate::moving`] tells from dead ones.
const STEPS: [(&str, &[&str]); 2] =
    [("commit-graph", &["write", "--reachable", "--no-progress"]), ("pack-refs", &["--all"])];

impl Repo {
    /// Joins packs when there are many. Says whether it did; a repository that somebody else is tidying is left alone.
    pub async fn tidy(&self) -> Result<bool, Error> {
        if self.pack_count()? <= PACKS {
            return Ok(false);
        }
        let _place = enter(&self.gates().tidies).await?;
        let _lock = match Lock::take(&self.path().join("gitgrit-tidy.lock")) {
            Err(FileError::Locked { .. }) => return Ok(false),
            other => other?,
        };
        let program = environment::in_repository("repack", self.path()).options(JOIN);
        let joined = finish(program, "repack", b"", STEP).await;
        // The warm handle still maps packs that are gone, and their space with them.
        self.forget_handle();
        succeeded("repack", joined?)?;
        for (command, options) in STEPS {
            let program = environment::in_repository(command, self.path()).options(options);
            succeeded(command, finish_under(self.moving().await?, program, command, b"", STEP).await?)?;
        }
        Ok(true)
    }

    fn pack_count(&self) -> Result<usize, Error> {
        let path = self.path().join("objects/pack");
        let entries = std::fs::read_dir(&path).map_err(failed("read", &path))?;
        let is_pack = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pack");
        Ok(entries.filter_map(Result::ok).filter(is_pack).count())
    }
}

fn succeeded(command: &'static str, said: Said) -> Result<(), Error> {
    if said.status.success() { Ok(()) } else { Err(Error::Git { command, message: one_line(&said.stderr) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;
    use base::name::RefName;

    #[test]
    fn many_packs_become_few_and_nothing_is_lost() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let main = RefName::branch("main").unwrap();
        for number in 0..=u8::try_from(PACKS).unwrap() {
            tree.commit("a", &[number; 50]);
            tree.git(&["push", "--quiet", "origin", "main"]);
        }
        let tip = site.block_on(site.repo.tip(&main)).unwrap().unwrap();
        assert!(site.block_on(site.repo.tidy()).unwrap());
        assert!(site.packs() < 5, "{}", site.packs());
        assert!(!site.block_on(site.repo.tidy()).unwrap());
        let log = site.block_on(site.repo.log(&tip, 0, 100)).unwrap();
        assert_eq!(log.commits.len(), PACKS + 1);
        assert_eq!(site.block_on(site.repo.tip(&main)).unwrap(), Some(tip));
        site.git(&["fsck", "--strict"]);
        assert_eq!(site.git(&["rev-list", "--count", "main"]).trim(), (PACKS + 1).to_string());
    }
}
