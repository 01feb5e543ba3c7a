//! Assembles a bundle: lists the files, packs what is small, asks for the signatures, copies the packed layers. The same
//! assembly gives the same bytes, on any machine and on any number of cores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::draft::{Body, Draft};
use super::frame::{Packer, Unpacker};
use super::layout::{self, Held, Piece, Planned};
use super::manifest::{FORMAT, NAME};
use super::oci::{self, Sizes};
use super::pack::frame_of;
use super::rules::{self, SUMS};
use super::ustar;
use super::{
    Arch, BundleError, Commit, Digest, Entry, EntryPath, Frame, Image, Manifest, Mode, Packed, Profile, Program,
    Signature, frame, head,
};

/// Where a file's content comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Memory.
    Bytes(Vec<u8>),
    /// Frames that were packed, with the assembly's profile.
    Packed(Packed),
}

/// Gives the signatures for a manifest's bytes.
pub type Signer<'s> = dyn FnMut(&[u8]) -> Result<Vec<Signature>, BundleError> + 's;

/// An image to put in.
#[derive(Clone, Debug)]
pub struct SourceImage {
    /// Its name among the recipes.
    pub name: String,
    /// Its full reference, `docker.io/library/gitgrit-app:TAG` say.
    pub reference: String,
    /// Its configuration, byte for byte.
    pub config: Vec<u8>,
    /// Its layers from the lowest up: keys of [`Assembly::layers`].
    pub layers: Vec<Digest>,
}

/// Everything that makes a bundle. What follows from it (the OCI documents, `SHA256SUMS`, the manifest) is added when written.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// The version, as the images' tag has it.
    pub version: String,
    /// The processor.
    pub arch: Arch,
    /// Grows with every release.
    pub sequence: u64,
    /// The time of all files, in seconds since 1970.
    pub epoch: u64,
    /// What it was built from.
    pub commit: Commit,
    /// From when on whoever verifies it is warned, in seconds since 1970.
    pub expires: Option<u64>,
    /// How frames are packed; every [`Source::Packed`] and every layer has to be of the same.
    pub profile: Profile,
    /// What `bin/gitgrit-ops --version` says, when that file is among [`Self::files`].
    pub program: Option<String>,
    /// The names of the settings that this version knows.
    pub keys: BTreeSet<String>,
    /// The names of the database's migrations, in their order.
    pub migrations: Vec<String>,
    /// The files that are no blobs.
    pub files: BTreeMap<EntryPath, (Mode, Source)>,
    /// The images.
    pub images: Vec<SourceImage>,
    /// The layers of all images, by the digest of their plain tar.
    pub layers: BTreeMap<Digest, Packed>,
}

impl Source {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Packed(packed) => packed.size,
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Packed(packed) => packed.digest,
        }
    }
}

impl Assembly {
    /// Writes the bundle to `out`, replacing what is there, with the signatures that `sign` gives for the manifest's bytes.
    /// Until the last step the file is called `….part`; a run that was ended leaves only that, and the next replaces it.
    pub fn write(mut self, out: &Path, sign: &mut Signer<'_>) -> Result<Manifest, BundleError> {
        let mut manifest = self.list()?;
        let planned = layout::plan(&manifest.entries, head::DERIVED.len(), self.profile, usize::MAX)
            .ok_or(BundleError::Frames("there are too many"))?;
        let mut packer = Packer::new(self.profile)?;
        let mut body = Vec::with_capacity(planned.len());
        for planned in &planned {
            let (frame, made) = self.frame(planned, &manifest, &mut packer)?;
            manifest.frames.push(frame);
            body.push(made);
        }
        rules::hold(&manifest)?;
        let bytes = manifest.bytes();
        let signatures = sign(&bytes)?;
        Draft::begin(out)?.finish(&manifest, &bytes, &signatures, &body)?;
        Ok(manifest)
    }

    /// The manifest without its frames. Adds everything that follows from the rest to the files.
    fn list(&mut self) -> Result<Manifest, BundleError> {
        let mut own: BTreeSet<_> = self.files.keys().cloned().collect();
        let images = self.images()?;
        let program = self.program.clone();
        let program =
            program.and_then(|version| Some(Program { version, sha256: self.source(rules::PROGRAM)?.digest() }));
        let sums = EntryPath::parse(SUMS)?;
        own.insert(sums.clone());
        self.files.insert(sums.clone(), (Mode::Plain, Source::Bytes(Vec::new())));
        let mut manifest = Manifest {
            format: FORMAT,
            name: NAME.into(),
            version: self.version.clone(),
            arch: self.arch,
            sequence: self.sequence,
            epoch: self.epoch,
            commit: self.commit.clone(),
            expires: self.expires,
            profile: self.profile,
            zstd: frame::library(),
            program,
            keys: self.keys.iter().cloned().collect(),
            migrations: self.migrations.clone(),
            images,
            entries: Vec::new(),
            frames: Vec::new(),
        };
        let order = rules::body_order(&own, &manifest.images);
        let entry = |path: EntryPath| {
            let (mode, source) = self.files.get(&path)?;
            Some(Entry { size: source.size(), mode: *mode, sha256: source.digest(), path })
        };
        manifest.entries = order.into_iter().filter_map(entry).collect();
        let derived = head::entries(&head::derived(&manifest)?)?;
        manifest.entries.splice(0..0, derived);
        let text = rules::sums(manifest.entries.iter()).into_bytes();
        if let Some(entry) = manifest.entries.iter_mut().find(|entry| entry.path == sums) {
            (entry.size, entry.sha256) = (text.len() as u64, Digest::of(&text));
        }
        self.files.insert(sums, (Mode::Plain, Source::Bytes(text)));
        Ok(manifest)
    }

