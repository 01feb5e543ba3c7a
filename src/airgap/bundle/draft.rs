//! The file that becomes a bundle. It is called `….part` until all of it is on the disk, so that under its own name there is
//! a whole bundle or none; one run at a time writes it.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base::file::{FileError, Lock, free_bytes};
use base::plain::plain;

use super::{Blake3, Bundle, BundleError, Frame, Manifest, Signature, form, head, seek};

/// A frame of the body, before it is written.
pub(crate) enum Body<'a> {
    /// In memory.
    Made(Vec<u8>),
    /// In a file, from this byte on.
    Kept {
        /// The file.
        file: &'a Path,
        /// Where the frame begins in it, in bytes.
        from: u64,
    },
    /// In a bundle, under this number.
    Lying(&'a Bundle, usize),
}

impl Body<'_> {
    /// The frame itself. Fails when what was kept has changed since.
    pub(crate) fn bytes(&self, frame: &Frame) -> Result<Cow<'_, [u8]>, BundleError> {
        match self {
            Self::Made(bytes) => Ok(bytes.into()),
            Self::Lying(bundle, index) => Ok(bundle.frame(*index, frame)?.into()),
            Self::Kept { file, from } => {
                let failed = |source| BundleError::Read { path: (*file).into(), source };
                let mut bytes = vec![0; usize::try_from(frame.packed).unwrap_or_default()];
                File::open(file).and_then(|open| open.read_exact_at(&mut bytes, *from)).map_err(failed)?;
                let found = Blake3::of(&bytes);
                if found != frame.blake3 {
                    return Err(BundleError::Packed { path: (*file).into(), expected: frame.blake3, found });
                }
                Ok(bytes.into())
            }
        }
    }
}

/// A file that is being written. Dropped before its end, nothing of it is left.
pub(crate) struct Draft {
    out: PathBuf,
    part: PathBuf,
    file: File,
    is_finished: bool,
}

impl Draft {
    /// Begins the file that is to be `out`. Fails when another run is writing it.
    pub(crate) fn begin(out: &Path) -> Result<Self, BundleError> {
        let mut part = out.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let failed = |source| BundleError::Write { path: part.clone(), source };
        let refused = |kind, why| failed(std::io::Error::new(kind, why));
        // A link in its place, of either kind, would have somebody else's file replaced.
        let file = plain(&part, File::options().create(true).truncate(false).read(true).write(true)).map_err(failed)?;
        let file = file.filter(|file| file.metadata().is_ok_and(|facts| facts.nlink() == 1));
        let file =
            file.ok_or_else(|| refused(ErrorKind::AlreadyExists, "it is there, and is no plain file of its own"))?;
        let lock = Lock::of(file, &part).map_err(|error| match error {
            FileError::Write { source, .. } | FileError::Read { source, .. } => failed(source),
            other => failed(std::io::Error::other(other)),
        })?;
        // Held by another run, or given its name by one that has just finished.
        let lock = lock.ok_or_else(|| refused(ErrorKind::WouldBlock, "another run is writing it"))?;
        let file = lock.into_file();
        file.set_len(0).map_err(failed)?;
        file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
        Ok(Self { out: out.into(), part, file, is_finished: false })
    }

    /// Writes head, body and seek table, and gives the file its name.
    pub(crate) fn finish(
        mut self,
        manifest: &Manifest,
        bytes: &[u8],
        signatures: &[Signature],
        body: &[Body<'_>],
    ) -> Result<(), BundleError> {
        let archive = head::archive(manifest, bytes, signatures)?;
        let head = form::stored(&archive);
        self.put(&head)?;
        for (body, frame) in body.iter().zip(&manifest.frames) {
            let bytes = body.bytes(frame)?;
            self.put(&bytes)?;
        }
        let table = table(manifest, head.len() as u64, archive.len() as u64);
        self.put(&table.ok_or(BundleError::Frames("there are too many"))?)?;
        base::fault::point("bundle:written");
        self.seal()
    }

    /// Writes what `content` gives, and gives the file its name.
    pub(crate) fn filled<E: From<BundleError>>(
        self,
        content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut out = BufWriter::with_capacity(1 << 20, &self.file);
        content(&mut out)?;
        out.flush().map_err(|source| self.failed(source))?;
        drop(out);
        Ok(self.seal()?)
    }

    /// Writes what `from` gives to its end, and gives the file its name. Tells failures to read from those to write.
    pub(crate) fn copy(mut self, from: &mut dyn Read) -> Result<(), BundleError> {
        let mut piece = vec![0; 256 << 10];
        loop {
            let size = match from.read(&mut piece) {
                Ok(0) => return self.seal(),
                Ok(size) => size,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(BundleError::within(source, &self.part)),
            };
            self.put(piece.get(..size).unwrap_or_default())?;
        }
    }

    /// Puts what was written on the disk, and gives the file its name.
    pub(crate) fn seal(mut self) -> Result<(), BundleError> {
        self.file.sync_all().map_err(|source| self.failed(source))?;
        fs::rename(&self.part, &self.out).map_err(|source| self.failed(source))?;
        self.is_finished = true;
        File::open(folder_of(&self.out)).and_then(|folder| folder.sync_all()).map_err(|source| self.failed(source))
    }

    /// Writes behind what was written last.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Writes at the byte `at`, wherever that is.
    pub(crate) fn put_at(&self, bytes: &[u8], at: u64) -> Result<(), BundleError> {
        self.file.write_all_at(bytes, at).map_err(|source| self.failed(source))
    }

    /// What is being written, to be read.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    fn failed(&self, source: std::io::Error) -> BundleError {
        BundleError::Write { path: self.part.clone(), source }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // The disk may be full or gone; then the next run replaces what is left.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// There must be room for `needed` bytes in the folder of `out`.
pub(crate) fn check_room(folder: &Path, needed: u64) -> Result<(), BundleError> {
    match free_bytes(folder) {
        Some(free) if free < needed => {
            let text = format!("it takes {needed} bytes, and {free} are free there");
            let source = std::io::Error::new(ErrorKind::StorageFull, text);
            Err(BundleError::Write { path: folder.into(), source })
        }
        _ => Ok(()),
    }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(out: &Path) -> &Path {
    out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the bundle once more, to `out`, with these signatures in place of those that it has. Its body stays as it is, and
/// is checked while it is copied.
pub fn reseal(bundle: &Bundle, signatures: &[Signature], out: &Path) -> Result<(), BundleError> {
    let manifest = bundle.manifest();
    let body: Vec<_> = (0..manifest.frames.len()).map(|index| Body::Lying(bundle, index)).collect();
    Draft::begin(out)?.finish(manifest, &manifest.bytes(), signatures, &body)
}

/// The seek table of a bundle whose head is `packed` bytes long and holds `size`.
pub(crate) fn table(manifest: &Manifest, packed: u64, size: u64) -> Option<Vec<u8>> {
    let body = manifest.frames.iter().map(|frame| (frame.packed, frame.size));
    seek::table(std::iter::once((packed, size)).chain(body))
}
