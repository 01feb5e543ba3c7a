//! Verifies the body: each frame's bytes on all cores, its form, and of the frames that hold headers and small files also what
//! they unpack to. Only who has verified a bundle gets content out of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vault::digest::{Blake3 as Blake3Hash, Sha256};

use super::content::{Content, Unpacking};
use super::form::Walk;
use super::head::DERIVED;
use super::layout::{Held, OWN, Piece};
use super::{Blake3, Bundle, BundleError, Digest, Frame, Manifest, source, ustar};

/// How much of a frame is read at a time, in bytes: enough for BLAKE3 to use all lanes, little enough for a cache.
const SLICE: usize = 256 << 10;

/// Which of the signed hashes of a frame are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// BLAKE3: the fast way.
    Blake3,
    /// SHA-256: where only approved algorithms count.
    Sha256,
}

/// How a body is verified.
#[derive(Clone, Copy, Debug)]
pub struct Thoroughness {
    /// Which hashes are compared.
    pub hashes: Hashes,
    /// Unpacks everything as well, and compares the SHA-256 of each file.
    pub is_full: bool,
    /// On how many threads.
    pub threads: usize,
}

/// A bundle whose body was verified. What is read of it is hashed again on the way: the medium may have changed since.
pub struct Verified<'b> {
    bundle: &'b Bundle,
    hashes: Hashes,
}

impl Bundle {
    /// Verifies the body. `progress` is told the size of each frame that was looked at, in bytes. Opens nothing and writes nothing.
    pub fn verify(&self, how: Thoroughness, progress: &(dyn Fn(u64) + Sync)) -> Result<Verified<'_>, BundleError> {
        let verified = Verified { bundle: self, hashes: how.hashes };
        let frames = self.manifest().frames.len();
        on_threads(how.threads, frames, &|| Looker::new(self, how.hashes), &|looker, frame| {
            looker.look(frame)?;
            progress(self.manifest().frames.get(frame).map_or(0, |frame| frame.packed));
            Ok(())
        })?;
        verified.images()?;
        verified.contents(how)?;
        Ok(verified)
    }
}

impl<'b> Verified<'b> {
    /// What it holds.
    pub const fn manifest(&self) -> &'b Manifest {
        self.bundle.manifest()
    }

    /// The content of the file at `path`. Its last bytes are given out only when its SHA-256 is the manifest's.
    pub fn content(&self, path: &str) -> Result<Content<'b>, BundleError> {
        Content::new(self.bundle, path, self.hashes, true)
    }

    /// The content of a layer, its frames checked, its own SHA-256 not: for an engine, which computes that itself.
    pub fn layer(&self, digest: &Digest) -> Result<Content<'b>, BundleError> {
        Content::new(self.bundle, &format!("blobs/sha256/{digest}"), self.hashes, false)
    }

    /// The content of a blob from the byte `from` on, its frames checked.
    pub(crate) fn part(&self, digest: &Digest, from: u64) -> Result<Content<'b>, BundleError> {
        self.layer(digest)?.starting_at(from)
    }

    /// Each image's configuration says what the manifest says.
    fn images(&self) -> Result<(), BundleError> {
        source::configurations(self.manifest(), |id| self.content(&format!("blobs/sha256/{id}"))?.whole())
    }

    /// When that was asked for, unpacks the files that have frames of their own. All others were unpacked already, and those of
    /// the head were compared. The packed bytes of each were signed, and compared, as they are; whoever reads one compares its
    /// content as well.
    fn contents(&self, how: Thoroughness) -> Result<(), BundleError> {
        let body = self.manifest().entries.iter().skip(DERIVED.len());
        let large: Vec<_> = body.filter(|entry| how.is_full && entry.size >= OWN).collect();
        on_threads(how.threads, large.len(), &|| Ok(()), &|(), index| match large.get(index) {
            Some(entry) => self.content(entry.path.as_str())?.drained(),
            None => Ok(()),
        })
    }
}

/// What one thread needs to look at frames.
struct Looker<'b> {
    bundle: &'b Bundle,
    hashes: Hashes,
    slice: Vec<u8>,
    unpacking: Unpacking,
}

impl<'b> Looker<'b> {
    fn new(bundle: &'b Bundle, hashes: Hashes) -> Result<Self, BundleError> {
        Ok(Self { bundle, hashes, slice: vec![0; SLICE], unpacking: Unpacking::new(bundle)? })
    }

    fn look(&mut self, index: usize) -> Result<(), BundleError> {
        let missing = BundleError::Frames("there are too few");
        let (Some(planned), Some(frame)) = (self.bundle.plan.get(index), self.bundle.manifest().frames.get(index))
        else {
            return Err(missing);
        };
        match &planned.held {
            Held::Part { .. } => self.pass(index, frame),
            Held::Shared(pieces) => {
                self.unpacking.frame(self.bundle, index, self.hashes)?;
                shared(self.bundle.manifest(), pieces, &self.unpacking.content)
            }
        }
    }

