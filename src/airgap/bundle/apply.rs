//! Makes the new bundle out of a delta and the old one. Each frame that comes out is compared with the one that is signed
//! before it is written, and the file has its name only when all of them were. Memory: a reference of at most 24 MiB, a frame with
//! its content, and what packing that takes: below 128 MiB on the one thread that it runs on, and the head beside it.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::content::Unpacking;
use super::delta_error::DeltaError;
use super::delta_file::{Delta, MAGIC, Origin, Patch, Step};
use super::delta_region::{of_bundle, region};
use super::draft::{Draft, check_room, folder_of, table};
use super::form::Walk;
use super::frame::{Packer, Unpacker, library};
use super::{Blake3, Bundle, BundleError, Digest, Frame, delta_patch, form, head};

/// A delta with the bundle that it needs; nothing that has to be known before writing is missing.
pub struct Pair<'d> {
    delta: &'d Delta,
    base: Option<&'d Bundle>,
    /// The base's frames by their hashes.
    known: HashMap<Digest, usize>,
    table: Vec<u8>,
}

impl<'d> Pair<'d> {
    /// Looks whether the base is the one that the delta needs, and has what it takes from it. Reads and writes nothing else.
    pub fn new(delta: &'d Delta, base: Option<&'d Bundle>) -> Result<Self, BundleError> {
        let manifest = base.map(Bundle::manifest);
        let found = manifest.map(|manifest| (manifest.version.clone(), Digest::of(&manifest.bytes())));
        let needed = delta.base();
        let is_it = found.as_ref().map_or(!delta.needs_base(), |(_, digest)| *digest == needed.manifest);
        if !is_it {
            return Err(DeltaError::Base { version: needed.version.clone(), manifest: needed.manifest, found }.into());
        }
        let frames = manifest.map(|manifest| manifest.frames.as_slice()).unwrap_or_default();
        let known: HashMap<Digest, usize> = frames.iter().map(|frame| frame.sha256).zip(0..).collect();
        let all: u64 = frames.iter().fold(0, |sum, frame| sum.saturating_add(frame.size));
        let mut is_packed = false;
        for (index, ((step, _), frame)) in delta.pieces().zip(&delta.manifest.frames).enumerate() {
            match step {
                Step::Base(_) if !known.contains_key(&frame.sha256) => {
                    return Err(DeltaError::Lacking { frame: index, sha256: frame.sha256 }.into());
                }
                Step::Patch(Patch { of: Origin::Base, from, length, .. }) if from.saturating_add(length) > all => {
                    return Err(DeltaError::Beyond { frame: index }.into());
                }
                Step::Patch(_) => is_packed = true,
                Step::Base(_) | Step::Whole(_) => {}
            }
        }
        let (theirs, ours) = (delta.manifest.zstd.clone(), library());
        if is_packed && theirs != ours {
            return Err(DeltaError::Library { theirs, ours }.into());
        }
        let table = table(&delta.manifest, delta.head, delta.archive);
        let table = table.ok_or(BundleError::Frames("there are too many"))?;
        Ok(Self { delta, base, known, table })
    }

    /// The size of the new bundle, in bytes.
    pub fn size(&self) -> u64 {
        self.delta.head + self.delta.manifest.packed_size() + self.table.len() as u64
    }

    /// Writes the new bundle to `out`. `tell` hears of its bytes. A run that was ended leaves only a file that ends in `.part`.
    pub fn write(&self, out: &Path, tell: &dyn Fn(u64)) -> Result<(), BundleError> {
        // What a run that was ended has left makes room first.
        let mut draft = Draft::begin(out)?;
        check_room(folder_of(out), self.size())?;
        self.make(&mut draft, tell)?;
        base::fault::point("bundle:apply:written");
        draft.seal()
    }

