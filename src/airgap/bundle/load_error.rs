//! Why a bundle's images are not in the engine, and what the operator can do about it.

use std::io;
use std::path::PathBuf;

use base::Hint;
use base::file::FileError;
use checks::registry::RegistryError;
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
    /// The engine itself said that a disk of its is full.
    #[error("the engine ran out of room: {message}; it needs {needed} bytes in `{root}`")]
    Full {
        /// The engine's folder.
        root: String,
        /// What is needed there, in bytes.
        needed: u64,
        /// The engine's own words.
        message: String,
    },
    /// Not enough room where images are to be written.
    #[error("`{folder}` has {free} bytes free, and what is to be written there needs {needed}")]
    Room {
        /// The folder.
        folder: PathBuf,
        /// What is free there, in bytes.
        free: u64,
        /// What is needed there, in bytes.
        needed: u64,
    },
    /// Something is there already.
    #[error("`{path}` is there, and is not an empty folder")]
    Occupied {
        /// What is there.
        path: PathBuf,
    },
    /// Two images would have one name where they go.
    #[error("`{one}` and `{next}` are two images, and both would be `{name}`")]
    Clash {
        /// One of them.
        one: String,
        /// The other.
        next: String,
        /// What both would be called.
        name: String,
    },
    /// Another bundle with the same sequence was loaded before.
    #[error("a bundle with the sequence {sequence} was loaded before, and it was another one (`{version}`)")]
    Sibling {
        /// The sequence of both.
        sequence: u64,
        /// The version of the one before.
        version: String,
    },
    /// Something that is written does not write.
    #[error("could not write `{path}`")]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The registry does not answer, or refuses.
    #[error("could not push the images")]
    Registry(#[from] RegistryError),
    /// The bundle is for another processor.
    #[error("the bundle is for {found}, and the engine's host is {host}")]
    Arch {
        /// The bundle's.
        found: &'static str,
        /// The engine's.
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
            Self::Full { .. } => Some("GG-BUNDLE-170"),
            Self::Engine(EngineError::Refused { .. }) => Some("GG-BUNDLE-171"),
            Self::Sibling { .. } => Some("GG-BUNDLE-172"),
            Self::Room { .. } => Some("GG-BUNDLE-173"),
            Self::Occupied { .. } => Some("GG-BUNDLE-174"),
            Self::Clash { .. } => Some("GG-BUNDLE-186"),
            Self::Registry(error) => error.id(),
            Self::Engine(_) | Self::File(_) | Self::Journal(_) | Self::Write { .. } => None,
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
            Self::Full { needed, .. } => {
                Some(format!("make room for {needed} bytes on the engine's host; what this run had brought there is gone"))
            }
            Self::Room { needed, free, .. } if free >= needed => Some("there is room now: run this again".into()),
            Self::Room { needed, free, .. } => {
                Some(format!("free {} more bytes there, or name another place", needed.saturating_sub(*free)))
            }
            Self::Occupied { .. } => Some("name a folder that is not there yet, or remove this one".into()),
            Self::Clash { .. } => {
                Some("write them with --to oci-dir:DIR, and push each under a name of your own".into())
            }
            Self::Sibling { .. } => Some(
                "two bundles should not share a sequence: ask whoever sent it which one is right; to take it on purpose, use --allow-older"
                    .into(),
            ),
            Self::Write { .. } => None,
            Self::Registry(error) => error.hint(),
            Self::Arch { .. } => Some("take the bundle for the engine's processor".into()),
            Self::Differs { .. } => Some("somebody else changed the engine's images meanwhile; run this again".into()),
            Self::File(error) => error.hint(),
            Self::Journal(error) => error.hint(),
        }
    }
}
