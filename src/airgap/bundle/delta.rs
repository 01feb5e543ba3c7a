//! Makes a delta: of a new bundle, what a target with an old one lacks. A frame that the old one has is named, one whose
//! content was there in another form becomes a patch when that is smaller, everything else is taken whole. The same two bundles
//! give the same delta. Memory: a reference, a frame with its content, and what packing a patch takes: some 220 MiB.

use std::collections::HashSet;
use std::path::Path;

use vault::digest::Sha256;

use super::content::Unpacking;
use super::delta_error::DeltaError;
use super::delta_file::{Index, MAGIC, Needed, Origin, Patch, Step};
use super::delta_find::Places;
use super::delta_region::of_bundle;
use super::draft::Draft;
use super::frame::{Packer, library};
use super::inventory::HeldBundle;
use super::{Arch, Bundle, BundleError, Digest, Frame, Hashes, delta_patch};

/// From this size on, in bytes, a frame may become a patch.
const WORTH: u64 = 4096;
/// What a patch takes in the list of steps, in bytes.
const STEP: u64 = 100;

/// What the target has.
pub struct Base<'b> {
    needed: Needed,
    arch: Arch,
    frames: HashSet<Digest>,
    bundle: Option<&'b Bundle>,
}

/// Frames of one kind: how many, and their bytes in the new bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub frames: usize,
    /// Their bytes in the new bundle.
    pub bytes: u64,
}

/// What a delta holds.
#[derive(Clone, Debug)]
pub struct Report {
    /// The bundle that it is applied to.
    pub base: Needed,
    /// Its size, in bytes.
    pub size: u64,
    /// The frames that the base has.
    pub kept: Sum,
    /// The frames that it holds as patches.
    pub patched: Sum,
    /// The bytes of the patches.
    pub patches: u64,
    /// The frames that it holds whole.
    pub whole: Sum,
    /// The zstd library that the target's program must have, when the base was not packed with it.
    pub zstd_needed: Option<String>,
}

impl<'b> Base<'b> {
    /// A bundle that is here as well.
    pub fn of_bundle(bundle: &'b Bundle) -> Self {
        let manifest = bundle.manifest();
        Self {
            needed: Needed { version: manifest.version.clone(), manifest: Digest::of(&manifest.bytes()) },
            arch: manifest.arch,
            frames: manifest.frames.iter().map(|frame| frame.sha256).collect(),
            bundle: Some(bundle),
        }
    }

    /// A bundle that only an inventory tells of: nothing can be a patch against it.
    pub fn of_inventory(held: &HeldBundle) -> Self {
        Self {
            needed: Needed { version: held.version.clone(), manifest: held.manifest },
            arch: held.arch,
            frames: held.frames.iter().copied().collect(),
            bundle: None,
        }
    }

    /// The bundle that a target needs for this.
    pub const fn needed(&self) -> &Needed {
        &self.needed
    }

    fn leads_to(&self, new: &Bundle) -> Result<(), DeltaError> {
        let manifest = new.manifest();
        if manifest.arch != self.arch {
            return Err(DeltaError::Pair("they are for different processors"));
        }
        if Digest::of(&manifest.bytes()) == self.needed.manifest {
            return Err(DeltaError::Pair("they are the same"));
        }
        Ok(())
    }
}

/// Makes the delta, and with `out` writes it there; without, nothing is changed. `tell` hears of the new bundle's bytes.
pub fn write(new: &Bundle, base: &Base<'_>, out: Option<&Path>, tell: &dyn Fn(u64)) -> Result<Report, BundleError> {
    base.leads_to(new)?;
    let mut file = File { draft: out.map(Draft::begin).transpose()?, hash: Sha256::default(), size: 0 };
    file.put(MAGIC)?;
    file.head(new)?;
    let none = Sum::default();
    let needed = base.needed.clone();
    let mut report =
        Report { base: needed, size: 0, kept: none, patched: none, patches: 0, whole: none, zstd_needed: None };
    let mut maker = Maker::new(new, base)?;
    let mut steps: Vec<Step> = Vec::new();
    for (index, frame) in new.manifest().frames.iter().enumerate() {
        let (step, bytes) = maker.step(index, frame)?;
        file.put(&bytes)?;
        let sum = match (steps.last_mut(), step) {
            (Some(Step::Base(count)), Step::Base(_)) | (Some(Step::Whole(count)), Step::Whole(_)) => {
                *count += 1;
                if matches!(step, Step::Base(_)) { &mut report.kept } else { &mut report.whole }
            }
            (_, step) => {
                steps.push(step);
                match step {
                    Step::Base(_) => &mut report.kept,
                    Step::Whole(_) => &mut report.whole,
                    Step::Patch(patch) => {
                        report.patches += patch.size;
                        &mut report.patched
                    }
                }
            }
        };
        (sum.frames, sum.bytes) = (sum.frames + 1, sum.bytes + frame.packed);
        tell(frame.packed);
    }
    let list = Index { base: base.needed.clone(), steps }.bytes();
    let length = u32::try_from(list.len()).map_err(|_| DeltaError::Pair("there would be too many steps"))?;
    file.put(&list)?;
    file.put(&length.to_le_bytes())?;
    base::fault::point("bundle:delta:written");
    report.size = file.end()?;
    let theirs = base.bundle.map(|bundle| bundle.manifest().zstd.as_str());
    let ours = new.manifest().zstd.as_str();
    let is_another = report.patched.frames > 0 && theirs.is_some_and(|theirs| theirs != ours);
    report.zstd_needed = is_another.then(|| ours.to_owned());
    Ok(report)
}

