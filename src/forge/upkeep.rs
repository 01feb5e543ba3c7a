//! What repositories need from time to time, after pushes. Never holds up a push: it is a job, done behind it.

use store::repos;

use crate::{Error, Forge};

impl Forge {
    /// Brings up to date what makes reading quick: the index of what was pushed, and the default branch's directory for its
    /// first visitor. A repository that is gone needs nothing.
    pub(crate) async fn tidy(&self, id: i64) -> Result<(), Error> {
        if repos::path(&self.0.store.read(), id).await?.is_none() {
            return Ok(());
        }
        if keep_quick(&self.0.repositories.repo(id)?).await? {
            tracing::info!(repo.id = id, "repository tidied");
        }
        Ok(())
    }
}

async fn keep_quick(repo: &git::Repo) -> Result<bool, git::Error> {
    let tidied = repo.tidy().await?;
    repo.look_ahead(crate::browse::ENTRIES).await?;
    Ok(tidied)
}
