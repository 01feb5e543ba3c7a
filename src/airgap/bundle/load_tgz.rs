//! Loads the images of an installer's `.tgz`, which nobody has signed: only when the operator says so, and only when it is what it
//! says. It is read twice: once to look at everything, then to send the archive of images as it is. Nothing is unpacked to a disk.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use base::Hint;
use base::file::{FileError, free_bytes};
use docker::{Engine, EngineError, Reference};
use flate2::bufread::GzDecoder;
use tar::EntryType;
use vault::digest::Sha256;

use super::Digest;
use super::reference::whole;
use super::save_archive::{ArchiveError, Shelf, judge_entry, name_of, take_all};

/// What every file of gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The most files that the archive may have.
const MOST: usize = 10_000;
/// What it may become, unpacked: so much, and so many times its own size; in bytes.
const LEAST_LIMIT: u64 = 1 << 30;
const RATIO: u64 = 100;

/// Why nothing is loaded.
#[derive(Debug, thiserror::Error)]
pub enum TgzError {
    /// Nobody has signed it, and nobody said that this is known.
    #[error("this file is unsigned: nobody can say who made it")]
    Unsigned,
    /// It does not read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has something that no installer has.
    #[error("the archive is none of an installer's: {0}")]
    Entry(&'static str),
    /// It becomes too large.
    #[error("the archive unpacks to more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The images in it are not whole.
    #[error("the images in the archive are not whole")]
    Images(#[from] ArchiveError),
    /// The engine has no room for it.
    #[error("`{root}` has {free} bytes free, and the engine needs {needed}")]
    Space {
        /// The engine's folder.
        root: String,
        /// What is free there, in bytes.
        free: u64,
        /// What is needed there, in bytes.
        needed: u64,
    },
    /// The engine made something else of it.
    #[error("the engine has `{image}` as {found}, and the archive as {wanted}")]
    Differs {
        /// The image.
        image: String,
        /// The archive's id.
        wanted: String,
        /// The engine's.
        found: String,
    },
    /// The engine reads another list of images than the one that was checked.
    #[error("the engine keeps images in containerd, and would read a list in the archive that was not checked")]
    OtherList,
    /// The engine does not answer, or refuses.
    #[error("could not load the images")]
    Engine(#[from] EngineError),
}

impl TgzError {
    /// The stable id of the refusal; `None` for what is none.
    pub const fn id(&self) -> Option<&'static str> {
        match self {
            Self::Unsigned => Some("GG-BUNDLE-120"),
            Self::Entry(_) => Some("GG-BUNDLE-121"),
            Self::TooLarge { .. } => Some("GG-BUNDLE-122"),
            Self::Images(_) => Some("GG-BUNDLE-123"),
            Self::Differs { .. } => Some("GG-BUNDLE-124"),
            Self::Space { .. } => Some("GG-BUNDLE-125"),
            Self::OtherList => Some("GG-BUNDLE-126"),
            Self::Read { .. } | Self::Engine(_) => None,
        }
    }
}

impl Hint for TgzError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsigned => Some(
                "take the signed bundle (.ggb); or compare the file's SHA-256 with its maker's, then use --unsigned"
                    .into(),
            ),
            Self::Read { .. } => None,
            Self::Entry(_) | Self::TooLarge { .. } | Self::Images(_) => {
                Some("do not use it; ask whoever sent it".into())
            }
            Self::Space { free, needed, .. } => {
                Some(format!("free {} more bytes there, then run this again", needed.saturating_sub(*free)))
            }
            Self::Differs { .. } => Some("the file or the engine changed meanwhile; run this again".into()),
            Self::OtherList => Some("take the signed bundle (.ggb), or an installer that `bundle tgz` wrote".into()),
            Self::Engine(error) => error.hint(),
        }
    }
}

/// What such a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tgz {
    path: PathBuf,
    /// Of the file as it is.
    pub sha256: Digest,
    /// The images: their names, their ids and the digests of their layers.
    pub images: Vec<TgzImage>,
    /// Where the archive of images begins among what is unpacked, and its size, in bytes; and its digest.
    from: u64,
    size: u64,
    content: Digest,
    /// Says whether it has OCI's layout too.
    has_layout: bool,
}

/// An image of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TgzImage {
    /// What it will be called.
    pub tags: Vec<String>,
    /// Its id.
    pub id: String,
    layers: Vec<String>,
}