/// The file as it grows.
struct File {
    draft: Option<Draft>,
    hash: Sha256,
    size: u64,
}

impl File {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.draft.as_mut().map_or(Ok(()), |draft| draft.put(bytes))
    }

    /// The new bundle's head, as it is.
    fn head(&mut self, new: &Bundle) -> Result<(), BundleError> {
        let size = new.head_size();
        let mut piece = vec![0; 256 << 10];
        let mut from = 0;
        while from < size {
            let wide = usize::try_from(size - from).unwrap_or(piece.len()).min(piece.len());
            let bytes = piece.get_mut(..wide).unwrap_or_default();
            new.whole(from, bytes)?;
            self.put(bytes)?;
            from += wide as u64;
        }
        Ok(())
    }

    /// The hash of everything, and the file's name. Gives its size.
    fn end(mut self) -> Result<u64, BundleError> {
        let sum = std::mem::take(&mut self.hash).finish();
        self.put(&sum)?;
        self.draft.map_or(Ok(()), Draft::seal)?;
        Ok(self.size)
    }
}

/// Makes step after step.
struct Maker<'b> {
    new: &'b Bundle,
    base: &'b Base<'b>,
    places: Places,
    unpacking: Unpacking,
    packer: Packer,
    /// Says whether this program's library is the one that packed the new bundle.
    is_same_library: bool,
    /// Where the next frame's content begins, in bytes.
    start: u64,
}

impl<'b> Maker<'b> {
    fn new(new: &'b Bundle, base: &'b Base<'b>) -> Result<Self, BundleError> {
        let manifest = new.manifest();
        let own: HashSet<Digest> = manifest.frames.iter().map(|frame| frame.sha256).collect();
        let old = base.bundle.map(|bundle| bundle.manifest().frames.as_slice()).unwrap_or_default();
        let lacking = manifest.frames.iter().filter(|frame| !base.frames.contains(&frame.sha256));
        let gone = old.iter().filter(|frame| !own.contains(&frame.sha256));
        let mut places = Places::new(lacking.chain(gone).map(|frame| frame.size).sum());
        if let Some(bundle) = base.bundle {
            let mut unpacking = Unpacking::new(bundle)?;
            let mut start = 0;
            for (index, frame) in old.iter().enumerate() {
                if !own.contains(&frame.sha256) {
                    unpacking.frame(bundle, index, Hashes::Blake3)?;
                    places.add(Origin::Base, start, &unpacking.content);
                }
                start += frame.size;
            }
        }
        Ok(Self {
            new,
            base,
            places,
            unpacking: Unpacking::new(new)?,
            packer: Packer::new(manifest.profile)?,
            is_same_library: manifest.zstd == library(),
            start: 0,
        })
    }

    /// The step that makes a frame, and what of it lies in the delta.
    fn step(&mut self, index: usize, frame: &Frame) -> Result<(Step, Vec<u8>), BundleError> {
        let start = self.start;
        self.start += frame.size;
        if self.base.frames.contains(&frame.sha256) {
            return Ok((Step::Base(1), Vec::new()));
        }
        self.unpacking.frame(self.new, index, Hashes::Blake3)?;
        let content = std::mem::take(&mut self.unpacking.content);
        let patch = if frame.packed >= WORTH && self.is_same_library {
            self.patch((index, frame), &content, start)?
        } else {
            None
        };
        self.places.add(Origin::Made, start, &content);
        match patch {
            Some((patch, bytes)) => Ok((Step::Patch(patch), bytes)),
            None => Ok((Step::Whole(1), self.new.frame(index, frame)?)),
        }
    }

    /// A patch that makes the content, when it is smaller than the frame and the frame can be made again from the content.
    fn patch(
        &mut self,
        (index, frame): (usize, &Frame),
        content: &[u8],
        made: u64,
    ) -> Result<Option<(Patch, Vec<u8>)>, BundleError> {
        let old = self.base.bundle.map_or(0, |bundle| bundle.manifest().frames.iter().map(|frame| frame.size).sum());
        let sizes = |origin| if origin == Origin::Base { old } else { made };
        let Some((of, from, length)) = self.places.find(content, &sizes) else { return Ok(None) };
        let Some(bundle) = (if of == Origin::Base { self.base.bundle } else { Some(self.new) }) else {
            return Ok(None);
        };
        let reference = of_bundle(bundle, from, length, &mut self.unpacking)?;
        let failed = |why| DeltaError::Patch { frame: index, why };
        let bytes = delta_patch::make(&reference, content).map_err(failed)?;
        drop(reference);
        let size = bytes.len() as u64;
        if size + STEP >= frame.packed || Digest::of(&self.packer.pack(content)?) != frame.sha256 {
            return Ok(None);
        }
        Ok(Some((Patch { size, of, from, length }, bytes)))
    }
}
