//! Moves a site's database from its file to a server. Opens no forge, changes nothing of the site, and refuses while
//! somebody else has it open.

use std::sync::Arc;

use base::file::{FileError, Lock};
use base::{Hint, Secret};
use store::copy::{self, CopyError, CountedTable, Digest};
use store::{Address, Login, Store, StoreError};
use vault::digest::Sha256;
use vault::fernet::Key;

use crate::site::{OpenError, beside, is_known};
use crate::{Forge, Options};

/// A table that was copied, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over all its rows in the order of their keys, the same on both sides.
    pub digest: String,
}

/// Why a database was not copied. The site and the server's database are as they were.
#[derive(Debug, thiserror::Error)]
pub enum CopyRefused {
    /// The site's settings name a server already.
    #[error("the site's data is on a database server already")]
    OnServer,
    /// Another program has the site open.
    #[error("the site is in use")]
    InUse(#[source] FileError),
    /// The site's settings do not fit its data.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy failed.
    #[error("could not copy the database")]
    Copy(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for CopyRefused {
    fn hint(&self) -> Option<String> {
        match self {
            Self::OnServer => {
                Some("remove DATABASE_URL or DB_* from .env to copy what is in the site's own file".into())
            }
            Self::InUse(_) => Some("`gitgrit-ops down` stops the site's server; other verbs end by themselves".into()),
            Self::Open(error) => error.hint(),
            Self::Copy(error) => error.downcast_ref::<CopyError>().and_then(Hint::hint),
        }
    }
}

impl From<CopyError> for CopyRefused {
    fn from(error: CopyError) -> Self {
        Self::Copy(Box::new(error))
    }
}

struct Sum(Sha256);

impl Digest for Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> String {
        self.0.finish_hex()
    }
}

impl Forge {
    /// Copies the database of an embedded site into the empty one at the address `to`, and gives what both hold now; with
    /// `is_rehearsal`, what would be copied. For the host's own shell.
    pub async fn copy_database(
        options: &Options,
        to: &Secret<String>,
        is_rehearsal: bool,
    ) -> Result<Vec<CopiedTable>, CopyRefused> {
        let Options { settings, database, clock, .. } = options;
        if settings.database_url.is_some() {
            return Err(CopyRefused::OnServer);
        }
        let opened = |error: StoreError| CopyRefused::Open(error.into());
        let login = Login::parse(to, settings.custom_authorities.as_deref()).map_err(opened)?;
        let key = Key::parse(&settings.encryption_key).map_err(|_| OpenError::KeyFormat)?;
        // Before the lock, which would make a file where no site is.
        if let Some(look) = Store::look(&Address::File(database.clone())).await.map_err(opened)? {
            look.canary.map_or(Ok(()), |canary| is_known(&key, &canary))?;
        } else {
            return Err(CopyError::Absent { path: database.clone() }.into());
        }
        let _alone = Lock::take(&beside(database, "forge.lock")).map_err(CopyRefused::InUse)?;
        let digests: copy::Digests = Arc::new(|| Box::new(Sum(Sha256::default())));
        let counted = if is_rehearsal {
            copy::preview(database, &login, &digests).await?
        } else {
            copy::copy(database, &login, &digests, clock.now()).await?
        };
        Ok(counted.into_iter().map(|CountedTable { name, rows, digest }| CopiedTable { name, rows, digest }).collect())
    }
}
