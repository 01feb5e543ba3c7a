//! Which branch is the default one. Writes HEAD and nothing else, and only while no ref moves: what is looked at before
//! still holds when HEAD is written.

use base::file;
use base::name::RefName;

use crate::error::Cause;
use crate::gates::blocking;
use crate::moving::shut_when_free;
use crate::read::refs;
use crate::{Error, Repo};

impl Repo {
    /// Points HEAD at `branch`. `false`, and nothing is done, when there is no such branch. Fails with `Protocol` when it
    /// is none by its name.
    pub async fn set_head(&self, branch: &RefName) -> Result<bool, Error> {
        self.point_head(branch, |git, branch| Ok(refs::target(git, branch)?.is_some())).await
    }

    /// As [`Repo::set_head`], but only as long as HEAD names a branch that does not exist.
    pub async fn adopt_head(&self, branch: &RefName) -> Result<bool, Error> {
        let may = |git: &gix::Repository, branch: &RefName| {
            let is_unborn = refs::target(git, &refs::head(git)?)?.is_none();
            Ok(is_unborn && refs::target(git, branch)?.is_some())
        };
        self.point_head(branch, may).await
    }

    async fn point_head(
        &self,
        branch: &RefName,
        may: impl Fn(&gix::Repository, &RefName) -> Result<bool, Cause> + Send + 'static,
    ) -> Result<bool, Error> {
        if !branch.is_branch() {
            return Err(Error::Protocol { problem: "only a branch can be the default one".into() });
        }
        let (path, id, branch, shared) = (self.path().to_owned(), self.id(), branch.clone(), self.shared().clone());
        // All in one place of the gate: a step that waited for another would wait for those who wait for the lock.
        let point = move || {
            let _shut = shut_when_free(&path)?;
            let looked = shared.handles.get(id, &path).and_then(|git| may(&git, &branch));
            let is_permitted = looked.map_err(|source| Error::Read { what: "HEAD", id, source })?;
            if is_permitted {
                file::write_atomic(&path.join("HEAD"), format!("ref: {branch}\n").as_bytes(), 0o600)?;
            }
            Ok(is_permitted)
        };
        blocking(&self.gates().reads, point).await
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Site;
    use base::name::RefName;

    #[test]
    fn head_is_pointed_only_at_what_is_there_and_adopted_only_once() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let [main, one, two] = ["main", "one", "two"].map(|name| RefName::branch(name).unwrap());
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main:one", "main:two"]);
        site.block_on(async {
            assert!(!site.repo.set_head(&main).await.unwrap(), "there is no main");
            // As two first pushes that end at the same moment.
            let both = tokio::join!(site.repo.adopt_head(&one), site.repo.adopt_head(&two));
            assert_ne!(both.0.unwrap(), both.1.unwrap());
            assert!(site.repo.set_head(&two).await.unwrap());
            assert_eq!(site.repo.head().await.unwrap(), two);
        });
    }
}
