//! The file of a delta: the new bundle's head as it is, the bytes that the base lacks, and the list of steps that make the
//! body. What the head's signatures cover is believed; everything else only as far as what it makes is signed.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vault::digest::Sha256;

use super::delta_error::DeltaError;
use super::delta_patch::REFERENCE;
use super::open::{From as Behind, named};
use super::{BundleError, Digest, Manifest, Medium, Signature, form, head};

/// What every delta begins with.
pub(crate) const MAGIC: &[u8] = b"gitgrit-delta 1\n";
/// What follows the list of steps: its size, and the hash of everything before that hash.
pub(crate) const END: u64 = 4 + 32;
/// How much of the list belongs to each frame of the new bundle at most, and to none, in bytes.
const PER_FRAME: u64 = 160;
const BESIDE: u64 = 512;

/// What the target needs, and how the body is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    /// The bundle that is needed.
    pub(crate) base: Needed,
    /// The steps, in the order of the new bundle's frames.
    pub(crate) steps: Vec<Step>,
}

/// The bundle that a delta is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needed {
    /// Its version.
    pub version: String,
    /// The SHA-256 of its manifest.
    pub manifest: Digest,
}

/// How the next frames are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// So many frames are the base's, known by their hashes.
    Base(usize),
    /// So many frames lie in the delta as they are.
    Whole(usize),
    /// One frame is made of a patch.
    Patch(Patch),
}

/// A patch in the delta, and what it is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    /// The size of the patch, in bytes.
    pub(crate) size: u64,
    /// Whose content it is against.
    pub(crate) of: Origin,
    /// Where that begins, in bytes from the beginning of what the frames behind the head hold.
    pub(crate) from: u64,
    /// How much of it, in bytes.
    pub(crate) length: u64,
}

/// Whose content a patch is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// The base's.
    Base,
    /// The new bundle's own, as far as it is made.
    Made,
}

impl Index {
    /// The one form of the list.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn parse(bytes: &[u8], manifest: &Manifest) -> Result<Self, DeltaError> {
        let refused = DeltaError::Index;
        let index: Self = serde_json::from_slice(bytes).map_err(|_| refused("it does not read"))?;
        if index.bytes() != bytes {
            return Err(refused("it is written in another way"));
        }
        let is_plain = |sign: u8| sign.is_ascii_alphanumeric() || b"._+-".contains(&sign);
        let version = &index.base.version;
        if version.is_empty() || version.len() > 128 || !version.bytes().all(is_plain) {
            return Err(refused("the base has no version that is one"));
        }
        let mut made = 0_usize;
        let mut content = 0_u64;
        let mut sizes = manifest.frames.iter().map(|frame| frame.size);
        for (place, step) in index.steps.iter().enumerate() {
            let count = match step {
                Step::Base(count) | Step::Whole(count) => *count,
                Step::Patch(_) => 1,
            };
            made = made
                .checked_add(count)
                .filter(|made| *made <= manifest.frames.len())
                .ok_or(refused("it makes too many frames"))?;
            let before = place.checked_sub(1).and_then(|place| index.steps.get(place));
            let is_same =
                matches!((before, step), (Some(Step::Base(_)), Step::Base(_)) | (Some(Step::Whole(_)), Step::Whole(_)));
            if count == 0 || is_same {
                return Err(refused("two of its steps are one, or one is none"));
            }
            if let Step::Patch(patch) = step {
                let frame = manifest.frames.get(made - 1);
                if patch.size == 0 || frame.is_none_or(|frame| patch.size >= frame.packed) {
                    return Err(refused("a patch is not smaller than its frame"));
                }
                patch.holds(made - 1, content)?;
            }
            content += sizes.by_ref().take(count).sum::<u64>();
        }
        if made == manifest.frames.len() { Ok(index) } else { Err(refused("it makes too few frames")) }
    }
}

impl Patch {
    /// The reference is not too large, and what of it is the new bundle's own is made by then: `made` bytes.
    fn holds(&self, frame: usize, made: u64) -> Result<(), DeltaError> {
        if self.length > REFERENCE {
            return Err(DeltaError::Index("a patch is against more than 24 MiB"));
        }
        let end = self.from.checked_add(self.length).filter(|_| self.length > 0);
        let is_there = end.is_some_and(|end| self.of == Origin::Base || end <= made);
        if is_there { Ok(()) } else { Err(DeltaError::Beyond { frame }) }
    }
}

/// A delta whose head was judged, and whose steps make as many frames as the new bundle has.
pub struct Delta {
    medium: Box<dyn Medium>,
    path: PathBuf,
    pub(crate) manifest: Manifest,
    /// The new bundle's signatures as they were judged.
    pub(crate) signatures: Vec<Signature>,
    pub(crate) index: Index,
    /// The new bundle's head, as it stands in its file.
    pub(crate) head: u64,
    /// The content of that head, in bytes.
    pub(crate) archive: u64,
    size: u64,
}

