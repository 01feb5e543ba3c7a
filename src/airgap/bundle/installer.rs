//! What the first installers took: an archive of all images that `docker load` takes, and a compressed archive with it, the files of
//! compose and the manual. Made of the same parts as a bundle, streamed, the same bytes each time; signed by nobody.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use base::file::{FileError, create_dir, write_atomic};
use docker::Engine;
use flate2::{Compression, GzBuilder};
use git::Worktree;
use vault::digest::Sha256;

use super::build::{self, BuildPlan, Judged, Request, check_room};
use super::build_error::BuildError;
use super::cache::Cache;
use super::draft::Draft;
use super::gather::{Gathered, gather};
use super::{BundleError, Digest, Image, Mode, Packed, Source, oci, ustar};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installer {
    /// The archive of images.
    pub archive: PathBuf,
    /// The compressed archive.
    pub package: PathBuf,
    /// The compressed archive's SHA-256, as `sha256sum -c` takes it.
    pub sum: PathBuf,
}

impl Installer {
    /// Where the files of a tag lie.
    pub fn of(out: &Path, tag: &str) -> Self {
        Self {
            archive: out.join(format!("gitgrit-bundle-{tag}.tar")),
            package: out.join(format!("gitgrit-install-{tag}.tgz")),
            sum: out.join(format!("gitgrit-install-{tag}.tgz.sha256")),
        }
    }
}

/// Judges all that can be judged without an engine, as for a bundle; and no two files may have one place in the package. Changes nothing.
pub fn judged(request: &Request) -> Result<Judged, BuildError> {
    let judged = build::judged(request)?;
    check_places(request, &judged.worktree)?;
    Ok(judged)
}

/// Where a file of the tree lies in the package; `None` for one that stays at home.
fn place(path: &str) -> Option<&str> {
    let is_kept = path.starts_with("docs/") || matches!(path, "CHANGELOG.md" | "LICENSE");
    path.strip_prefix("compose/").or(is_kept.then_some(path))
}

