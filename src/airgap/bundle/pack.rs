//! Packs what comes as a stream into frames, on as many threads as asked. Each frame is made by one thread alone from a
//! fixed number of bytes, so that the bytes do not depend on the number of threads. Memory: one frame, packed and not, for each
//! thread, and once more where there are several.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::{Deserialize, Serialize};
use vault::digest::Sha256;

use super::draft::Body;
use super::form::Walk;
use super::frame::{Packer, Unpacker};
use super::{Blake3, BundleError, Digest, Frame, Profile};

/// Content that was packed: its frames lie in a file, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Of the content.
    pub digest: Digest,
    /// The content's size, in bytes.
    pub size: u64,
    /// How its frames were made.
    pub profile: Profile,
    /// The frames, in their order.
    pub frames: Vec<Frame>,
    /// The file with the frames.
    pub file: PathBuf,
}

/// What lies beside the frames, so that they can be used again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    digest: Digest,
    size: u64,
    profile: Profile,
    zstd: String,
    frames: Vec<Frame>,
}

impl Packed {
    /// What [`Self::from_index`] needs, for a file beside the frames.
    pub fn index(&self) -> Vec<u8> {
        let Self { digest, size, profile, frames, .. } = self.clone();
        let index = Index { digest, size, profile, zstd: super::frame::library(), frames };
        serde_json::to_vec(&index).unwrap_or_default()
    }

    /// Content that was packed earlier: `index` as [`Self::index`] gave it, and the file with the frames. `None` when another
    /// version of the library packed it, or when the file is not as long as its frames; nothing else of it is believed before
    /// [`Self::is_itself`].
    pub fn from_index(index: &[u8], file: &Path) -> Option<Self> {
        let Index { digest, size, profile, zstd, frames } = serde_json::from_slice(index).ok()?;
        let long = |of: fn(&Frame) -> u64| frames.iter().try_fold(0_u64, |sum, frame| sum.checked_add(of(frame)));
        let is_whole =
            fs::metadata(file).is_ok_and(|facts| facts.is_file() && Some(facts.len()) == long(|frame| frame.packed));
        let is_ours = zstd == super::frame::library() && long(|frame| frame.size) == Some(size);
        (is_whole && is_ours).then(|| Self { digest, size, profile, frames, file: file.into() })
    }

    /// Unpacks all of it and says whether its frames, and what they hold, are what it says: who could write where it was kept
    /// could have put anything there.
    pub fn is_itself(&self) -> Result<bool, BundleError> {
        self.is_itself_heard(&mut |_| ())
    }

    /// The same. `hear` gets the content, which is to be believed when the answer is yes.
    pub(crate) fn is_itself_heard(&self, hear: &mut dyn FnMut(&[u8])) -> Result<bool, BundleError> {
        let failed = |source| BundleError::Read { path: self.file.clone(), source };
        let mut file = File::open(&self.file).map_err(failed)?;
        let mut unpacker = Unpacker::new().map_err(failed)?;
        let mut hash = Sha256::default();
        let (mut packed, mut content) = (Vec::new(), Vec::new());
        let full = self.profile.frame_size() as u64;
        let mut rest = self.size;
        for frame in &self.frames {
            let is_cut = frame.size == rest.min(full) && frame.packed <= super::frame::largest(frame.size);
            if !is_cut {
                return Ok(false);
            }
            rest -= frame.size;
            packed.clear();
            (&mut file).take(frame.packed).read_to_end(&mut packed).map_err(failed)?;
            let mut walk = Walk::new(frame.size);
            let is_formed = walk.take(&packed).and_then(|()| walk.finish()).is_ok();
            if frame_of(&packed, content_size(frame)) != *frame
                || !is_formed
                || unpacker.unpack(&packed, frame.size, &mut content).is_err()
            {
                return Ok(false);
            }
            hash.update(&content);
            hear(&content);
        }
        Ok(rest == 0 && Digest(hash.finish()) == self.digest)
    }
}

impl Packed {
    /// Unpacks all of it into `out`. Each frame is hashed on the way, and is what this says it is.
    pub(crate) fn unpack_to(&self, out: &mut dyn Write) -> Result<(), BundleError> {
        let failed = |source| BundleError::Read { path: self.file.clone(), source };
        let mut unpacker = Unpacker::new().map_err(failed)?;
        let mut content = Vec::new();
        let mut from = 0;
        for (index, frame) in self.frames.iter().enumerate() {
            let kept = Body::Kept { file: &self.file, from };
            let packed = kept.bytes(frame)?;
            let refused = |why| BundleError::FrameContent { frame: index, why };
            unpacker.unpack(&packed, frame.size, &mut content).map_err(refused)?;
            out.write_all(&content).map_err(|source| BundleError::Write { path: "the archive".into(), source })?;
            from += frame.packed;
        }
        Ok(())
    }
}

