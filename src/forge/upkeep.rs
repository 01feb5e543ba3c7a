//! What repositories need from time to time, after pushes. Never holds up a push: it is a job, done behind it.

use store::repos;

use crate::{Error, Forge};

impl Forge {
    /// Joins the repository's packs when there are many. One that is gone needs nothing.
    pub(crate) async fn tidy(&self, id: i64) -> Result<(), Error> {
        if repos::path(&self.0.store.read(), id).await?.is_none() {
            return Ok(());
        }
        if self.0.repositories.repo(id)?.tidy().await? {
            tracing::info!(repo.id = id, "packs joined");
        }
        Ok(())
    }
}
