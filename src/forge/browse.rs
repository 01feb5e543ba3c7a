//! What pages read from a repository. Every function takes the proof that the actor may.

use base::name::{Oid, RefName};

use crate::{CommitView, Error, Forge, History, RepoFrame, RepoRead, Revision, Tree, TreeOrFile};

impl Forge {
    /// What surrounds every page of the repository.
    pub async fn frame(&self, repo: &RepoRead) -> Result<RepoFrame, Error> {
        let _ = repo;
        todo!("skeleton")
    }

    /// The root directory of the default branch; `None` while the repository is empty.
    pub async fn home(&self, repo: &RepoRead) -> Result<Option<Tree>, Error> {
        let _ = repo;
        todo!("skeleton")
    }

    /// What `<revision>/<path>` names, percent-decoded bytes: the longest branch or tag name that fits, else an object id.
    pub async fn tree_or_file(&self, repo: &RepoRead, rest: &[u8]) -> Result<TreeOrFile, Error> {
        let _ = (repo, rest);
        todo!("skeleton")
    }

    /// A file's bytes in pieces, for the raw view: the content type is the caller's to choose (never what the file says).
    pub async fn raw(&self, repo: &RepoRead, rest: &[u8]) -> Result<(u64, Vec<u8>), Error> {
        let _ = (repo, rest);
        todo!("skeleton")
    }

    /// A page of 50 commits from what `rest` names (a branch, tag or object id; the default branch when empty).
    pub async fn history(&self, repo: &RepoRead, rest: &[u8], page: u32) -> Result<History, Error> {
        let _ = (repo, rest, page);
        todo!("skeleton")
    }

    /// A commit and its diff. `id` may be an abbreviation of at least seven digits.
    pub async fn commit(&self, repo: &RepoRead, id: &str) -> Result<CommitView, Error> {
        let _ = (repo, id);
        todo!("skeleton")
    }

    /// The commit that a branch or tag names.
    pub async fn tip(&self, repo: &RepoRead, reference: &RefName) -> Result<Option<Oid>, Error> {
        let _ = (repo, reference);
        todo!("skeleton")
    }

    /// Resolves the text of a revision.
    pub async fn revision(&self, repo: &RepoRead, text: &str) -> Result<Revision, Error> {
        let _ = (repo, text);
        todo!("skeleton")
    }
}
