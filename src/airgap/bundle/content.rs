//! Content out of a verified bundle, frame by frame: each is hashed again, looked at, and unpacked into no more than it says.
//! Holds one frame at a time.

use std::io::{self, Read};

use vault::digest::Sha256;

use super::form::Walk;
use super::frame::Unpacker;
use super::layout::{Held, Piece};
use super::verify::Check;
use super::{Bundle, BundleError, Digest, Entry, Hashes, ustar};

/// A frame while it is unpacked, with buffers that are used again.
pub(crate) struct Unpacking {
    unpacker: Unpacker,
    packed: Vec<u8>,
    /// What the last frame held.
    pub(crate) content: Vec<u8>,
}

impl Unpacking {
    pub(crate) fn new(bundle: &Bundle) -> Result<Self, BundleError> {
        let failed = |source| BundleError::Read { path: bundle.path().into(), source };
        Ok(Self { unpacker: Unpacker::new().map_err(failed)?, packed: Vec::new(), content: Vec::new() })
    }

    /// Reads, checks and unpacks a frame.
    pub(crate) fn frame(&mut self, bundle: &Bundle, index: usize, hashes: Hashes) -> Result<(), BundleError> {
        let frame = bundle.manifest().frames.get(index).ok_or(BundleError::Frames("there are too few"))?;
        self.packed.resize(usize::try_from(frame.packed).unwrap_or_default(), 0);
        bundle.read(index, 0, &mut self.packed)?;
        let mut check = Check::new(index, frame, hashes);
        check.take(&self.packed);
        check.finish()?;
        let failed = |why| BundleError::FrameContent { frame: index, why };
        self.unpacker.unpack(&self.packed, frame.size, &mut self.content).map_err(failed)
    }
}

/// Unpacks one frame that has to hold `size` bytes, as [`Bundle::verify`] does when its hash is the signed one.
pub fn unpack_frame(packed: &[u8], size: u64) -> Result<Vec<u8>, BundleError> {
    let mut walk = Walk::new(size);
    let walked = walk.take(packed).and_then(|()| walk.finish());
    walked.map_err(|why| BundleError::FrameForm { frame: 0, why })?;
    let mut content = Vec::new();
    let failed = |why| BundleError::FrameContent { frame: 0, why };
    let mut unpacker = Unpacker::new().map_err(|error| failed(error.to_string()))?;
    unpacker.unpack(packed, size, &mut content).map_err(failed)?;
    Ok(content)
}

/// The content of one file. Errors are of [`BundleError`], inside an [`io::Error`] when it is read as [`Read`].
pub struct Content<'b> {
    bundle: &'b Bundle,
    entry: &'b Entry,
    index: usize,
    hashes: Hashes,
    unpacking: Unpacking,
    /// What of the unpacked frame is still to be given out.
    ready: std::ops::Range<usize>,
    /// How much of the content was unpacked, in bytes.
    done: u64,
    next: Option<usize>,
    hash: Option<Sha256>,
}

impl<'b> Content<'b> {
    pub(crate) fn new(bundle: &'b Bundle, path: &str, hashes: Hashes, is_hashed: bool) -> Result<Self, BundleError> {
        let (index, entry) = bundle.find(path)?;
        let next = bundle.first_frame(index);
        if next.is_none() && entry.size > 0 {
            // A file of the head: it follows from the manifest and is in no frame of the body.
            return Err(BundleError::Absent { path: path.into() });
        }
        let unpacking = Unpacking::new(bundle)?;
        let hash = is_hashed.then(Sha256::default);
        Ok(Self { bundle, entry, index, hashes, unpacking, ready: 0..0, done: 0, next, hash })
    }

    /// The same content from the byte `from` on. The file's own hash is not compared then; its frames' are.
    pub(crate) fn starting_at(mut self, from: u64) -> Result<Self, BundleError> {
        self.hash = None;
        let step = self.bundle.manifest().profile.frame_size() as u64;
        let is_own =
            |frame: usize| matches!(self.bundle.plan.get(frame).map(|plan| &plan.held), Some(Held::Part { .. }));
        if let Some(first) = self.next.filter(|frame| is_own(*frame)) {
            let passed = (from / step).min(self.entry.size / step);
            self.next = usize::try_from(passed).ok().map(|passed| first + passed);
            self.done = passed * step;
        }
        let mut skip = usize::try_from(from - self.done.min(from)).unwrap_or(usize::MAX);
        while skip > 0 && self.fill()? {
            let now = skip.min(self.ready.len());
            self.ready.start += now;
            skip -= now;
        }
        Ok(self)
    }

    /// Its size, in bytes.
    pub const fn size(&self) -> u64 {
        self.entry.size
    }

    /// All of it, in memory.
    pub fn whole(mut self) -> Result<Vec<u8>, BundleError> {
        let mut whole = Vec::new();
        while self.fill()? {
            whole.extend_from_slice(self.unpacking.content.get(self.ready.clone()).unwrap_or_default());
            self.ready = 0..0;
        }
        Ok(whole)
    }

    /// Reads all of it and keeps nothing.
    pub(crate) fn drained(mut self) -> Result<(), BundleError> {
        while self.fill()? {
            self.ready = 0..0;
        }
        Ok(())
    }

    /// Makes the next part ready; `false` at the end.
    fn fill(&mut self) -> Result<bool, BundleError> {
        if !self.ready.is_empty() {
            return Ok(true);
        }
        let Some(frame) = self.next.filter(|_| self.done < self.entry.size) else { return Ok(false) };
        self.unpacking.frame(self.bundle, frame, self.hashes)?;
        self.ready = self.place(frame).ok_or(BundleError::Frames("a file is not where it should be"))?;
        self.done += self.ready.len() as u64;
        self.next = Some(frame + 1);
        if let Some(hash) = &mut self.hash {
            hash.update(self.unpacking.content.get(self.ready.clone()).unwrap_or_default());
        }
        if self.done == self.entry.size {
            self.is_expected()?;
        }
        Ok(true)
    }

    fn is_expected(&mut self) -> Result<(), BundleError> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let (expected, found) = (self.entry.sha256, Digest(hash.finish()));
        if found == expected {
            return Ok(());
        }
        self.ready = 0..0;
        Err(BundleError::Content { path: self.entry.path.to_string(), expected, found })
    }

    /// Where in an unpacked frame the content is.
    fn place(&self, frame: usize) -> Option<std::ops::Range<usize>> {
        let planned = self.bundle.plan.get(frame)?;
        let length = self.unpacking.content.len();
        match &planned.held {
            Held::Part { entry, .. } => (*entry == self.index).then_some(0..length),
            Held::Shared(pieces) => {
                let entries = &self.bundle.manifest().entries;
                let size = |piece: &Piece| match *piece {
                    Piece::Header(_) => Some(ustar::BLOCK),
                    Piece::Whole(entry) => usize::try_from(entries.get(entry)?.size).ok(),
                    Piece::Padding(entry) => Some(ustar::padding(entries.get(entry)?.size)),
                    Piece::End => Some(ustar::END),
                };
                let before = pieces.iter().take_while(|piece| **piece != Piece::Whole(self.index));
                let from: usize = before.filter_map(size).sum();
                let to = from + usize::try_from(self.entry.size).ok()?;
                (to <= length).then_some(from..to)
            }
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.fill()? {
            return Ok(0);
        }
        let mut ready = self.unpacking.content.get(self.ready.clone()).unwrap_or_default();
        let size = ready.read(buffer)?;
        self.ready.start += size;
        Ok(size)
    }
}
