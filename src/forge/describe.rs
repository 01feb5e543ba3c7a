//! All that a program is told of a repository: who owns it, where it is cloned from, what the actor may do in it.

use crate::{Access, Account, CloneUrls, Error, Forge, RepoRead, RepoSummary};

/// A repository with all that is told of it.
#[derive(Clone, Debug)]
pub struct RepoDetails {
    /// Its id.
    pub id: i64,
    /// What lists show of it.
    pub summary: RepoSummary,
    /// Its owner.
    pub owner: Account,
    /// Where to clone it from.
    pub clone: CloneUrls,
    /// The branch that HEAD names, short, also when it has no commit yet.
    pub default_branch: String,
    /// Says whether the default branch has no commit yet.
    pub is_empty: bool,
    /// Bytes of its packs.
    pub bytes: u64,
    /// Says whether the actor may push.
    pub can_write: bool,
    /// Says whether the actor may administer it.
    pub can_admin: bool,
}

impl RepoRead {
    /// Says whether the actor may push.
    pub fn can_write(&self) -> bool {
        self.access >= Access::Write
    }
}

impl Forge {
    /// What the actor of this proof is told of the repository.
    pub async fn describe(&self, repo: &RepoRead) -> Result<RepoDetails, Error> {
        let (head, is_there) = self.default_branch(repo).await?;
        Ok(RepoDetails {
            id: repo.id,
            owner: self.owner_of(repo).await?,
            clone: self.clone_urls(&repo.summary.path),
            default_branch: head.short().to_owned(),
            is_empty: !is_there,
            bytes: self.handle(repo)?.pack_bytes().await?,
            can_write: repo.access >= Access::Write,
            can_admin: repo.access >= Access::Admin,
            summary: repo.summary.clone(),
        })
    }
}
