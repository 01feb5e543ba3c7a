//! Why an image cannot be built, and what the builder can do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use base::Hint;
use base::file::FileError;
use base::process::ProcessError;

use crate::bundle::BundleError;

/// Why an image was not built. Nothing was written but the cache.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The file of recipes is not TOML of the known shape.
    #[error("could not read the recipes in `{path}`")]
    Recipes {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A recipe says something that cannot be done.
    #[error("recipe of image `{image}`: {what}")]
    Recipe {
        /// The image.
        image: String,
        /// What does not fit.
        what: String,
    },
    /// Somebody asked for an image that no recipe makes.
    #[error("no recipe makes an image `{image}`")]
    Unknown {
        /// What was asked for.
        image: String,
    },
    /// A lock file has a line that is not understood.
    #[error("could not read the lock of image `{image}` at `{line}`")]
    Lock {
        /// The image.
        image: String,
        /// The line.
        line: String,
    },
    /// The lock is for another kind of machine.
    #[error("the lock of image `{image}` is for {locked}, this host is {host}")]
    Architecture {
        /// The image.
        image: String,
        /// What the lock says.
        locked: String,
        /// What this host is.
        host: String,
    },
    /// Packages that the lock names cannot be had.
    #[error("could not get {what}: {said}")]
    Packages {
        /// Which.
        what: String,
        /// What apt said.
        said: String,
    },
    /// A package is not the one that was locked.
    #[error("package `{package}` differs from the lock: expected sha256:{expected}, found sha256:{found}")]
    Digest {
        /// Name and version.
        package: String,
        /// The lock's digest.
        expected: String,
        /// The file's digest.
        found: String,
    },
    /// A program of the build did not end well.
    #[error("`{program}` failed: {said}")]
    Program {
        /// The program.
        program: &'static str,
        /// Its last words.
        said: String,
    },
    /// A program of the build did not run.
    #[error("could not build a file system")]
    Process(#[from] ProcessError),
    /// A file of the build did not read or write.
    #[error("could not use a file of the build")]
    File(#[from] FileError),
    /// An archive did not read or write.
    #[error("could not use `{path}`")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file system holds something that a layer cannot carry.
    #[error("`{path}` in image `{image}`: {what}")]
    Content {
        /// The image.
        image: String,
        /// Where.
        path: String,
        /// What it is.
        what: &'static str,
    },
}

impl ImagesError {
    /// For `map_err` on what is done with one file.
    pub(super) fn at(path: &std::path::Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Archive { path: path.into(), source }
    }
}

impl From<BundleError> for ImagesError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Write { path, source } => Self::Archive { path, source },
            other => Self::Archive { path: "the archive of images".into(), source: io::Error::other(other) },
        }
    }
}

impl Hint for ImagesError {
    fn hint(&self) -> Option<String> {
        let said = match self {
            Self::Packages { .. } => {
                "give apt sources that still have these versions with --sources, or take what there is now with --relock"
            }
            Self::Digest { .. } => "the copy is damaged, or the source is not Debian's; do not use it",
            Self::Lock { .. } | Self::Architecture { .. } => "write the locks anew on this host with --relock",
            Self::Process(error) => return error.hint(),
            _ => return None,
        };
        Some(said.into())
    }
}
