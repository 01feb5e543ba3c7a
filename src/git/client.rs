//! A Git client for the site's own smoke test: clones, commits, pushes. Secrets travel in the child's environment,
//! never in its arguments.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::Secret;

use crate::Error;

/// How to reach the repository.
#[derive(Clone, Debug)]
pub enum Access {
    /// Over HTTP(S).
    Http {
        /// The whole `Authorization` header's value, as in `Basic …`.
        authorization: Secret<String>,
        /// PEM file of the authorities to trust; the host's own when `None`.
        ca_file: Option<PathBuf>,
    },
    /// Over SSH.
    Ssh {
        /// The private key's file.
        key_file: PathBuf,
        /// The known_hosts file.
        known_hosts: PathBuf,
    },
}

/// A clone in a scratch directory that the caller owns.
#[derive(Debug)]
pub struct Clone {}

impl Clone {
    /// Clones `url` into `directory` (which must not exist). The deadline holds for this and every later step.
    pub async fn make(url: &str, directory: &Path, access: Access, deadline: Duration) -> Result<Self, Error> {
        let _ = (url, directory, access, deadline);
        todo!("skeleton")
    }

    /// Writes a file, commits it on `branch`, and pushes. Gives the commit's id.
    pub async fn commit_and_push(&self, branch: &str, file: &str, content: &[u8]) -> Result<String, Error> {
        let _ = (branch, file, content);
        todo!("skeleton")
    }

    /// The commit that the clone's HEAD leads to; `None` when the repository is empty.
    pub async fn head(&self) -> Result<Option<String>, Error> {
        todo!("skeleton")
    }
}
