//! Which branch is the default one. Writes HEAD and nothing else.

use base::file;
use base::name::RefName;

use crate::gates::blocking;
use crate::{Error, Repo};

impl Repo {
    /// Points HEAD at `branch`, whether or not that exists yet. Fails with `Protocol` when it is no branch.
    pub async fn set_head(&self, branch: &RefName) -> Result<(), Error> {
        if !branch.is_branch() {
            return Err(Error::Protocol { problem: "only a branch can be the default one".into() });
        }
        let (path, content) = (self.path().join("HEAD"), format!("ref: {branch}\n"));
        let write = move || Ok(file::write_atomic(&path, content.as_bytes(), 0o600)?);
        blocking(&self.gates().reads, write).await
    }
}