/// Says whether the file is compressed as an installer's is.
pub fn is_tgz(path: &Path) -> Result<bool, FileError> {
    let failed = |source| FileError::Read { path: path.into(), source };
    let mut start = [0; 2];
    let got = File::open(path).and_then(|mut file| file.read(&mut start)).map_err(failed)?;
    Ok(got == 2 && start == MAGIC)
}

impl Tgz {
    /// Looks at all of it. `is_known` says that the operator knows that nobody has signed it.
    pub fn open(path: &Path, is_known: bool) -> Result<Self, TgzError> {
        if !is_known {
            return Err(TgzError::Unsigned);
        }
        let failed = |source| TgzError::Read { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let limit = LEAST_LIMIT.saturating_add(file.metadata().map_err(failed)?.len().saturating_mul(RATIO));
        let mut whole = BufReader::with_capacity(1 << 20, Hashed { inner: file, hash: Sha256::default() });
        let mut unpacked = GzDecoder::new(&mut whole).take(limit);
        let found = look(&mut unpacked);
        // The sum that gzip has of all of it stands at the end.
        let rest = io::copy(&mut unpacked, &mut io::sink()).map_err(broken);
        if unpacked.limit() == 0 {
            return Err(TgzError::TooLarge { limit });
        }
        let named = |error| match error {
            TgzError::Read { source, .. } => failed(source),
            other => other,
        };
        let Looked { from, size, content, images, has_layout } = found.map_err(named)?;
        rest.map_err(named)?;
        // What stands behind the archive's end is part of the file's digest all the same.
        io::copy(&mut whole, &mut io::sink()).map_err(failed)?;
        let sha256 = Digest(whole.into_inner().hash.finish());
        Ok(Self { path: path.into(), sha256, images, from, size, content, has_layout })
    }

    /// Sends the images, and looks afterwards. `tell` hears of every byte.
    pub fn load(&self, engine: &Engine, tell: &(dyn Fn(u64) + Sync)) -> Result<(), TgzError> {
        let store = engine.store()?;
        if store.is_containerd && self.has_layout {
            return Err(TgzError::OtherList);
        }
        let root = store.root;
        let needed = self.size.saturating_mul(2);
        let is_here = engine.host().starts_with("unix:") && Path::new(&root).is_dir();
        if let Some(free) = free_bytes(Path::new(&root)).filter(|free| is_here && *free < needed) {
            return Err(TgzError::Space { root, free, needed });
        }
        let failed = |source| TgzError::Read { path: self.path.clone(), source };
        let file = BufReader::with_capacity(1 << 20, File::open(&self.path).map_err(failed)?);
        let mut unpacked = GzDecoder::new(file);
        io::copy(&mut (&mut unpacked).take(self.from), &mut io::sink()).map_err(failed)?;
        let mut sent =
            Sent { inner: unpacked.take(self.size), hash: Some(Sha256::default()), wanted: self.content, tell };
        let loaded = engine.load(&mut sent)?;
        surplus(&self.images, &loaded)?;
        self.images.iter().try_for_each(|image| image.is_there(engine, store.is_containerd))
    }

    /// The size of the archive of images, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }
}

impl TgzImage {
    /// The engine must have it under each of its names. One with containerd has ids of its own.
    fn is_there(&self, engine: &Engine, is_containerd: bool) -> Result<(), TgzError> {
        for tag in &self.tags {
            let reference = Reference::parse(tag).map_err(EngineError::from)?;
            let found = engine.image(&reference)?;
            let is_it = |found: &docker::Image| found.id == self.id || (is_containerd && found.layers == self.layers);
            if !found.as_ref().is_some_and(is_it) {
                let found = found.map_or_else(|| "nothing".to_owned(), |found| found.id);
                return Err(TgzError::Differs { image: tag.into(), wanted: self.id.clone(), found });
            }
        }
        Ok(())
    }
}

/// The engine must have loaded nothing else than what was looked at.
fn surplus(images: &[TgzImage], loaded: &[String]) -> Result<(), TgzError> {
    let is_known = |name: &String| {
        images.iter().any(|image| image.id == *name || image.tags.iter().any(|tag| whole(tag) == whole(name)))
    };
    match loaded.iter().find(|name| !is_known(name)) {
        Some(name) => {
            let shown = name.chars().filter(|sign| !sign.is_control()).take(200).collect();
            Err(TgzError::Differs {
                image: shown,
                wanted: "nothing".into(),
                found: "an image that it loaded now".into(),
            })
        }
        None => Ok(()),
    }
}

/// Where the archive of images is, its size, its digest, and what is in it.
struct Looked {
    from: u64,
    size: u64,
    content: Digest,
    images: Vec<TgzImage>,
    has_layout: bool,
}

fn look(unpacked: &mut dyn Read) -> Result<Looked, TgzError> {
    let mut archive = tar::Archive::new(unpacked);
    let mut looked = None;
    // Extended headers stay entries of their own, and are refused as such.
    for (index, entry) in archive.entries().map_err(broken)?.raw(true).enumerate() {
        let entry = entry.map_err(broken)?;
        if index >= MOST {
            return Err(TgzError::Entry("it has more than 10000 files"));
        }
        let path = entry.path_bytes().into_owned();
        judge_entry(entry.header(), &path).map_err(TgzError::Entry)?;
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        match entry.header().entry_type() {
            EntryType::Directory if path.is_empty() => continue,
            EntryType::Directory | EntryType::Regular => {}
            _ => return Err(TgzError::Entry("it has something that is neither a file nor a folder")),
        }
        let name = name_of(path).map_err(|_| TgzError::Entry("a name in it leads elsewhere, or is not plain text"))?;
        let tag = name.strip_prefix("gitgrit-bundle-").and_then(|rest| rest.strip_suffix(".tar"));
        if tag.is_none_or(|tag| tag.contains('/')) {
            continue;
        }
        if looked.is_some() {
            return Err(TgzError::Entry("it has two archives of images"));
        }
        let (from, size) = (entry.raw_file_position(), entry.size());
        looked = Some(Looked { from, size, ..look_into(entry)? });
    }
    looked.ok_or(TgzError::Entry("it holds no gitgrit-bundle-TAG.tar"))
}

/// Looks at an archive of images.
fn look_into(archive: impl Read) -> Result<Looked, TgzError> {
    let mut content = Hashed { inner: archive, hash: Sha256::default() };
    let (images, has_layout) = take_all(&mut content, &mut Judge).map_err(|error| match error {
        ArchiveError::Read { source } if is_medium(&source) => broken(source),
        other => other.into(),
    })?;
    io::copy(&mut content, &mut io::sink()).map_err(broken)?;
    let images = images.into_iter().map(|(id, tags, saved)| TgzImage { tags, id, layers: saved.layers });
    let images: Vec<TgzImage> = images.collect();
    let is_tag =
        |tag: &String| Reference::parse(tag).is_ok_and(|found| found.tagged().is_some() && found.as_str() == tag);
    if images.is_empty() || !images.iter().flat_map(|image| &image.tags).all(is_tag) {
        return Err(TgzError::Entry("it names no images, or one in another way than engines do"));
    }
    Ok(Looked { from: 0, size: 0, content: Digest(content.hash.finish()), images, has_layout })
}

/// A medium that does not read is one thing, content that is not whole another.
fn broken(source: io::Error) -> TgzError {
    if is_medium(&source) {
        TgzError::Read { path: PathBuf::new(), source }
    } else {
        TgzError::Entry("it is damaged, or ends too early")
    }
}

fn is_medium(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    !matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

/// Hashes layers, and keeps nothing of them.
struct Judge;

impl Shelf for Judge {
    type Error = ArchiveError;

    fn take(&mut self, _: Option<&str>, _: u64, layer: &mut dyn Read) -> Result<String, ArchiveError> {
        let mut layer = Hashed { inner: layer, hash: Sha256::default() };
        io::copy(&mut layer, &mut io::sink()).map_err(|source| ArchiveError::Read { source })?;
        Ok(Digest(layer.hash.finish()).named())
    }
}

/// What is read, hashed on the way.
struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..size).unwrap_or_default());
        Ok(size)
    }
}

/// What goes to the engine. Its end comes only when all of it was what had been looked at.
struct Sent<'t, R> {
    inner: R,
    hash: Option<Sha256>,
    wanted: Digest,
    tell: &'t (dyn Fn(u64) + Sync),
}

impl<R: Read> Read for Sent<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.inner.read(buffer)?;
        (self.tell)(size as u64);
        if let Some(hash) = &mut self.hash {
            hash.update(buffer.get(..size).unwrap_or_default());
        }
        let is_other = size == 0 && self.hash.take().is_some_and(|hash| Digest(hash.finish()) != self.wanted);
        if is_other {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was read"))
        } else {
            Ok(size)
        }
    }
}

#[cfg(test)]
#[path = "load_tgz_test.rs"]
mod tests;
