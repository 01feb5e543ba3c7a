//! A bundle that is read once from its beginning to its end, out of a pipe or off a medium that cannot go back. The head is judged
//! first; then each frame is compared with the signed manifest before a byte of it goes on. What was read is believed as a
//! whole only when [`Source::hold`] says so. Holds one frame at a time, and the images' small documents.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vault::digest::Sha256;

use super::frame::Unpacker;
use super::layout::{Held, Piece};
use super::open::Judged;
use super::source::{self, Source};
use super::verify::{Check, shared};
use super::{BundleError, Digest, EntryPath, Hashes, Manifest, Signature, ustar};

/// The most that all configurations and OCI manifests of a bundle may be together, in bytes: they are kept while the rest passes.
const DOCUMENTS: u64 = 16 << 20;
/// How far is read ahead, in bytes.
const AHEAD: usize = 256 << 10;

/// A bundle on its way past. Its blobs are taken in their order in the bundle; one that was passed over does not come again.
pub struct Passing<'m> {
    head: Judged,
    path: PathBuf,
    hashes: Hashes,
    /// The configurations and OCI manifests of the images.
    documents: BTreeMap<Digest, Vec<u8>>,
    way: Mutex<Way<'m>>,
    tell: &'m (dyn Fn(u64) + Sync),
}

/// Where the reading is.
struct Way<'m> {
    medium: BufReader<Box<dyn Read + Send + 'm>>,
    /// The frame that comes next.
    next: usize,
    /// How much of the file was read, in bytes.
    at: u64,
    unpacker: Unpacker,
    packed: Vec<u8>,
    /// What the last frame held, when it was unpacked.
    content: Vec<u8>,
    /// The hash of a large file that is no blob, while its parts pass.
    file: Sha256,
    /// The end was there, and nothing behind it.
    is_whole: bool,
    /// Something did not hold: nothing more is given out.
    is_broken: bool,
}

impl<'m> Passing<'m> {
    /// Reads the head from `medium`, called `path` in messages, has it judged, and reads on to the images' layers. `tell` hears how
    /// many bytes of frames were read.
    pub fn open<T>(
        medium: Box<dyn Read + Send + 'm>,
        path: &Path,
        hashes: Hashes,
        judge: impl FnOnce(&[u8], &[Signature]) -> Result<T, BundleError>,
        tell: &'m (dyn Fn(u64) + Sync),
    ) -> Result<(Self, T), BundleError> {
        let mut medium = BufReader::with_capacity(AHEAD, medium);
        let (head, judged) = Judged::read(&mut medium, path, judge)?;
        let failed = |source| BundleError::Read { path: path.into(), source };
        let way = Way {
            medium,
            next: 0,
            at: head.packed,
            unpacker: Unpacker::new().map_err(failed)?,
            packed: Vec::new(),
            content: Vec::new(),
            file: Sha256::default(),
            is_whole: false,
            is_broken: false,
        };
        let mut passing =
            Self { head, path: path.into(), hashes, documents: BTreeMap::new(), way: Mutex::new(way), tell };
        passing.gather()?;
        source::configurations(&passing.head.manifest, |id| {
            Ok(passing.documents.get(id).cloned().unwrap_or_default())
        })?;
        Ok((passing, judged))
    }

    fn way(&self) -> MutexGuard<'_, Way<'m>> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads as far as the images' documents go, and keeps them.
    fn gather(&mut self) -> Result<(), BundleError> {
        let manifest = &self.head.manifest;
        let wanted: BTreeSet<EntryPath> = manifest
            .images
            .iter()
            .flat_map(|image| [image.id, image.manifest])
            .map(|id| EntryPath::of_blob(&id))
            .collect();
        let entries = manifest.entries.iter().enumerate();
        let wanted: Vec<usize> =
            entries.filter(|(_, entry)| wanted.contains(&entry.path)).map(|(index, _)| index).collect();
        let size: u64 = wanted.iter().filter_map(|index| manifest.entries.get(*index)).map(|entry| entry.size).sum();
        if size > DOCUMENTS {
            return Err(BundleError::TooLarge { what: "what describes the images", size, limit: DOCUMENTS });
        }
        let mut documents = BTreeMap::new();
        for index in wanted {
            let Some(entry) = manifest.entries.get(index) else { continue };
            let mut bytes = Vec::new();
            let mut blob = Blob::new(self, index, entry.size, true);
            blob.read_to_end(&mut bytes).map_err(|error| BundleError::within(error, &self.path))?;
            documents.insert(entry.sha256, bytes);
        }
        self.documents = documents;
        Ok(())
    }

