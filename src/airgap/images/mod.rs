//! Builds the images of the stack from Debian packages, to the same bytes on every machine: recipe and lock in, layers and
//! configurations out. Asks no engine, and no network when the packages of the locks were fetched before.

pub mod error;
pub mod lock;
pub mod pattern;
pub mod recipe;

mod archive;
mod build;
mod config;
mod layer;
mod packages;
mod rootfs;
#[cfg(test)]
mod stories;
mod tree;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use build::build;
pub use error::ImagesError;
pub use layer::Blob;
pub use recipe::Recipes;

use base::file::{create_dir, read_text, write_atomic};
use base::process::Program;

use lock::Lock;
use packages::Apt;

/// The folder of the base's lock, beside those of the images.
const BASE: &str = "base";

/// Bytes that a lock may have.
const LOCK_LIMIT: u64 = 1 << 20;

/// What to build, and from what.
#[derive(Debug)]
pub struct Request {
    /// The recipes.
    pub recipes: Recipes,
    /// The images wanted; all when empty.
    pub only: Vec<String>,
    /// What is kept from one build to the next: packages, layers, apt's lists. Made when it is not there.
    pub cache: PathBuf,
    /// Where file systems are unpacked, for as long as it takes.
    pub work: PathBuf,
    /// Sources for apt instead of this host's own.
    pub sources: Option<PathBuf>,
    /// The program that goes into `app`.
    pub program: PathBuf,
    /// What the images say of themselves.
    pub stamp: Stamp,
}

/// What an image says of itself.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The tag of the images.
    pub tag: String,
    /// The commit that they are built from, with `-dirty` when the tree had changes.
    pub commit: String,
    /// The tag of that commit, or nothing.
    pub git_tag: String,
    /// When they were made, as far as they say, in seconds since 1970.
    pub epoch: u64,
}

/// An image that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its name in the recipes.
    pub name: String,
    /// What engines call it: `gitgrit-db:TAG`.
    pub reference: String,
    /// The digest of its configuration: its id.
    pub id: String,
    /// The configuration itself.
    pub config: Vec<u8>,
    /// Its layers, the lowest first.
    pub layers: Vec<Blob>,
}

impl Built {
    /// What the image holds, in bytes.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}

/// What engines call the image `name` of this tag.
pub fn reference(name: &str, tag: &str) -> String {
    format!("gitgrit-{name}:{tag}")
}

/// Writes images as one archive that `docker load` takes.
pub fn write_archive(images: &[Built], epoch: u64, out: &Path) -> Result<(), ImagesError> {
    archive::write(images, epoch, out)
}

/// The same archive, to be read once on its way to an engine: nothing of it lies on a disk.
pub fn archive(images: &[Built], epoch: u64) -> Result<impl Read + Send + '_, ImagesError> {
    archive::whole(images, epoch).map_err(ImagesError::at(Path::new("the archive of images")))
}

/// Asks this host's sources which packages there are now and writes all locks anew; `now` in seconds since 1970.
/// Gives the paths of the locks.
pub fn relock(
    recipes: &Recipes,
    cache: &Path,
    sources: Option<PathBuf>,
    now: u64,
) -> Result<Vec<PathBuf>, ImagesError> {
    let mut apt = Apt::new(cache.join("apt"), &recipes.suite, sources)?;
    let architecture = host_architecture()?;
    // Whole days: what was locked in one day has one time.
    let epoch = now - now % 86_400;
    let base = apt.resolve(&recipes.base.packages)?;
    let mut written = Vec::new();
    let mut write = |name: &str, packages| {
        let path = lock_path(recipes, name);
        create_dir(path.parent().unwrap_or(&recipes.folder), 0o755)?;
        let lock = Lock { architecture: architecture.clone(), epoch, packages };
        write_atomic(&path, lock.render().as_bytes(), 0o644)?;
        written.push(path);
        Ok::<_, ImagesError>(())
    };
    for recipe in recipes.images.iter().filter(|recipe| recipe.reference.is_none()) {
        let names = [recipes.base.packages.clone(), recipe.packages.clone()].concat();
        let mut packages = apt.resolve(&names)?;
        packages.retain(|package| !base.contains(package));
        write(&recipe.name, packages)?;
    }
    write(BASE, base)?;
    Ok(written)
}

/// The lock of the image `name`, for this kind of machine.
fn read_lock(recipes: &Recipes, name: &str, architecture: &str) -> Result<Lock, ImagesError> {
    let lock = Lock::parse(name, &read_text(&lock_path(recipes, name), LOCK_LIMIT)?)?;
    if lock.architecture == architecture {
        return Ok(lock);
    }
    Err(ImagesError::Architecture { image: name.into(), locked: lock.architecture, host: architecture.into() })
}

fn lock_path(recipes: &Recipes, name: &str) -> PathBuf {
    recipes.folder.join(name).join("packages.lock")
}

/// What engines and Debian call the processor that this program is for, which is that of the images that it makes.
pub const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "another"
    }
}

/// What Debian calls this machine.
fn host_architecture() -> Result<String, ImagesError> {
    let done = Program::new("dpkg").option("--print-architecture").run(b"")?;
    if !done.status.success() {
        return Err(ImagesError::Program { program: "dpkg", said: done.stderr });
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
