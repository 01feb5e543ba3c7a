//! The repositories of a site on disk, by id. Names never reach this file.

use std::path::Path;

use base::name::RefName;

use crate::{Error, Repo};

/// The directory of all bare repositories: `<root>/xx/<id>.git`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repositories {}

impl Repositories {
    /// Opens (and makes, at 0700) the directory; sweeps what broken pushes and removals left behind. Blocks.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let _ = root;
        todo!("skeleton")
    }

    /// Makes an empty repository whose HEAD names `default_branch`. `Present` when the id is taken.
    pub async fn create(&self, id: i64, default_branch: &RefName) -> Result<Repo, Error> {
        let _ = (id, default_branch);
        todo!("skeleton")
    }

    /// Removes the repository and its objects for good; one that is gone already is no error.
    pub async fn remove(&self, id: i64) -> Result<(), Error> {
        let _ = id;
        todo!("skeleton")
    }

    /// A handle. Fails with `Absent` when it is not on disk.
    pub fn repo(&self, id: i64) -> Result<Repo, Error> {
        let _ = id;
        todo!("skeleton")
    }
}
