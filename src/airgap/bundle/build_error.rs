//! Why a bundle is not built, and what the builder can do about it.

use std::io;
use std::path::PathBuf;

use base::Hint;
use base::file::FileError;
use docker::EngineError;

use super::BundleError;
use super::save_archive::ArchiveError;
use crate::images::ImagesError;

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
    /// More than one file of an archive can hold.
    #[error("the images have {size} bytes of layers, and the archive of all of them can be a file of at most 8 GiB")]
    Large {
        /// How many.
        size: u64,
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
    /// Images of the tree's recipes are not in the engine.
    #[error("the engine has no image {}", quoted(.made, .pulled))]
    Missing {
        /// Those that recipes make.
        made: Vec<String>,
        /// Those of somebody else, with their digests.
        pulled: Vec<String>,
        /// The tag that was asked for.
        tag: String,
    },
    /// The engine has another image under that name than the recipes pin.
    #[error("the engine has `{image}` as {found}, and the recipes want {wanted}")]
    Pinned {
        /// The image.
        image: String,
        /// The digest that it must have.
        wanted: String,
        /// The id that it has.
        found: String,
    },
    /// A recipe names an image by nothing but its digest.
    #[error("the recipes name `{reference}` without a tag")]
    Untagged {
        /// The name.
        reference: String,
    },
    /// The recipes do not read, or an image was not built.
    #[error("could not use the recipes of the images")]
    Images(#[from] ImagesError),
    /// The program was built from another commit.
    #[error("the program says that it is {said}, and the tree is {commit}")]
    Program {
        /// Version and commit of the program.
        said: String,
        /// The tree's commit.
        commit: String,
    },
    /// A file of the tree has a path that no bundle carries.
    #[error("a file of the tree cannot travel")]
    Path {
        /// Which, and why.
        source: Box<BundleError>,
    },
    /// The time of all files does not fit an archive.
    #[error("the time of the files is later than {most}, the latest that an archive can say")]
    Epoch {
        /// The latest, in seconds since 1970.
        most: u64,
    },
    /// What an image says of its packages does not read.
    #[error("could not list the packages of the image `{image}`: {why}")]
    Packages {
        /// Its name.
        image: String,
        /// What is wrong.
        why: &'static str,
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
    /// Two files for one place in what the first installers took.
    #[error("`{path}` would lie at `{place}` in the package, where {other} lies")]
    Shadow {
        /// A file of the tree.
        path: String,
        /// Where it would lie.
        place: String,
        /// What lies there already.
        other: String,
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
            Self::Large { .. } => Some("use `bundle build`: its file has no such limit".into()),
            Self::NoImage { .. } => Some("build or pull it first; `docker image ls` shows what the engine has".into()),
            Self::Missing { made, pulled, tag } => Some(ways(made, pulled, tag)),
            Self::Pinned { image, wanted, .. } => Some(format!("docker pull {image}@{wanted}")),
            Self::Untagged { .. } => Some(
                "write NAME:TAG@sha256:… in bundle/images.toml: engines that get a bundle know images by their tags"
                    .into(),
            ),
            Self::Images(error) => error.hint(),
            Self::Program { .. } => Some("compile the program from this commit, or use --allow-dirty".into()),
            Self::Path { .. } => Some("rename it: ASCII letters, digits and `._+-@=~`, no part longer than 100".into()),
            Self::Epoch { .. } => Some("set SOURCE_DATE_EPOCH to seconds, not to milliseconds".into()),
            Self::Packages { .. } => Some("build the image anew; what travels must say what it is made of".into()),
            Self::Arch { .. } => Some("a bundle is for amd64 or arm64, and all its images for the same".into()),
            Self::Nothing => Some(
                "name images with --image NAME=REFERENCE or --images FILE, or write recipes into bundle/images.toml"
                    .into(),
            ),
            Self::Name { .. } => {
                Some("name each image once, with letters, digits and `-`, and a reference that ends in a tag".into())
            }
            Self::Shadow { .. } => {
                Some("rename one of them: what is in compose/ lies at the top of the package".into())
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

fn quoted(made: &[String], pulled: &[String]) -> String {
    let all = made.iter().chain(pulled).map(|image| format!("`{image}`"));
    all.collect::<Vec<_>>().join(", ")
}

/// The commands after which the images are there.
fn ways(made: &[String], pulled: &[String], tag: &str) -> String {
    let mut ways = Vec::new();
    if !made.is_empty() {
        let build =
            format!("gitgrit-ops bundle images --tag {tag} --commit \"$(git rev-parse HEAD)\" --out target/images.tar");
        ways.push(format!("{build} && docker load --input target/images.tar; or use --build-images, which does both"));
    }
    ways.extend(pulled.iter().map(|image| format!("docker pull {image}")));
    ways.join("; ")
}
