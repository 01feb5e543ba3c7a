//! Opens a bundle: reads its head, has the signatures judged, and only then reads the manifest; makes head and seek table
//! again from it and compares. Unpacks nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::draft;
use super::layout::{self, Held, Piece, Planned};
use super::{Blake3, BundleError, Digest, Entry, Frame, Manifest, Signature, form, head, join};

/// What a bundle is read from, at any place and by many threads at once.
pub trait Medium: Send + Sync {
    /// Reads from the byte `from` on; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], from: u64) -> io::Result<usize>;
    /// How long it is, in bytes.
    fn size(&self) -> io::Result<u64>;
}

impl Medium for File {
    fn read_at(&self, buffer: &mut [u8], from: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, from)
    }

    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|facts| facts.len())
    }
}

impl Medium for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], from: u64) -> io::Result<usize> {
        let mut rest = usize::try_from(from).ok().and_then(|from| self.get(from..)).unwrap_or_default();
        rest.read(buffer)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// A bundle whose head was judged. Its body is not verified yet: see [`Bundle::verify`].
pub struct Bundle {
    medium: Box<dyn Medium>,
    path: PathBuf,
    manifest: Manifest,
    signatures: Vec<Signature>,
    size: u64,
    pub(crate) plan: Vec<Planned>,
    /// Where each frame begins in the file, in bytes.
    offsets: Vec<u64>,
    /// The first frame with content of each entry.
    first: Vec<Option<usize>>,
    is_split: bool,
    warnings: Vec<String>,
    /// The index of each entry, by its path.
    paths: HashMap<String, usize>,
}

/// A head that was judged, and what follows from it.
pub(crate) struct Judged {
    pub(crate) manifest: Manifest,
    pub(crate) signatures: Vec<Signature>,
    /// How long the head is in the file, in bytes.
    pub(crate) packed: u64,
    /// The seek table that has to stand at the end.
    pub(crate) table: Vec<u8>,
    /// What each frame holds.
    pub(crate) plan: Vec<Planned>,
    /// The first frame with content of each entry.
    pub(crate) first: Vec<Option<usize>>,
}

impl Judged {
    /// Reads a head from the beginning of `start`, and no byte behind it; called `path` in messages.
    pub(crate) fn read<T>(
        start: &mut dyn Read,
        path: &Path,
        judge: impl FnOnce(&[u8], &[Signature]) -> Result<T, BundleError>,
    ) -> Result<(Self, T), BundleError> {
        let (archive, packed) = form::read_stored(start, head::LIMIT).map_err(|error| named(error, path))?;
        let head::Head { manifest: bytes, signatures } = head::take(&archive)?;
        let judged = judge(&bytes, &signatures)?;
        let manifest = Manifest::parse(&bytes)?;
        if head::archive(&manifest, &bytes, &signatures)? != archive {
            return Err(BundleError::Head("it is not what follows from its manifest"));
        }
        let table = draft::table(&manifest, packed, archive.len() as u64);
        let table = table.ok_or(BundleError::Frames("there are too many"))?;
        let plan = layout::plan(&manifest.entries, head::DERIVED.len(), manifest.profile, manifest.frames.len());
        let plan = plan.ok_or(BundleError::Frames("there are too few"))?;
        let first = first_frames(&plan, manifest.entries.len());
        Ok((Self { manifest, signatures, packed, table, plan, first }, judged))
    }
}

impl Bundle {
    /// Opens the file at `path`. `judge` gets the manifest's bytes and the signatures before anything of them is believed.
    pub fn open<T>(
        path: &Path,
        judge: impl FnOnce(&[u8], &[Signature]) -> Result<T, BundleError>,
    ) -> Result<(Self, T), BundleError> {
        let failed = |source| BundleError::Read { path: path.into(), source };
        // Opening a pipe waits for its writer, unless asked not to; a regular file is read as ever.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
        if let Some(parts) = join::in_place(path, &file) {
            let (parts, warnings) = parts?;
            return Self::on(Box::new(parts), path, judge)
                .map(|(bundle, judged)| (Self { is_split: true, warnings, ..bundle }, judged));
        }
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
        }
        Self::on(Box::new(file), path, judge)
    }

    /// Opens what is on a medium, called `path` in messages.
    pub fn on<T>(
        medium: Box<dyn Medium>,
        path: &Path,
        judge: impl FnOnce(&[u8], &[Signature]) -> Result<T, BundleError>,
    ) -> Result<(Self, T), BundleError> {
        let mut start = BufReader::with_capacity(256 << 10, From { medium: medium.as_ref(), at: 0 });
        let (Judged { manifest, signatures, packed, table, plan, first }, judged) =
            Judged::read(&mut start, path, judge)?;
        let mut offsets = Vec::with_capacity(manifest.frames.len());
        let mut end = packed;
        for frame in &manifest.frames {
            offsets.push(end);
            end = end.saturating_add(frame.packed);
        }
        let size = end.saturating_add(table.len() as u64);
        let paths = manifest.entries.iter().enumerate().map(|(index, entry)| (entry.path.to_string(), index));
        let (path, paths, warnings) = (path.into(), paths.collect(), Vec::new());
        let is_split = false;
        let bundle = Self { medium, path, manifest, signatures, size, plan, offsets, first, is_split, warnings, paths };
        bundle.is_whole(end, &table)?;
        Ok((bundle, judged))
    }