    /// The new bundle in memory: for what is known to be small.
    pub fn bytes(&self) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        self.make(&mut bytes, &|_| ())?;
        Ok(bytes)
    }

    fn make(&self, file: &mut dyn Growing, tell: &dyn Fn(u64)) -> Result<(), BundleError> {
        let Delta { manifest, signatures, head, .. } = self.delta;
        // The head that was judged, not what lies in the file by now.
        file.put(&form::stored(&head::archive(manifest, &manifest.bytes(), signatures)?))?;
        let mut lying = MAGIC.len() as u64 + head;
        let mut packer = Packer::new(manifest.profile)?;
        let mut offsets = Vec::with_capacity(manifest.frames.len());
        let mut end = *head;
        for (index, ((step, size), frame)) in self.delta.pieces().zip(&manifest.frames).enumerate() {
            let bytes = match step {
                Step::Base(_) => self.kept(index, frame)?,
                Step::Whole(_) => self.lying(lying, size)?,
                Step::Patch(patch) => {
                    let made =
                        Made { frames: manifest.frames.get(..index).unwrap_or_default(), offsets: &offsets, file };
                    let reference = self.reference(&patch, &made)?;
                    let content = patched(index, frame, &reference, &self.lying(lying, size)?)?;
                    drop(reference);
                    packer.pack(&content)?
                }
            };
            is_signed(index, frame, &bytes)?;
            file.put(&bytes)?;
            offsets.push(end);
            (lying, end) = (lying + size, end + frame.packed);
            tell(frame.packed);
            base::fault::point(&format!("bundle:apply:frame:{index}"));
        }
        file.put(&self.table)
    }

    /// Bytes of the delta.
    fn lying(&self, from: u64, size: u64) -> Result<Vec<u8>, BundleError> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.delta.read(from, &mut bytes)?;
        Ok(bytes)
    }

    /// A frame of the base.
    fn kept(&self, index: usize, frame: &Frame) -> Result<Vec<u8>, BundleError> {
        let lacking = || DeltaError::Lacking { frame: index, sha256: frame.sha256 };
        let base = self.base.ok_or_else(lacking)?;
        let place = *self.known.get(&frame.sha256).ok_or_else(lacking)?;
        let theirs = base.manifest().frames.get(place).ok_or_else(lacking)?;
        base.frame(place, theirs).map_err(|error| damaged(base, error))
    }

    /// What a patch is against.
    fn reference(&self, patch: &Patch, made: &Made<'_>) -> Result<Vec<u8>, BundleError> {
        match (patch.of, self.base) {
            (Origin::Base, Some(base)) => {
                let mut unpacking = Unpacking::new(base)?;
                of_bundle(base, patch.from, patch.length, &mut unpacking).map_err(|error| damaged(base, error))
            }
            (Origin::Base, None) => Ok(Vec::new()),
            (Origin::Made, _) => made.region(patch),
        }
    }
}

/// What a patch makes.
fn patched(index: usize, frame: &Frame, reference: &[u8], patch: &[u8]) -> Result<Vec<u8>, BundleError> {
    let mut content = Vec::new();
    let failed = |why| DeltaError::Patch { frame: index, why };
    delta_patch::apply(reference, patch, frame.size, &mut content).map_err(failed)?;
    Ok(content)
}

/// A base that reads holds other bytes than it says; one that does not read says why.
fn damaged(base: &Bundle, error: BundleError) -> BundleError {
    match error {
        BundleError::Read { .. } => error,
        _ => DeltaError::DamagedBase { path: base.path().into() }.into(),
    }
}

/// What comes out is the frame that the signed manifest says.
fn is_signed(index: usize, frame: &Frame, bytes: &[u8]) -> Result<(), BundleError> {
    let (expected, found) = (frame.sha256, Digest::of(bytes));
    if found != expected || Blake3::of(bytes) != frame.blake3 || bytes.len() as u64 != frame.packed {
        return Err(DeltaError::Made { frame: index, expected, found }.into());
    }
    Ok(())
}

/// A file that grows, and is read while it does.
trait Growing {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError>;
    fn read(&self, from: u64, buffer: &mut [u8]) -> std::io::Result<()>;
}

impl Growing for Draft {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        Self::put(self, bytes)
    }

    fn read(&self, from: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.file().read_exact_at(buffer, from)
    }
}

impl Growing for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self, from: u64, mut buffer: &mut [u8]) -> std::io::Result<()> {
        let rest = usize::try_from(from).ok().and_then(|from| self.get(from..)).unwrap_or_default();
        let size = buffer.len();
        std::io::Write::write_all(&mut buffer, rest.get(..size).unwrap_or_default())
    }
}

/// The new bundle's frames that are made already.
struct Made<'m> {
    frames: &'m [Frame],
    offsets: &'m [u64],
    file: &'m dyn Growing,
}

impl Made<'_> {
    fn region(&self, patch: &Patch) -> Result<Vec<u8>, BundleError> {
        let failed = |source| BundleError::Read { path: "what is made already".into(), source };
        let mut unpacker = Unpacker::new().map_err(failed)?;
        let mut packed = Vec::new();
        region(self.frames, patch.from, patch.length, &mut |index, content| {
            let (Some(frame), Some(offset)) = (self.frames.get(index), self.offsets.get(index)) else {
                return Err(DeltaError::Beyond { frame: index }.into());
            };
            packed.resize(usize::try_from(frame.packed).unwrap_or_default(), 0);
            self.file.read(*offset, &mut packed).map_err(failed)?;
            is_signed(index, frame, &packed)?;
            let mut walk = Walk::new(frame.size);
            let form = walk.take(&packed).and_then(|()| walk.finish());
            form.map_err(|why| BundleError::FrameForm { frame: index, why })?;
            let said = |why| BundleError::FrameContent { frame: index, why };
            unpacker.unpack(&packed, frame.size, content).map_err(said)
        })
    }
}