    /// Reads the next frame and compares it. It is unpacked when it has to be looked into, or `is_wanted`.
    fn step(&self, way: &mut Way<'m>, is_wanted: bool) -> Result<(), BundleError> {
        way.is_broken = true;
        let manifest = &self.head.manifest;
        let index = way.next;
        let (Some(frame), Some(planned)) = (manifest.frames.get(index), self.head.plan.get(index)) else {
            return Err(BundleError::Frames("there are too few"));
        };
        way.packed.resize(usize::try_from(frame.packed).unwrap_or_default(), 0);
        let mut packed = std::mem::take(&mut way.packed);
        self.fill(way, &mut packed)?;
        let mut check = Check::new(index, frame, self.hashes);
        check.take(&packed);
        check.finish()?;
        way.content.clear();
        let is_file = |entry: usize| manifest.entries.get(entry).is_some_and(|entry| !is_blob(entry.path.as_str()));
        let unpack = |way: &mut Way<'m>| {
            let failed = |why| BundleError::FrameContent { frame: index, why };
            way.unpacker.unpack(&packed, frame.size, &mut way.content).map_err(failed)
        };
        match &planned.held {
            Held::Shared(pieces) => {
                unpack(way)?;
                shared(manifest, pieces, &way.content)?;
            }
            Held::Part { entry, from } if is_file(*entry) => {
                unpack(way)?;
                self.hash(way, *entry, *from)?;
            }
            Held::Part { .. } if is_wanted => unpack(way)?,
            Held::Part { .. } => {}
        }
        way.packed = packed;
        way.next += 1;
        way.is_broken = false;
        (self.tell)(frame.packed);
        Ok(())
    }

    /// Hashes a part of a large file, and compares at its last one.
    fn hash(&self, way: &mut Way<'m>, index: usize, from: u64) -> Result<(), BundleError> {
        let Some(entry) = self.head.manifest.entries.get(index) else { return Ok(()) };
        if from == 0 {
            way.file = Sha256::default();
        }
        way.file.update(&way.content);
        if from + (way.content.len() as u64) < entry.size {
            return Ok(());
        }
        let (expected, found) = (entry.sha256, Digest(std::mem::take(&mut way.file).finish()));
        let path = entry.path.to_string();
        if found == expected { Ok(()) } else { Err(BundleError::Content { path, expected, found }) }
    }

    fn fill(&self, way: &mut Way<'m>, buffer: &mut [u8]) -> Result<(), BundleError> {
        let mut got = 0;
        while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match way.medium.read(rest) {
                Ok(0) => return Err(BundleError::CutShort { expected: self.size(), found: way.at }),
                Ok(more) => {
                    got += more;
                    way.at += more as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(BundleError::Read { path: self.path.clone(), source }),
            }
        }
        Ok(())
    }

    /// How long the file has to be, in bytes.
    fn size(&self) -> u64 {
        self.head.packed + self.head.manifest.packed_size() + self.head.table.len() as u64
    }

    /// The frames that are left, the seek table, and nothing behind it.
    fn rest(&self, way: &mut Way<'m>) -> Result<(), BundleError> {
        while way.next < self.head.manifest.frames.len() {
            self.step(way, false)?;
        }
        way.is_broken = true;
        let mut there = vec![0; self.head.table.len()];
        self.fill(way, &mut there)?;
        if there != self.head.table {
            return Err(BundleError::SeekTable);
        }
        let mut more = [0];
        loop {
            match way.medium.read(&mut more) {
                Ok(0) => break,
                Ok(_) => return Err(BundleError::Surplus { expected: self.size(), found: way.at + 1 }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(BundleError::Read { path: self.path.clone(), source }),
            }
        }
        (way.is_broken, way.is_whole) = (false, true);
        Ok(())
    }

    /// The part of the next frames' content that belongs to the entry `index` from its byte `from` on; the way is then behind it.
    fn part(&self, way: &mut Way<'m>, index: usize, from: u64) -> Result<std::ops::Range<usize>, BundleError> {
        let misplaced = BundleError::Frames("a file is not where it should be");
        let first = self.head.first.get(index).copied().flatten().ok_or(BundleError::Frames("there are too few"))?;
        let step = self.head.manifest.profile.frame_size() as u64;
        let frame = first + usize::try_from(from / step).unwrap_or(usize::MAX);
        let is_there =
            way.next == frame + 1 && matches!(self.head.plan.get(frame).map(|plan| &plan.held), Some(Held::Shared(_)));
        if !is_there {
            if way.next > frame {
                return Err(misplaced);
            }
            while way.next < frame {
                self.step(way, false)?;
            }
            self.step(way, true)?;
        }
        match self.head.plan.get(frame).map(|plan| &plan.held) {
            Some(Held::Part { entry, .. }) if *entry == index => Ok(0..way.content.len()),
            Some(Held::Shared(pieces)) => self.place(pieces, index, way.content.len()).ok_or(misplaced),
            _ => Err(misplaced),
        }
    }

    /// Where in an unpacked frame of these pieces a whole file is.
    fn place(&self, pieces: &[Piece], index: usize, length: usize) -> Option<std::ops::Range<usize>> {
        let entries = &self.head.manifest.entries;
        let size = |piece: &Piece| match *piece {
            Piece::Header(_) => Some(ustar::BLOCK),
            Piece::Whole(entry) => usize::try_from(entries.get(entry)?.size).ok(),
            Piece::Padding(entry) => Some(ustar::padding(entries.get(entry)?.size)),
            Piece::End => Some(ustar::END),
        };
        let from: usize = pieces.iter().take_while(|piece| **piece != Piece::Whole(index)).filter_map(size).sum();
        let to = from + usize::try_from(entries.get(index)?.size).ok()?;
        (to <= length).then_some(from..to)
    }
}