    /// What it holds.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its signatures, in their order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether it lies there in parts.
    pub const fn is_split(&self) -> bool {
        self.is_split
    }

    /// What to tell whoever reads it in parts: what of its redundancy is used up.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The size of the file, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How large the frames of the file at `path` are, in bytes; `None` when it is small and shares a frame, or is not there.
    pub fn packed_size(&self, path: &str) -> Option<u64> {
        let (index, _) = self.find(path).ok()?;
        let is_own = |planned: &Planned| matches!(planned.held, Held::Part { entry, .. } if entry == index);
        let frames = self.plan.iter().zip(&self.manifest.frames).skip(self.first_frame(index)?);
        let sum = frames.take_while(|(planned, _)| is_own(planned)).map(|(_, frame)| frame.packed).sum();
        (sum > 0).then_some(sum)
    }

    /// The size of the blob with the digest `digest`, in bytes.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        self.find(&format!("blobs/sha256/{digest}")).ok().map(|(_, entry)| entry.size)
    }

    /// The index of the file at `path`, and itself.
    pub(crate) fn find(&self, path: &str) -> Result<(usize, &Entry), BundleError> {
        let found = self.paths.get(path).and_then(|index| Some((*index, self.manifest.entries.get(*index)?)));
        found.ok_or_else(|| BundleError::Absent { path: super::path::shown(path) })
    }

    /// The first frame with content of the entry with this index; `None` when it is empty or in the head.
    pub(crate) fn first_frame(&self, entry: usize) -> Option<usize> {
        self.first.get(entry).copied().flatten()
    }

    /// A frame as it lies in the file. Fails when it is not the one that the manifest says.
    pub(crate) fn frame(&self, index: usize, frame: &Frame) -> Result<Vec<u8>, BundleError> {
        let mut bytes = vec![0; usize::try_from(frame.packed).unwrap_or_default()];
        self.read(index, 0, &mut bytes)?;
        let (expected, found) = (frame.blake3, Blake3::of(&bytes));
        let path = self.path.clone();
        if found == expected { Ok(bytes) } else { Err(BundleError::Packed { path, expected, found }) }
    }

    /// The size of the head's frame, in bytes.
    pub(crate) fn head_size(&self) -> u64 {
        self.offsets.first().copied().unwrap_or_default()
    }

    /// Fills `buffer` with bytes of the whole file, from the byte `from` of it on.
    pub(crate) fn whole(&self, from: u64, buffer: &mut [u8]) -> Result<(), BundleError> {
        self.fill(from, buffer)
    }

    /// Fills `buffer` with bytes of a frame, from the byte `from` of it on.
    pub(crate) fn read(&self, frame: usize, from: u64, buffer: &mut [u8]) -> Result<(), BundleError> {
        let offset = self.offsets.get(frame).copied().ok_or(BundleError::Frames("there are too few"))?;
        self.fill(offset.saturating_add(from), buffer)
    }

    /// The file is as long as the manifest says, and ends in the seek table.
    fn is_whole(&self, end: u64, table: &[u8]) -> Result<(), BundleError> {
        let found = self.medium.size().map_err(|source| self.failed(source))?;
        if found < self.size {
            return Err(BundleError::CutShort { expected: self.size, found });
        }
        if found > self.size {
            return Err(BundleError::Surplus { expected: self.size, found });
        }
        let mut there = vec![0; table.len()];
        self.fill(end, &mut there)?;
        if there == table { Ok(()) } else { Err(BundleError::SeekTable) }
    }

    fn fill(&self, from: u64, buffer: &mut [u8]) -> Result<(), BundleError> {
        let mut got = 0;
        while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
            let at = from.saturating_add(got as u64);
            match self.medium.read_at(rest, at) {
                Ok(0) => return Err(BundleError::CutShort { expected: self.size, found: at }),
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> BundleError {
        BundleError::Read { path: self.path.clone(), source }
    }
}

/// A medium from one place on.
pub(crate) struct From<'m> {
    pub(crate) medium: &'m dyn Medium,
    pub(crate) at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.medium.read_at(buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

pub(crate) fn named(error: BundleError, path: &Path) -> BundleError {
    match error {
        BundleError::Read { source, .. } => BundleError::Read { path: path.into(), source },
        other => other,
    }
}

fn first_frames(plan: &[Planned], entries: usize) -> Vec<Option<usize>> {
    let mut first = vec![None; entries];
    let mut set = |entry: usize, frame| {
        if let Some(place) = first.get_mut(entry) {
            *place = Some(frame);
        }
    };
    for (frame, planned) in plan.iter().enumerate() {
        match &planned.held {
            Held::Part { entry, from: 0 } => set(*entry, frame),
            Held::Part { .. } => {}
            Held::Shared(pieces) => {
                for piece in pieces {
                    if let Piece::Whole(entry) = piece {
                        set(*entry, frame);
                    }
                }
            }
        }
    }
    first
}
