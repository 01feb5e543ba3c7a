//! What repositories need from time to time, after pushes. Never holds up a push, and ends at once when the forge closes.

use crate::Forge;

impl Forge {
    /// Joins the repository's packs when there are many, in the background.
    pub(crate) fn tidy(&self, repo: git::Repo) {
        let mut closing = self.0.closing.subscribe();
        self.spawn(async move {
            let tidied = tokio::select! {
                tidied = repo.tidy() => tidied,
                _ = closing.wait_for(|is_closing| *is_closing) => return,
            };
            match tidied {
                Ok(false) => {}
                Ok(true) => tracing::info!(repo.id = repo.id(), "packs joined"),
                Err(error) => {
                    tracing::error!(
                        repo.id = repo.id(),
                        error = &error as &dyn std::error::Error,
                        "packs were not joined"
                    );
                }
            }
        });
    }
}