/// Compose's files lie beside the others there: none may take another's place, also where capitals do not count.
fn check_places(request: &Request, worktree: &Worktree) -> Result<(), BuildError> {
    let archive = Installer::of(&request.out, &request.tag).archive;
    let archive = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut known: BTreeMap<String, (&str, bool, String)> = BTreeMap::new();
    known.insert(archive.to_ascii_lowercase(), (&archive, true, "the archive of images".into()));
    for file in &worktree.files {
        let Some(place) = place(&file.path) else { continue };
        for (end, _) in place.match_indices('/').chain([(place.len(), "")]) {
            let (part, _) = place.split_at(end);
            let is_file = end == place.len();
            let now = (part, is_file, format!("`{}`", file.path));
            match known.insert(part.to_ascii_lowercase(), now) {
                Some((found, was_file, other)) if is_file || was_file || found != part => {
                    return Err(BuildError::Shadow { path: file.path.clone(), place: place.into(), other });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Writes the files that were planned. `tell` hears of the bytes of layers as they come by.
pub fn apply(
    request: &Request,
    plan: &BuildPlan,
    engine: &Engine,
    tell: &dyn Fn(u64),
) -> Result<Installer, BuildError> {
    let mut cache = Cache::open(&request.cache, request.profile, request.threads, tell)?;
    let gathered = gather(request, plan, engine, &mut cache)?;
    create_dir(&request.out, 0o755)?;
    // The archive as it is, and compressed; what does not compress grows by what gzip says of its blocks.
    let size = gathered.layers.values().map(|layer| layer.size).sum::<u64>();
    if size > ustar::LARGEST {
        return Err(BuildError::Large { size });
    }
    check_room(2 * size + size / 1000, &request.out)?;
    let epoch = request.epoch.unwrap_or(plan.worktree.seconds);
    let files = Installer::of(&request.out, &request.tag);
    Draft::begin(&files.archive)?.filled(|out| {
        archive(&gathered, epoch, out)?;
        outdate(&files)
    })?;
    base::fault::point("bundle:tgz:archive");
    let mut hash = None;
    Draft::begin(&files.package)?.filled(|out| {
        hash = Some(package(&gathered, epoch, &files.archive, out)?);
        Ok::<_, BuildError>(())
    })?;
    let name = files.package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hash = hash.ok_or(BuildError::Cache)?;
    write_atomic(&files.sum, format!("{hash}  {name}\n").as_bytes(), 0o644)?;
    Ok(files)
}

/// Before the archive gets its name: an older sum never vouches for what is written now, and no older package lies beside a newer archive.
fn outdate(files: &Installer) -> Result<(), BuildError> {
    for old in [&files.sum, &files.package] {
        match std::fs::remove_file(old) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::Write { path: old.clone(), source }.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Docker's archive: its list, the configurations, each layer once.
fn archive(gathered: &Gathered, epoch: u64, out: &mut dyn Write) -> Result<(), BuildError> {
    let image = |image: &super::SourceImage| {
        let id = Digest::of(&image.config);
        Image {
            name: image.name.clone(),
            reference: image.reference.clone(),
            id,
            manifest: id,
            layers: image.layers.clone(),
        }
    };
    let images: Vec<Image> = gathered.images.iter().map(image).collect();
    let list = oci::docker(&images).unwrap_or_default();
    put(out, "manifest.json", (list.len() as u64, Mode::Plain), epoch, |out| bytes(&list, out))?;
    let configs: BTreeMap<Digest, &[u8]> =
        gathered.images.iter().map(|image| (Digest::of(&image.config), image.config.as_slice())).collect();
    let blob = |digest: &Digest| format!("blobs/sha256/{digest}");
    for (digest, config) in configs {
        put(out, &blob(&digest), (config.len() as u64, Mode::Plain), epoch, |out| bytes(config, out))?;
    }
    for (digest, layer) in &gathered.layers {
        put(out, &blob(digest), (layer.size, Mode::Plain), epoch, |out| unpacked(layer, out))?;
    }
    bytes(&[0; ustar::END], out)
}

/// The archive of images, compose's files beside it as they were ever started from, the manual and the release notes. Gives the SHA-256
/// of what was written.
fn package(gathered: &Gathered, epoch: u64, images: &Path, out: &mut dyn Write) -> Result<Digest, BuildError> {
    let mut hashed = Hashed { inner: out, hash: Sha256::default() };
    // No name and no time: the same content has the same header.
    let mut packed = GzBuilder::new().mtime(0).write(&mut hashed, Compression::default());
    let name = images.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut files: BTreeMap<&str, Option<(Mode, &Source)>> = BTreeMap::from([(name.as_str(), None)]);
    for (path, (mode, source)) in &gathered.files {
        if let Some(place) = place(path.as_str()) {
            files.insert(place, Some((*mode, source)));
        }
    }
    for (path, file) in files {
        if let Some((mode, source)) = file {
            put(&mut packed, path, (source.size(), mode), epoch, |out| match source {
                Source::Bytes(content) => bytes(content, out),
                Source::Packed(content) => unpacked(content, out),
            })?;
            continue;
        }
        let read = |source| FileError::Read { path: images.into(), source };
        let file = File::open(images).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        put(&mut packed, path, (size, Mode::Plain), epoch, |out| {
            copied(&mut BufReader::with_capacity(1 << 20, file).take(size), size, out)
        })?;
    }
    bytes(&[0; ustar::END], &mut packed)?;
    packed.finish().map_err(written)?;
    Ok(Digest(hashed.hash.finish()))
}

/// One file with its header and its padding.
fn put(
    out: &mut dyn Write,
    path: &str,
    (size, mode): (u64, Mode),
    epoch: u64,
    content: impl FnOnce(&mut dyn Write) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    let why = "does not fit an archive's header";
    let header = ustar::header(path, size, mode, epoch).ok_or(BundleError::Entry { path: path.into(), why })?;
    bytes(&header, out)?;
    content(out)?;
    bytes(&[0; ustar::BLOCK][..ustar::padding(size)], out)
}

fn bytes(content: &[u8], out: &mut dyn Write) -> Result<(), BuildError> {
    out.write_all(content).map_err(written)
}

fn unpacked(content: &Packed, out: &mut dyn Write) -> Result<(), BuildError> {
    Ok(content.unpack_to(out)?)
}

fn copied(content: &mut dyn Read, size: u64, out: &mut dyn Write) -> Result<(), BuildError> {
    match io::copy(content, out).map_err(written)? {
        found if found == size => Ok(()),
        _ => Err(written(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn written(source: io::Error) -> BuildError {
    BundleError::Write { path: "the archive".into(), source }.into()
}

/// What is written, hashed on the way.
struct Hashed<'o> {
    inner: &'o mut dyn Write,
    hash: Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let size = self.inner.write(buffer)?;
        self.hash.update(buffer.get(..size).unwrap_or_default());
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
