//! What an address inside a readable repository asked for, when it is not there: so that the page that says so can say
//! where to go instead. Only for who may read the repository; to everybody else all of it is absent alike.

use base::name::{RefName, TreePath};

use crate::browse::default_revision;
use crate::{Error, Forge, RepoRead, Revision};

/// What was asked for and is not there.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The revision, when that much was found.
    pub revision: Option<Revision>,
    /// The path behind it, or the whole text when no revision was found in it.
    pub asked: Vec<u8>,
    /// The nearest directory above the path that is there.
    pub nearest: Option<TreePath>,
    /// The default branch, when it has commits.
    pub default_branch: Option<RefName>,
}

impl Forge {
    /// Looks what of `<revision>/<path>` is there.
    pub async fn missing(&self, repo: &RepoRead, rest: &[u8]) -> Result<Missing, Error> {
        let handle = self.handle(repo)?;
        let default_branch = default_revision(&handle).await?.and_then(|revision| revision.reference);
        let Some((resolved, path)) = handle.resolve_path(rest).await? else {
            return Ok(Missing { revision: None, asked: rest.to_vec(), nearest: None, default_branch });
        };
        let mut above: Vec<&[u8]> = path.parts().collect();
        let mut nearest = None;
        while nearest.is_none() && above.pop().is_some() {
            let directory = TreePath::parse(&above.join(&b'/'))?;
            let entry = handle.entry(&resolved.commit, &directory).await?;
            nearest = entry.filter(|entry| entry.kind == git::EntryKind::Tree).map(|_| directory);
        }
        let asked = path.as_bytes().to_vec();
        Ok(Missing { revision: Some(resolved.into()), asked, nearest, default_branch })
    }
}
