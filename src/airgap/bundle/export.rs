//! Images out of a verified bundle into files that others read: a Docker archive, or an OCI layout in a folder. Both get their name when
//! all of the bundle held and every byte is on the disk; until then they are called `….part`. The same bundle gives the same bytes.

use std::fs::{self, File};
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::file::{FileError, Lock, free_bytes};

use super::docker_archive::{LIST, Outgoing, Piece};
use super::draft::Draft;
use super::load::{Tell, Told, piece};
use super::load_error::LoadError;
use super::source::{Source, blobs};
use super::{BundleError, Digest, head};

/// What an archive or a layout takes beside its blobs, in bytes.
const OVERHEAD: u64 = 1 << 20;

/// Writes the images as one archive that `docker load` takes, replacing `out`. Its list comes last.
pub fn docker_archive(source: &dyn Source, out: &Path, tell: &Tell<'_>) -> Result<(), LoadError> {
    let manifest = source.manifest();
    let [_, _, list] = head::derived(manifest)?;
    let size = list.len() as u64;
    let mut files: Vec<(String, Piece<'_>)> = blobs(manifest)
        .filter(|(digest, _)| manifest.images.iter().all(|image| image.manifest != *digest))
        .map(|(digest, size)| (format!("blobs/sha256/{digest}"), piece(source, digest, size, true)))
        .collect();
    let last = move || -> io::Result<Box<dyn Read + Send>> {
        base::fault::point("bundle:load:sent");
        source.hold()?;
        Ok(Box::new(Cursor::new(list)))
    };
    files.push((LIST.to_owned(), Piece::Stream(size, Box::new(last))));
    // What a run that was killed left there takes no room any more.
    let draft = Draft::begin(out)?;
    let needed = check_room(source, folder_of(out))?;
    let mut archive = Outgoing::new(files, manifest.epoch, Box::new(|more| tell(Told::Sent(more))));
    draft.copy(&mut archive).map_err(|error| told_full(error.into(), folder_of(out), needed))
}

/// Writes the images as an OCI layout. `out` must not be there, or be an empty folder.
pub fn oci_dir(source: &dyn Source, out: &Path, tell: &Tell<'_>) -> Result<(), LoadError> {
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut names| names.next().is_none());
    if fs::symlink_metadata(out).is_ok_and(|facts| !facts.is_dir()) || (out.is_dir() && !is_empty(out)) {
        return Err(LoadError::Occupied { path: out.into() });
    }
    let part = Part::begin(out)?;
    let needed = check_room(source, folder_of(out))?;
    match fill(source, &part.path, tell) {
        Ok(()) => part.named(out),
        Err(error) => {
            // What it took is free again before the figures are told.
            drop(part);
            Err(told_full(error, folder_of(out), needed))
        }
    }
}

fn fill(source: &dyn Source, folder: &Path, tell: &Tell<'_>) -> Result<(), LoadError> {
    let blob_folder = folder.join("blobs").join("sha256");
    fs::create_dir_all(&blob_folder).map_err(|source| LoadError::Write { path: blob_folder.clone(), source })?;
    for (digest, _) in blobs(source.manifest()) {
        let path = blob_folder.join(digest.to_string());
        let mut content = source.blob(&digest, true).map_err(|error| BundleError::within(error, &path))?;
        put(&path, content.as_mut(), tell)?;
        base::fault::point("bundle:load:sent");
    }
    source.hold()?;
    let [layout, index, _] = head::derived(source.manifest())?;
    put(&folder.join("oci-layout"), &mut layout.as_slice(), tell)?;
    put(&folder.join("index.json"), &mut index.as_slice(), tell)
}

/// Writes one file to the disk.
fn put(path: &Path, content: &mut dyn Read, tell: &Tell<'_>) -> Result<(), LoadError> {
    let failed = |source| LoadError::Write { path: path.into(), source };
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(path).map_err(failed)?;
    let mut piece = vec![0; 256 << 10];
    loop {
        let size = match content.read(&mut piece) {
            Ok(0) => return file.sync_all().map_err(failed),
            Ok(size) => size,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(BundleError::within(error, path).into()),
        };
        file.write_all(piece.get(..size).unwrap_or_default()).map_err(failed)?;
        tell(Told::Sent(size as u64));
    }
}

/// A folder that is being written, by one run at a time. Dropped before its end, nothing of it is left.
struct Part {
    path: PathBuf,
    /// The lock's file, which lies beside it and goes with it.
    locked: PathBuf,
    _lock: Lock,
    is_named: bool,
}

impl Part {
    /// Begins the folder that is to be `out`. What a run that was killed left there goes.
    fn begin(out: &Path) -> Result<Self, LoadError> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let path = folder_of(out).join(format!(".{name}.gitgrit-part"));
        let failed = |source| LoadError::Write { path: path.clone(), source };
        let locked = folder_of(out).join(format!(".{name}.gitgrit-part.lock"));
        let open = File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(&locked);
        let file = open.map_err(|source| LoadError::Write { path: locked.clone(), source })?;
        let lock = Lock::of(file, &locked)?.ok_or_else(|| FileError::Locked { path: locked.clone() })?;
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let part = Self { path: path.clone(), locked, _lock: lock, is_named: false };
        fs::create_dir(&path).map_err(failed)?;
        Ok(part)
    }

    fn named(mut self, out: &Path) -> Result<(), LoadError> {
        // Names are on the disk as soon as what they name is.
        for inner in ["blobs/sha256", "blobs", ""] {
            let folder = self.path.join(inner);
            let synced = File::open(&folder).and_then(|folder| folder.sync_all());
            synced.map_err(|source| LoadError::Write { path: folder, source })?;
        }
        fs::rename(&self.path, out).map_err(|source| LoadError::Write { path: out.into(), source })?;
        self.is_named = true;
        let folder = folder_of(out);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| LoadError::Write { path: folder.into(), source })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_named {
            // The disk may be gone; then the next run removes what is left.
            let _ = fs::remove_dir_all(&self.path);
        }
        // Still held: whoever waits for it finds that it is another file than the one at its place.
        let _ = fs::remove_file(&self.locked);
    }
}

/// The bytes of all images, each blob once.
pub fn size(source: &dyn Source) -> u64 {
    blobs(source.manifest()).map(|(_, size)| size).sum()
}

/// Says whether the folder has room for all images, and gives how much they take.
fn check_room(source: &dyn Source, folder: &Path) -> Result<u64, LoadError> {
    let needed = size(source) + OVERHEAD;
    match free_bytes(folder) {
        Some(free) if free < needed => Err(LoadError::Room { folder: folder.into(), free, needed }),
        _ => Ok(needed),
    }
}

/// A disk that was full before its time: somebody else wrote to it, too.
fn told_full(error: LoadError, folder: &Path, needed: u64) -> LoadError {
    let is_full = match &error {
        LoadError::Write { source, .. } => {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        }
        LoadError::Bundle(error) => error.is_space(),
        _ => false,
    };
    let free = free_bytes(folder).unwrap_or_default();
    if is_full { LoadError::Room { folder: folder.into(), free, needed } } else { error }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The OCI manifest of an image, whole.
pub(crate) fn document(source: &dyn Source, digest: &Digest) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let read = source.blob(digest, true).and_then(|mut content| content.read_to_end(&mut bytes));
    read.map_err(|error| BundleError::within(error, Path::new("the bundle")))?;
    Ok(bytes)
}