impl Delta {
    /// Opens the file at `path`. `judge` gets the new manifest's bytes and its signatures before anything of them is believed.
    pub fn open<T>(
        path: &Path,
        judge: impl FnOnce(&[u8], &[Signature]) -> Result<T, BundleError>,
    ) -> Result<(Self, T), BundleError> {
        let failed = |source| BundleError::Read { path: path.into(), source };
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
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
        let size = whole(medium.as_ref(), path)?;
        let start = MAGIC.len() as u64;
        let mut behind = BufReader::with_capacity(256 << 10, Behind { medium: medium.as_ref(), at: start });
        let (archive, head) = form::read_stored(&mut behind, head::LIMIT).map_err(|error| match error {
            BundleError::NotABundle => BundleError::Head("it is not a stored frame"),
            other => named(other, path),
        })?;
        drop(behind);
        let head::Head { manifest: bytes, signatures } = head::take(&archive)?;
        let judged = judge(&bytes, &signatures)?;
        let manifest = Manifest::parse(&bytes)?;
        if head::archive(&manifest, &bytes, &signatures)? != archive {
            return Err(BundleError::Head("it is not what follows from its manifest"));
        }
        let mut length = [0; 4];
        read(medium.as_ref(), path, size.saturating_sub(END), &mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        let limit = BESIDE + PER_FRAME * manifest.frames.len() as u64;
        if length > limit || length + END + head + start > size {
            return Err(DeltaError::Index("it is larger than its bundle can need").into());
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        read(medium.as_ref(), path, size - END - length, &mut bytes)?;
        let index = Index::parse(&bytes, &manifest)?;
        let (path, archive) = (path.into(), archive.len() as u64);
        let delta = Self { medium, path, manifest, signatures, index, head, archive, size };
        let expected = delta.pieces().try_fold(start + head, |sum, (_, size)| sum.checked_add(size));
        let expected = expected.and_then(|sum| sum.checked_add(length + END)).unwrap_or(u64::MAX);
        if expected != size {
            return Err(DeltaError::Length { expected, found: size }.into());
        }
        Ok((delta, judged))
    }

    /// The new bundle's manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bundle that it is applied to.
    pub const fn base(&self) -> &Needed {
        &self.index.base
    }

    /// The size of the file, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Says whether the base is looked at.
    pub(crate) fn needs_base(&self) -> bool {
        let is_base = |step: &Step| matches!(step, Step::Base(_) | Step::Patch(Patch { of: Origin::Base, .. }));
        self.index.steps.iter().any(is_base)
    }

    /// The steps frame by frame, each with the size of what lies in the delta for it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Step, u64)> {
        let mut frames = self.manifest.frames.iter();
        let each = self.index.steps.iter().flat_map(|step| {
            let count = match step {
                Step::Base(count) | Step::Whole(count) => *count,
                Step::Patch(_) => 1,
            };
            std::iter::repeat_n(*step, count)
        });
        each.map(move |step| {
            let packed = frames.next().map_or(0, |frame| frame.packed);
            let size = match step {
                Step::Base(_) => 0,
                Step::Whole(_) => packed,
                Step::Patch(patch) => patch.size,
            };
            (step, size)
        })
    }

    /// Fills `buffer` from the byte `from` of the file on.
    pub(crate) fn read(&self, from: u64, buffer: &mut [u8]) -> Result<(), BundleError> {
        read(self.medium.as_ref(), &self.path, from, buffer)
    }
}

/// Begins as a delta does, and has the hash that it ends in. Gives its size.
fn whole(medium: &dyn Medium, path: &Path) -> Result<u64, BundleError> {
    let size = medium.size().map_err(|source| BundleError::Read { path: path.into(), source })?;
    let least = MAGIC.len() as u64 + END;
    let mut start = [0; MAGIC.len()];
    if size < least {
        return Err(DeltaError::NotADelta.into());
    }
    read(medium, path, 0, &mut start)?;
    if start != MAGIC {
        return Err(DeltaError::NotADelta.into());
    }
    let mut hash = Sha256::default();
    let mut piece = vec![0; 256 << 10];
    let mut from = 0;
    while from < size - 32 {
        let wide = usize::try_from(size - 32 - from).unwrap_or(piece.len()).min(piece.len());
        let bytes = piece.get_mut(..wide).unwrap_or_default();
        read(medium, path, from, bytes)?;
        hash.update(bytes);
        from += wide as u64;
    }
    let mut expected = [0; 32];
    read(medium, path, size - 32, &mut expected)?;
    let (expected, found) = (Digest(expected), Digest(hash.finish()));
    if expected == found { Ok(size) } else { Err(DeltaError::Damaged { expected, found }.into()) }
}

fn read(medium: &dyn Medium, path: &Path, from: u64, buffer: &mut [u8]) -> Result<(), BundleError> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match medium.read_at(rest, from + got as u64) {
            Ok(0) => {
                return Err(BundleError::CutShort { expected: from + buffer.len() as u64, found: from + got as u64 });
            }
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(BundleError::Read { path: path.into(), source }),
        }
    }
    Ok(())
}