    /// The images as the manifest names them; their blobs are among the files then.
    fn images(&mut self) -> Result<Vec<Image>, BundleError> {
        let mut sizes: Sizes = self.layers.iter().map(|(digest, packed)| (*digest, packed.size)).collect();
        let mut blobs: Vec<(Digest, Source)> = std::mem::take(&mut self.layers)
            .into_iter()
            .map(|(digest, packed)| (digest, Source::Packed(packed)))
            .collect();
        let mut images = Vec::with_capacity(self.images.len());
        for SourceImage { name, reference, config, layers } in std::mem::take(&mut self.images) {
            let refused = |why| BundleError::Image { name: name.clone(), why };
            if let Some(why) = oci::config_fault(&config, self.arch, &layers) {
                return Err(refused(why));
            }
            let id = Digest::of(&config);
            sizes.insert(id, config.len() as u64);
            let document = oci::manifest(&id, &layers, &sizes).ok_or(refused("misses a layer"))?;
            let manifest = Digest::of(&document);
            blobs.extend([(id, Source::Bytes(config)), (manifest, Source::Bytes(document))]);
            images.push(Image { name, reference, id, manifest, layers });
        }
        let is_ours = |source: &Source| !matches!(source, Source::Packed(packed) if packed.profile != self.profile);
        let others = self.files.values().map(|(_, source)| source);
        if !blobs.iter().map(|(_, source)| source).chain(others).all(is_ours) {
            return Err(BundleError::Frames("a layer or a file was packed with another profile"));
        }
        self.files
            .extend(blobs.into_iter().map(|(digest, source)| (EntryPath::of_blob(&digest), (Mode::Plain, source))));
        Ok(images)
    }

    fn source(&self, path: &str) -> Option<&Source> {
        self.files.get(&EntryPath::parse(path).ok()?).map(|(_, source)| source)
    }

    /// What the manifest says of a planned frame, and where its bytes are.
    fn frame(
        &self,
        planned: &Planned,
        manifest: &Manifest,
        packer: &mut Packer,
    ) -> Result<(Frame, Body<'_>), BundleError> {
        let content = match &planned.held {
            Held::Shared(pieces) => self.shared(pieces, manifest)?,
            Held::Part { entry, from } => {
                let entry = manifest.entries.get(*entry).ok_or(BundleError::Frames("a file is missing"))?;
                let missing = || BundleError::Absent { path: entry.path.to_string() };
                match self.source(entry.path.as_str()).ok_or_else(missing)? {
                    Source::Packed(packed) => return kept(packed, *from, manifest.profile).ok_or_else(missing),
                    Source::Bytes(bytes) => {
                        let from = usize::try_from(*from).unwrap_or(usize::MAX);
                        let rest = bytes.get(from..).unwrap_or_default();
                        rest.get(..rest.len().min(manifest.profile.frame_size())).unwrap_or_default().to_vec()
                    }
                }
            }
        };
        let packed = packer.pack(&content)?;
        Ok((frame_of(&packed, content.len()), Body::Made(packed)))
    }

    fn shared(&self, pieces: &[Piece], manifest: &Manifest) -> Result<Vec<u8>, BundleError> {
        let mut content = Vec::new();
        for piece in pieces {
            let (Piece::Header(index) | Piece::Whole(index) | Piece::Padding(index)) = *piece else {
                content.resize(content.len() + ustar::END, 0);
                continue;
            };
            let entry = manifest.entries.get(index).ok_or(BundleError::Frames("a file is missing"))?;
            match piece {
                Piece::Header(_) => {
                    let header = ustar::header(entry.path.as_str(), entry.size, entry.mode, manifest.epoch);
                    let path = entry.path.to_string();
                    let why = "does not fit an archive's header";
                    content.extend_from_slice(&header.ok_or(BundleError::Entry { path, why })?);
                }
                Piece::Whole(_) => match self.source(entry.path.as_str()) {
                    Some(Source::Bytes(bytes)) => content.extend_from_slice(bytes),
                    Some(Source::Packed(packed)) => content.extend(unpacked(packed)?),
                    None => return Err(BundleError::Absent { path: entry.path.to_string() }),
                },
                _ => content.resize(content.len() + ustar::padding(entry.size), 0),
            }
        }
        Ok(content)
    }
}

/// The frame of packed content that begins at the byte `from` of the content.
fn kept(packed: &Packed, from: u64, profile: Profile) -> Option<(Frame, Body<'_>)> {
    let index = usize::try_from(from / profile.frame_size() as u64).ok()?;
    let frame = *packed.frames.get(index)?;
    let before = packed.frames.iter().take(index).map(|frame| frame.packed).sum();
    Some((frame, Body::Kept { file: &packed.file, from: before }))
}

/// Content that was packed although it is small enough to share a frame.
fn unpacked(packed: &Packed) -> Result<Vec<u8>, BundleError> {
    let mut content = Vec::new();
    let Some(frame) = packed.frames.first() else { return Ok(content) };
    let kept = Body::Kept { file: &packed.file, from: 0 };
    let bytes = kept.bytes(frame)?;
    let mut unpacker = Unpacker::new().map_err(|source| BundleError::Read { path: packed.file.clone(), source })?;
    unpacker.unpack(&bytes, frame.size, &mut content).map_err(|why| BundleError::FrameContent { frame: 0, why })?;
    Ok(content)
}
