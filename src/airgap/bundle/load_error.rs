//! Why a bundle's images are not in the engine, and what the operator can do about it.

use base::Hint;
use base::file::FileError;
use docker::EngineError;

use super::BundleError;
use crate::journal::JournalError;

/// Why loading stopped. Images that were loaded before stay, and the next run does not send them again.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bundle is refused.
    #[error("the bundle is refused")]
    Bundle(#[from] BundleError),
    /// The engine does not answer, or refuses.
    #[error("could not load the images")]
    Engine(#[from] EngineError),
    /// Not enough room for the engine.
    #[error("`{root}` has {free} bytes free, and the engine needs {needed}")]
    Space {
        /// The engine's folder.
        root: String,
        /// What is free there, in bytes.
        free: u64,
        /// What is needed there, in bytes.
        needed: u64,
    },
    /// The bundle is for another processor.
    #[error("the bundle is for {found}, and the engine's host is {host}")]
    Arch {
        /// The bundle's.
        found: &'static str,
        /// The host's.
        host: String,
    },
    /// What the engine made of it is something else.
    #[error("the engine has `{image}` as {found}, and the bundle as {wanted}")]
    Differs {
        /// The image.
        image: String,
        /// What the bundle says.
        wanted: String,
        /// What the engine says.
        found: String,
    },
    /// A file does not read or write; also when another run holds the folder.
    #[error("could not use a file")]
    File(#[from] FileError),
    /// The journal failed.
    #[error("could not record what is done")]
    Journal(#[from] JournalError),
}

impl LoadError {
    /// The stable id of the refusal; `None` for what is none.
    pub const fn id(&self) -> Option<&'static str> {
        match self {
            Self::Bundle(error) => Some(error.id()),
            Self::Space { .. } => Some("GG-BUNDLE-201"),
            Self::Arch { .. } => Some("GG-BUNDLE-202"),
            Self::Differs { .. } => Some("GG-BUNDLE-203"),
            Self::Engine(_) | Self::File(_) | Self::Journal(_) => None,
        }
    }
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Bundle(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Space { needed, free, .. } => {
                Some(format!("free {} more bytes there, then run this again", needed.saturating_sub(*free)))
            }
            Self::Arch { .. } => Some("take the bundle for this host's processor".into()),
            Self::Differs { .. } => Some("somebody else changed the engine's images meanwhile; run this again".into()),
            Self::File(error) => error.hint(),
            Self::Journal(error) => error.hint(),
        }
    }
}
