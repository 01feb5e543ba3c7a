//! Makes bundles by hand, signed ones too, as a careless or malicious signer could: each stage can be bent before the next is
//! built on it. Written beside the program's own writer and without it, so that it also holds the format to its description.

use airgap::bundle::{Arch, Blake3, Commit, Digest, Entry, EntryPath, Frame, Image, Manifest, Mode, Profile};
use vault::minisign::SecretKey;
use zstd::zstd_safe::CParameter;

/// From this size on content has frames of its own.
const OWN: usize = (64 << 10) + 1;
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// A file: what is really in the archive, and what the manifest is made to say of it.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
    /// In place of its own header.
    pub(crate) header: Option<Vec<u8>>,
    /// In place of zeros behind its content.
    pub(crate) padding: u8,
    /// What the manifest says in place of the truth.
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Option<Digest>,
}

impl Item {
    pub(crate) fn new(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into(), header: None, padding: 0, size: None, sha256: None }
    }

    fn blob(content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        Self::new(&format!("blobs/sha256/{}", Digest::of(&content)), content)
    }

    fn entry(&self) -> Entry {
        Entry {
            path: path(&self.path),
            size: self.size.unwrap_or(self.content.len() as u64),
            mode: Mode::Plain,
            sha256: self.sha256.unwrap_or(Digest::of(&self.content)),
        }
    }
}

/// Any text as a path: what the reader gets to see.
fn path(text: &str) -> EntryPath {
    serde_json::from_value(text.into()).unwrap()
}

/// The first stage: files and images.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) items: Vec<Item>,
    pub(crate) images: Vec<Image>,
    pub(crate) sequence: u64,
}

/// A layer: 70 kB that does not pack well, so that it has a frame of its own.
pub(crate) fn layer() -> Vec<u8> {
    let mut hash = [7; 32];
    std::iter::repeat_with(|| {
        hash = Digest::of(&hash).0;
        hash
    })
    .take(2200)
    .flatten()
    .collect()
}

fn config(layers: &[Digest]) -> String {
    let layers: Vec<_> = layers.iter().map(|layer| format!("\"{}\"", layer.named())).collect();
    format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, layers.join(","))
}

fn descriptor(kind: &str, digest: &Digest, size: usize) -> String {
    let named = digest.named();
    format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{named}","size":{size}}}"#)
}

fn oci_manifest(config: &[u8], layers: &[&[u8]]) -> String {
    let own = descriptor("config.v1+json", &Digest::of(config), config.len());
    let layers: Vec<_> =
        layers.iter().map(|layer| descriptor("layer.v1.tar", &Digest::of(layer), layer.len())).collect();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{own},"layers":[{}]}}"#, layers.join(","))
}

impl Draft {
    /// A good one: one image of a small and a large layer, three files.
    pub(crate) fn good() -> Self {
        let layers = [b"a small layer".to_vec(), layer()];
        let digests: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        Self::of_image(&config(&digests), &layers)
    }

    /// One whose image has this configuration, whatever it says.
    pub(crate) fn of_image(config: &str, layers: &[Vec<u8>]) -> Self {
        let slices: Vec<_> = layers.iter().map(Vec::as_slice).collect();
        let manifest = oci_manifest(config.as_bytes(), &slices);
        let image = Image {
            name: "app".into(),
            reference: "docker.io/library/gitgrit-app:1.0.0".into(),
            id: Digest::of(config.as_bytes()),
            manifest: Digest::of(manifest.as_bytes()),
            layers: layers.iter().map(|layer| Digest::of(layer)).collect(),
        };
        let mut documents = [Item::blob(config), Item::blob(manifest)];
        documents.sort_by(|one, next| one.path.cmp(&next.path));
        let mut items =
            vec![Item::new("SHA256SUMS", ""), Item::new("docs/a.md", "# A\n"), Item::new("docs/b.md", "# B\n")];
        items.extend(documents);
        items.extend(layers.iter().map(|layer| Item::blob(layer.as_slice())));
        Self { items, images: vec![image], sequence: 5 }
    }

    /// The file at `path`, to be bent.
    pub(crate) fn item(&mut self, path: &str) -> &mut Item {
        self.items.iter_mut().find(|item| item.path == path).unwrap()
    }

    /// The large layer, to be bent.
    pub(crate) fn large(&mut self) -> &mut Item {
        self.items.last_mut().unwrap()
    }

