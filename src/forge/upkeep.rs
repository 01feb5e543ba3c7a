//! What repositories need from time to time, after pushes. Never holds up a push, and ends at once when the forge closes.

use crate::Forge;

impl Forge {
    /// Brings up to date what makes reading quick, in the background: the index of what was pushed, and the default
    /// branch's directory for its first visitor.
    pub(crate) fn tidy(&self, repo: git::Repo) {
        let mut closing = self.0.closing.subscribe();
        self.spawn(async move {
            let tidied = tokio::select! {
                tidied = keep_quick(&repo) => tidied,
                _ = closing.wait_for(|is_closing| *is_closing) => return,
            };
            match tidied {
                Ok(false) => {}
                Ok(true) => tracing::info!(repo.id = repo.id(), "repository tidied"),
                Err(error) => {
                    tracing::error!(
                        repo.id = repo.id(),
                        error = &error as &dyn std::error::Error,
                        "a repository was not tidied"
                    );
                }
            }
        });
    }
}

async fn keep_quick(repo: &git::Repo) -> Result<bool, git::Error> {
    let tidied = repo.tidy().await?;
    repo.look_ahead(crate::browse::ENTRIES).await?;
    Ok(tidied)
}
