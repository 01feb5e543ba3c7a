//! The forge itself: what it is opened with, and what it holds.

use std::path::PathBuf;
use std::sync::Arc;

use base::settings::Settings;
use base::{Clock, Hint};

/// What a forge is opened with.
pub struct Options {
    /// The site's parsed settings.
    pub settings: Settings,
    /// The database of an embedded site.
    pub database: PathBuf,
    /// Where bare repositories are.
    pub repositories: PathBuf,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// Why a forge did not open. Nothing was changed, but for migrations that ran whole.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database was written by a newer program.
    #[error("the database has schema {found}, and this program knows {known}")]
    NewerSchema {
        /// The database's schema number.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The data was written with another GITGRIT_ENCRYPTION_KEY.
    #[error("GITGRIT_ENCRYPTION_KEY is not the key that this site's data was written with")]
    KeyMismatch,
    /// The key is not a Fernet key.
    #[error("GITGRIT_ENCRYPTION_KEY is not a Fernet key")]
    KeyFormat,
    /// The database did not open.
    #[error("could not open the database")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The repositories' directory is not usable.
    #[error("could not open the repositories")]
    Git(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for OpenError {}

/// The forge of one site. Cheap to clone.
#[derive(Clone)]
pub struct Forge {}

impl Forge {
    /// Opens the site's forge: migrates the database, checks the key canary (writing it on the first run), and settles
    /// what a crash left between a ref move and its event.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let _ = options;
        todo!("skeleton")
    }

    /// One round trip to the database; what `/readyz` asks.
    pub async fn is_ready(&self) -> Result<(), crate::Error> {
        todo!("skeleton")
    }

    /// The settings that the forge was opened with.
    pub fn settings(&self) -> &Settings {
        todo!("skeleton")
    }

    /// Waits for running work and closes the database.
    pub async fn close(&self) {
        todo!("skeleton")
    }
}