    fn derived(&self) -> [Vec<u8>; 3] {
        let size = |digest: &Digest| {
            let wanted = format!("blobs/sha256/{digest}");
            self.items.iter().find(|item| item.path == wanted).map_or(0, |item| item.content.len())
        };
        let index = |image: &Image| {
            let own = descriptor("manifest.v1+json", &image.manifest, size(&image.manifest));
            let reference = &image.reference;
            let short = reference.strip_prefix("docker.io/library/").unwrap_or(reference);
            format!(
                r#"{},"platform":{{"architecture":"amd64","os":"linux"}},"annotations":{{"io.containerd.image.name":"{reference}","org.opencontainers.image.ref.name":"{short}"}}}}"#,
                own.strip_suffix('}').unwrap()
            )
        };
        let docker = |image: &Image| {
            let layers: Vec<_> = image.layers.iter().map(|layer| format!(r#""blobs/sha256/{layer}""#)).collect();
            let short = image.reference.strip_prefix("docker.io/library/").unwrap_or(&image.reference);
            format!(
                r#"{{"Config":"blobs/sha256/{}","RepoTags":["{short}"],"Layers":[{}]}}"#,
                image.id,
                layers.join(",")
            )
        };
        let all = |one: &dyn Fn(&Image) -> String| self.images.iter().map(one).collect::<Vec<_>>().join(",");
        let kind = "application/vnd.oci.image.index.v1+json";
        [
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{}]}}"#, all(&index)).into(),
            format!("[{}]", all(&docker)).into(),
        ]
    }

    /// The second stage: the list of digests is made, and the archive is packed.
    pub(crate) fn packed(mut self) -> Packed {
        let derived = self.derived();
        let names = ["oci-layout", "index.json", "manifest.json"];
        let head: Vec<_> =
            names.iter().zip(&derived).map(|(name, content)| Item::new(name, content.as_slice())).collect();
        let mut lines: Vec<_> = head.iter().chain(&self.items).map(Item::entry).collect();
        lines.sort_by(|one, next| one.path.cmp(&next.path));
        lines.retain(|entry| entry.path.as_str() != "SHA256SUMS");
        let sums: Vec<_> = lines.iter().map(|entry| format!("{}  {}\n", entry.sha256, entry.path)).collect();
        if let Some(item) = self.items.iter_mut().find(|item| item.path == "SHA256SUMS" && item.content.is_empty()) {
            item.content = sums.concat().into();
        }
        let manifest = Manifest {
            format: 1,
            name: "gitgrit".into(),
            version: "1.0.0".into(),
            arch: Arch::Amd64,
            sequence: self.sequence,
            epoch: EPOCH,
            commit: Commit { id: "a".repeat(40), is_dirty: false },
            expires: None,
            profile: Profile::Fast,
            zstd: "1.5.7".into(),
            program: None,
            keys: vec!["AIRGAPPED".into(), "SITE_URL".into()],
            migrations: vec!["0001_begin".into(), "0002_more".into()],
            images: self.images.clone(),
            entries: head.iter().chain(&self.items).map(Item::entry).collect(),
            frames: Vec::new(),
        };
        let mut packed = Packed { manifest, derived, frames: Vec::new() };
        for content in self.contents() {
            packed.frames.push(frame(&content));
            packed.manifest.frames.push(listed(packed.frames.last().unwrap(), content.len()));
        }
        packed
    }

    /// What each frame holds.
    fn contents(&self) -> Vec<Vec<u8>> {
        let (mut done, mut open) = (Vec::new(), Vec::new());
        for item in &self.items {
            let header = || header(&item.path, item.content.len() as u64, b'0');
            open.extend(item.header.clone().unwrap_or_else(header));
            if item.content.len() >= OWN {
                done.push(std::mem::take(&mut open));
                done.push(item.content.clone());
            } else {
                open.extend_from_slice(&item.content);
            }
            open.resize(open.len() + (512 - item.content.len() % 512) % 512, item.padding);
        }
        open.resize(open.len() + 1024, 0);
        done.push(open);
        done
    }

    /// All stages with nothing bent after this one.
    pub(crate) fn file(self, key: &SecretKey) -> Vec<u8> {
        self.packed().sealed(key).file()
    }
}

/// What the manifest says of a frame.
pub(crate) fn listed(packed: &[u8], size: usize) -> Frame {
    let (sha256, blake3) = (Digest::of(packed), Blake3::of(packed));
    Frame { packed: packed.len() as u64, size: size as u64, sha256, blake3 }
}

/// A frame as it should be.
pub(crate) fn frame(content: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    compressor.compress(content).unwrap()
}