impl Source for Passing<'_> {
    fn manifest(&self) -> &Manifest {
        &self.head.manifest
    }

    fn blob(&self, digest: &Digest, is_hashed: bool) -> io::Result<Box<dyn Read + Send + '_>> {
        if let Some(document) = self.documents.get(digest) {
            return Ok(Box::new(document.as_slice()));
        }
        let path = EntryPath::of_blob(digest);
        let found = self.head.manifest.entries.iter().enumerate().find(|(_, entry)| entry.path == path);
        let (index, entry) = found.ok_or_else(|| BundleError::Absent { path: path.to_string() })?;
        Ok(Box::new(Blob::new(self, index, entry.size, is_hashed)))
    }

    fn hold(&self) -> Result<(), BundleError> {
        let mut way = self.way();
        if way.is_whole {
            return Ok(());
        }
        if way.is_broken {
            return Err(BundleError::Frames("one before did not hold"));
        }
        self.rest(&mut way)
    }
}

/// A file on its way past.
struct Blob<'p, 'm> {
    passing: &'p Passing<'m>,
    index: usize,
    size: u64,
    /// How much of it was given out, in bytes.
    done: u64,
    /// What of the unpacked frame is still to be given out.
    ready: std::ops::Range<usize>,
    hash: Option<Sha256>,
}

impl<'p, 'm> Blob<'p, 'm> {
    fn new(passing: &'p Passing<'m>, index: usize, size: u64, is_hashed: bool) -> Self {
        Self { passing, index, size, done: 0, ready: 0..0, hash: is_hashed.then(Sha256::default) }
    }
}

impl Read for Blob<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || (self.done == self.size && self.ready.is_empty()) {
            return Ok(0);
        }
        let mut way = self.passing.way();
        if way.is_broken {
            return Err(BundleError::Frames("one before did not hold").into());
        }
        if self.ready.is_empty() {
            self.ready = self.passing.part(&mut way, self.index, self.done)?;
            self.done += self.ready.len() as u64;
            let ready = way.content.get(self.ready.clone()).unwrap_or_default();
            if let Some(hash) = &mut self.hash {
                hash.update(ready);
            }
            if let Some(hash) = self.hash.take_if(|_| self.done == self.size) {
                let entry = self.passing.head.manifest.entries.get(self.index);
                let (expected, found) = (entry.map(|entry| entry.sha256), Digest(hash.finish()));
                if let Some((entry, expected)) = entry.zip(expected).filter(|(_, expected)| *expected != found) {
                    way.is_broken = true;
                    return Err(BundleError::Content { path: entry.path.to_string(), expected, found }.into());
                }
            }
        }
        let mut ready = way.content.get(self.ready.clone()).unwrap_or_default();
        let size = ready.read(buffer)?;
        self.ready.start += size;
        Ok(size)
    }
}

fn is_blob(path: &str) -> bool {
    path.starts_with("blobs/")
}