fn content_size(frame: &Frame) -> usize {
    usize::try_from(frame.size).unwrap_or(usize::MAX)
}

/// Threads that pack, with their buffers: one after the other packs content of any number of files. Buffers are kept, for those of
/// this size that come and go leave holes in memory.
pub struct Packers {
    profile: Profile,
    workers: Vec<Worker>,
    spare: Vec<Job>,
}

/// A frame's content, and the frame.
#[derive(Default)]
struct Job {
    content: Vec<u8>,
    packed: Vec<u8>,
}

impl Packers {
    /// So many threads, at least one.
    pub fn start(profile: Profile, threads: usize) -> Self {
        Self { profile, workers: (0..threads.max(1)).map(|_| Worker::start(profile)).collect(), spare: Vec::new() }
    }

    /// Packs all of `source` into the file `into`, which is replaced and not synced. On failure the file may hold a part, and no
    /// more can be packed here.
    pub fn pack(&mut self, source: &mut dyn Read, into: &Path) -> Result<Packed, BundleError> {
        let file = File::create(into).map_err(|source| BundleError::Write { path: into.into(), source })?;
        let mut out = Out { file, path: into, frames: Vec::new() };
        let mut hash = Sha256::default();
        let (mut size, mut sent, mut taken) = (0, 0, 0);
        let workers = self.workers.len();
        loop {
            // On one thread memory counts for more than reading ahead does.
            if workers == 1 && taken < sent {
                self.take(&mut taken, &mut out)?;
            }
            let mut job = self.spare.pop().unwrap_or_default();
            job.content.clear();
            job.content.reserve_exact(self.profile.frame_size());
            source
                .take(self.profile.frame_size() as u64)
                .read_to_end(&mut job.content)
                .map_err(|source| BundleError::Read { path: "the content to pack".into(), source })?;
            if job.content.is_empty() {
                self.spare.push(job);
                break;
            }
            hash.update(&job.content);
            size += job.content.len() as u64;
            if sent - taken == workers {
                self.take(&mut taken, &mut out)?;
            }
            let worker = self.workers.get(sent % workers).ok_or_else(gone)?;
            worker.work.send(job).map_err(|_| gone())?;
            sent += 1;
        }
        while taken < sent {
            self.take(&mut taken, &mut out)?;
        }
        let digest = Digest(hash.finish());
        Ok(Packed { digest, size, profile: self.profile, frames: out.frames, file: into.into() })
    }

    /// Writes the frame whose turn it is.
    fn take(&mut self, taken: &mut usize, out: &mut Out<'_>) -> Result<(), BundleError> {
        let worker = self.workers.get(*taken % self.workers.len()).ok_or_else(gone)?;
        let (job, frame) = worker.done.recv().map_err(|_| gone())??;
        let written = |source| BundleError::Write { path: out.path.into(), source };
        out.file.write_all(&job.packed).map_err(written)?;
        out.frames.push(frame);
        self.spare.push(job);
        *taken += 1;
        Ok(())
    }
}

/// The file that frames go to.
struct Out<'o> {
    file: File,
    path: &'o Path,
    frames: Vec<Frame>,
}

/// A thread that packs one frame after the other. It ends when nobody sends work any more.
struct Worker {
    work: SyncSender<Job>,
    done: Receiver<Result<(Job, Frame), BundleError>>,
}

impl Worker {
    fn start(profile: Profile) -> Self {
        let (work, todo) = sync_channel::<Job>(1);
        let (ready, done) = sync_channel(1);
        std::thread::spawn(move || {
            let mut packer = None;
            for job in todo {
                if ready.send(step(&mut packer, profile, job)).is_err() {
                    break;
                }
            }
        });
        Self { work, done }
    }
}

fn step(packer: &mut Option<Packer>, profile: Profile, mut job: Job) -> Result<(Job, Frame), BundleError> {
    let mut ready = match packer.take() {
        Some(ready) => ready,
        None => Packer::new(profile)?,
    };
    ready.pack_into(&job.content, &mut job.packed)?;
    *packer = Some(ready);
    let frame = frame_of(&job.packed, job.content.len());
    Ok((job, frame))
}

/// What the manifest says of a packed frame.
pub(crate) fn frame_of(packed: &[u8], size: usize) -> Frame {
    Frame { packed: packed.len() as u64, size: size as u64, sha256: Digest::of(packed), blake3: Blake3::of(packed) }
}

fn gone() -> BundleError {
    BundleError::Frames("a packing thread ended early")
}
