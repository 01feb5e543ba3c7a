//! Why a bundle is not built, and what the builder can do about it.

use std::io;
use std::path::PathBuf;

use base::Hint;
use base::file::FileError;
use docker::EngineError;

use super::BundleError;
use super::save_archive::ArchiveError;

/// Why a bundle is not built. Layers that were packed stay in the cache.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The tree is not what its commit says.
    #[error("the tree has changes that no commit has: `{first}`")]
    Dirty {
        /// One of them.
        first: String,
    },
    /// The tree does not say what it is.
    #[error("could not read the tree `{path}`")]
    Tree {
        /// The tree.
        path: PathBuf,
        /// Why.
        source: git::Error,
    },
    /// The tree is not what bundles are built from.
    #[error("of the tree, `{path}` {why}")]
    Part {
        /// A file or a folder.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not enough room for the bundle.
    #[error("`{path}` has {free} bytes free, and the bundle needs {needed}")]
    Space {
        /// The folder.
        path: PathBuf,
        /// What is free there, in bytes.
        free: u64,
        /// What is needed there, in bytes.
        needed: u64,
    },
    /// An image was built from something else.
    #[error("the image `{image}` was built from {name} {found}, not {wanted}")]
    Stamp {
        /// The image.
        image: String,
        /// Which of its marks.
        name: &'static str,
        /// What it says; `nothing` without a mark.
        found: String,
        /// What it has to say.
        wanted: String,
    },
    /// The engine has no such image.
    #[error("the engine has no image `{image}`")]
    NoImage {
        /// The image.
        image: String,
    },
    /// An image for another processor, or for one that no bundle is for.
    #[error("the image `{image}` is for `{found}`")]
    Arch {
        /// The image.
        image: String,
        /// Its processor.
        found: String,
    },
    /// Nothing to carry.
    #[error("no image was named")]
    Nothing,
    /// Two names for the same place in the bundle, or one that is none.
    #[error("`{name}` cannot name an image of a bundle")]
    Name {
        /// The name.
        name: String,
    },
    /// A layer does not come through.
    #[error("could not read a layer of the engine's archive")]
    Layer {
        /// Why.
        source: io::Error,
    },
    /// A layer that was packed is gone, while this build holds the cache.
    #[error("the cache lost what was put into it")]
    Cache,
    /// The engine's archive is not what it should be.
    #[error("could not take the engine's archive apart")]
    Archive(#[from] ArchiveError),
    /// The engine does not answer, or refuses.
    #[error("could not get the images from the engine")]
    Engine(#[from] EngineError),
    /// The bundle does not write.
    #[error("could not write the bundle")]
    Bundle(#[from] BundleError),
    /// A file does not read or write; also when another build holds the cache.
    #[error("could not use a file")]
    File(#[from] FileError),
}

impl Hint for BuildError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Dirty { .. } => Some("commit or remove them, or use --allow-dirty: the bundle then says so".into()),
            Self::Tree { .. } | Self::Part { .. } => {
                Some("run this at the root of a checkout of the product, or name one with --source DIR".into())
            }
            Self::Stamp { .. } => Some("build the image anew from this commit".into()),
            Self::Space { needed, free, .. } => Some(format!(
                "free {} more bytes there, or name another folder with --out",
                needed.saturating_sub(*free)
            )),
            Self::NoImage { .. } => Some("build or pull it first; `docker image ls` shows what the engine has".into()),
            Self::Arch { .. } => Some("a bundle is for amd64 or arm64, and all its images for the same".into()),
            Self::Nothing => Some("name images with --image NAME=REFERENCE or --images FILE".into()),
            Self::Name { .. } => {
                Some("name each image once, with letters, digits and `-`, and a reference that ends in a tag".into())
            }
            Self::Archive(ArchiveError::Entry { .. }) => {
                Some("an engine that keeps images in containerd saves them compressed; use one with overlay2".into())
            }
            Self::Engine(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}