/// A header of a file as it should be, but for its kind.
pub(crate) fn header(path: &str, size: u64, kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, path.get(..path.len().min(100)).unwrap_or_default().as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{size:011o}\0{EPOCH:011o}\0        ").as_bytes());
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000\0");
    summed(block)
}

/// A header with its sum made anew.
pub(crate) fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// The third stage: the manifest is whole.
#[derive(Clone)]
pub(crate) struct Packed {
    pub(crate) manifest: Manifest,
    pub(crate) derived: [Vec<u8>; 3],
    pub(crate) frames: Vec<Vec<u8>>,
}

impl Packed {
    /// Puts another frame in place, and has the manifest say so.
    pub(crate) fn replace(mut self, index: usize, packed: Vec<u8>) -> Self {
        let size = usize::try_from(self.manifest.frames[index].size).unwrap();
        self.manifest.frames[index] = listed(&packed, size);
        self.frames[index] = packed;
        self
    }

    pub(crate) fn sealed(self, key: &SecretKey) -> Sealed {
        let bytes = self.manifest.bytes();
        self.sealed_as(bytes, key)
    }

    /// With these bytes as the manifest.
    pub(crate) fn sealed_as(self, bytes: Vec<u8>, key: &SecretKey) -> Sealed {
        let signatures = vec![(".gitgrit/manifest.json.minisig".to_owned(), signature(&bytes, key))];
        Sealed { bytes, signatures, derived: self.derived, frames: self.frames, sizes: self.manifest.frames }
    }
}

/// A signature in the form that it has in a bundle.
pub(crate) fn signature(bytes: &[u8], key: &SecretKey) -> String {
    let made = key.sign(bytes, "bundle").unwrap().to_string();
    airgap::bundle::Signature::take(&made).unwrap().text().to_owned()
}

/// The last stage: signed.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) signatures: Vec<(String, String)>,
    pub(crate) derived: [Vec<u8>; 3],
    pub(crate) frames: Vec<Vec<u8>>,
    sizes: Vec<Frame>,
}

impl Sealed {
    /// The archive of the head.
    pub(crate) fn head(&self) -> Vec<u8> {
        let names = ["oci-layout", "index.json", "manifest.json"];
        let mut archive = Vec::new();
        let mut add = |path: &str, content: &[u8]| {
            archive.extend(header(path, content.len() as u64, b'0'));
            archive.extend_from_slice(content);
            archive.resize(archive.len().next_multiple_of(512), 0);
        };
        names.iter().zip(&self.derived).for_each(|(name, content)| add(name, content));
        add(".gitgrit/manifest.json", &self.bytes);
        self.signatures.iter().for_each(|(path, text)| add(path, text.as_bytes()));
        archive
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        self.with_head(&self.head())
    }

    /// With this archive as the head.
    pub(crate) fn with_head(&self, archive: &[u8]) -> Vec<u8> {
        let head = stored(archive);
        let mut rows = vec![(head.len(), archive.len())];
        rows.extend(
            self.frames
                .iter()
                .zip(&self.sizes)
                .map(|(packed, frame)| (packed.len(), usize::try_from(frame.size).unwrap())),
        );
        [head, self.frames.concat(), table(&rows)].concat()
    }

    /// Where each frame begins in the file, and where the last one ends.
    pub(crate) fn edges(&self) -> Vec<usize> {
        let mut edges = vec![0, stored(&self.head()).len()];
        for frame in &self.frames {
            edges.push(edges.last().unwrap() + frame.len());
        }
        edges
    }
}

/// A frame that holds `content` as it is.
pub(crate) fn stored(content: &[u8]) -> Vec<u8> {
    let mut made = [0xFD2F_B528_u32.to_le_bytes().as_slice(), &[0xE4], &(content.len() as u64).to_le_bytes()].concat();
    let count = content.chunks(128 << 10).len();
    for (index, block) in content.chunks(128 << 10).enumerate() {
        let size = u32::try_from(block.len()).unwrap();
        made.extend_from_slice(&(size << 3 | u32::from(index + 1 == count)).to_le_bytes()[..3]);
        made.extend_from_slice(block);
    }
    // The library knows the checksum.
    let packed = frame(content);
    made.extend_from_slice(&packed[packed.len() - 4..]);
    made
}

fn table(rows: &[(usize, usize)]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut made = [0x184D_2A5E_u32.to_le_bytes(), number(rows.len() * 8 + 9)].concat();
    for (packed, size) in rows {
        made.extend([number(*packed), number(*size)].concat());
    }
    made.extend(number(rows.len()));
    made.push(0);
    made.extend(0x8F92_EAB1_u32.to_le_bytes());
    made
}
