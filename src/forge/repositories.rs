//! Repositories as things that are made, found, listed and removed.

use base::name::RepoPath;

use crate::{Actor, Error, Forge, RepoAdmin, RepoRead, RepoSummary, Visibility};

/// A repository to make under the actor's own name.
#[derive(Debug)]
pub struct NewRepo {
    /// Its name, unparsed.
    pub name: String,
    /// One line of at most 500 characters.
    pub description: String,
    /// Who may read it.
    pub visibility: Visibility,
}

impl Forge {
    /// The fetch that is the authorisation. `NotFound` when it is absent or hidden from the actor, in one time class.
    pub async fn repo(&self, actor: &Actor, path: &RepoPath) -> Result<RepoRead, Error> {
        let _ = (actor, path);
        todo!("skeleton")
    }

    /// Makes an empty repository owned by the actor, default branch `main`.
    pub async fn create_repo(&self, actor: &Actor, new: NewRepo) -> Result<RepoSummary, Error> {
        let _ = (actor, new);
        todo!("skeleton")
    }

    /// Removes a repository and its objects for good.
    pub async fn delete_repo(&self, repo: RepoAdmin) -> Result<(), Error> {
        let _ = repo;
        todo!("skeleton")
    }

    /// What the actor may read, last pushed first; at most 200. The dashboard shows the actor's own apart from the others.
    pub async fn repos(&self, actor: &Actor) -> Result<Vec<RepoSummary>, Error> {
        let _ = actor;
        todo!("skeleton")
    }
}