    /// Goes over a frame that is not unpacked.
    fn pass(&mut self, index: usize, frame: &Frame) -> Result<(), BundleError> {
        let mut check = Check::new(index, frame, self.hashes);
        let mut from = 0;
        while from < frame.packed {
            let size = usize::try_from(frame.packed - from).unwrap_or(SLICE).min(SLICE);
            let slice = self.slice.get_mut(..size).unwrap_or_default();
            self.bundle.read(index, from, slice)?;
            check.take(slice);
            from += size as u64;
        }
        check.finish()
    }
}

/// The pieces of an unpacked frame are what the manifest's entries make them.
pub(crate) fn shared(manifest: &Manifest, pieces: &[Piece], content: &[u8]) -> Result<(), BundleError> {
    let mut rest = content;
    let mut next = |size: u64| -> &[u8] {
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        let (piece, behind) = rest.split_at(size);
        rest = behind;
        piece
    };
    for piece in pieces {
        let (Piece::Header(index) | Piece::Whole(index) | Piece::Padding(index)) = *piece else {
            if next(ustar::END as u64).iter().any(|byte| *byte != 0) {
                return Err(BundleError::Archive { path: "its end".into() });
            }
            continue;
        };
        let Some(entry) = manifest.entries.get(index) else { continue };
        let is_so = match piece {
            Piece::Whole(_) => {
                let found = Digest::of(next(entry.size));
                if found != entry.sha256 {
                    return Err(BundleError::Content { path: entry.path.to_string(), expected: entry.sha256, found });
                }
                true
            }
            Piece::Header(_) => {
                let header = ustar::header(entry.path.as_str(), entry.size, entry.mode, manifest.epoch);
                header.is_some_and(|header| header == next(ustar::BLOCK as u64))
            }
            _ => next(ustar::padding(entry.size) as u64).iter().all(|byte| *byte == 0),
        };
        if !is_so {
            return Err(BundleError::Archive { path: entry.path.to_string() });
        }
    }
    Ok(())
}

/// A frame's bytes on the way past: their hash and their form.
pub(crate) struct Check<'f> {
    index: usize,
    frame: &'f Frame,
    blake3: Option<Blake3Hash>,
    sha256: Option<Sha256>,
    walk: Walk,
    form: Result<(), &'static str>,
}

impl<'f> Check<'f> {
    pub(crate) fn new(index: usize, frame: &'f Frame, hashes: Hashes) -> Self {
        let is_fast = hashes == Hashes::Blake3;
        Self {
            index,
            frame,
            blake3: is_fast.then(Blake3Hash::default),
            sha256: (!is_fast).then(Sha256::default),
            walk: Walk::new(frame.size),
            form: Ok(()),
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.blake3 {
            hash.update(bytes);
        }
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
        if self.form.is_ok() {
            self.form = self.walk.take(bytes);
        }
    }

    /// Damage first: bytes that changed can be of any form.
    pub(crate) fn finish(self) -> Result<(), BundleError> {
        let damaged = |kind, expected: String, found: String| {
            if expected == found {
                Ok(())
            } else {
                Err(BundleError::FrameDigest { frame: self.index, kind, expected, found })
            }
        };
        if let Some(hash) = self.blake3 {
            damaged("BLAKE3", self.frame.blake3.to_string(), Blake3(hash.finish()).to_string())?;
        }
        if let Some(hash) = self.sha256 {
            damaged("SHA-256", self.frame.sha256.to_string(), Digest(hash.finish()).to_string())?;
        }
        let frame = self.index;
        self.form.and_then(|()| self.walk.finish()).map_err(|why| BundleError::FrameForm { frame, why })
    }
}

/// Does `work` for 0 to `count` - 1 on as many threads. The failure of the lowest number is the one that is told.
fn on_threads<S>(
    threads: usize,
    count: usize,
    start: &(dyn Fn() -> Result<S, BundleError> + Sync),
    work: &(dyn Fn(&mut S, usize) -> Result<(), BundleError> + Sync),
) -> Result<(), BundleError> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, BundleError)>> = Mutex::new(None);
    let fail = |index: usize, error: BundleError| {
        // What is above the lowest failure need not be looked at any more.
        next.fetch_max(count, Ordering::Relaxed);
        let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failed.as_ref().is_none_or(|(lowest, _)| index < *lowest) {
            *failed = Some((index, error));
        }
    };
    let run = || {
        let mut state = match start() {
            Ok(state) => state,
            Err(error) => return fail(0, error),
        };
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            if let Err(error) = work(&mut state, index) {
                return fail(index, error);
            }
        }
    };
    // This thread is one of them.
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, count.max(1)) {
            scope.spawn(run);
        }
        run();
    });
    failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
}
