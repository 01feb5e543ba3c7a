//! Layers that were packed once, kept for the next build under the digest of their tar. What lies here is made under another
//! name and renamed, and nobody waits for the disk: what an earlier build left is believed only after it was unpacked and hashed
//! again, for a bundle is signed with what lies here. One build at a time.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use base::file::{FileError, Lock, create_dir, read_bytes, write_atomic};
use vault::digest::{Sha256, sha256_hex};

use super::build_error::BuildError;
use super::layer_facts::{self, Inventory};
use super::layer_scan::Scan;
use super::save_archive::Shelf;
use super::{Digest, Packed, Packers, Profile};

/// How a layer begins: the bytes by which a layer without a name is taken for one that is known.
const START: usize = 1 << 20;
/// The largest index of a layer, in bytes.
const INDEX_LIMIT: u64 = 64 << 20;
/// The largest configuration of an image, in bytes.
const CONFIG_LIMIT: u64 = 4 << 20;
/// What folders that are not whole yet are called.
const UNFINISHED: &str = "unfinished-";

/// A folder of packed layers, held by this build alone.
pub(crate) struct Cache<'t> {
    layers: PathBuf,
    configs: PathBuf,
    profile: Profile,
    threads: usize,
    packers: Option<Packers>,
    /// The known layers by their size and the hash of their beginning.
    starts: HashMap<(u64, String), Vec<Digest>>,
    /// Sizes and beginnings by which a layer was taken for another one: the next that comes by is packed.
    shared: HashSet<(u64, String)>,
    /// What was packed by this build, or found to be itself; `None` for what was looked for and is not here.
    proved: RefCell<HashMap<Digest, Option<Packed>>>,
    /// What the proved layers say of packages. Never kept: it is read again out of what was proved.
    facts: RefCell<layer_facts::Told>,
    /// The layers that may come by.
    expected: BTreeSet<Digest>,
    tell: &'t dyn Fn(u64),
    /// How many layers this build has packed.
    pub(crate) packed: usize,
    _lock: Lock,
}

impl<'t> Cache<'t> {
    /// Opens the cache, and removes what an earlier build that was ended left unfinished. `tell` hears of the bytes of layers
    /// as they come by.
    pub(crate) fn open(
        folder: &Path,
        profile: Profile,
        threads: usize,
        tell: &'t dyn Fn(u64),
    ) -> Result<Self, BuildError> {
        let (layers, configs) = (folder.join("layers"), folder.join("configs"));
        create_dir(&layers, 0o755)?;
        create_dir(&configs, 0o755)?;
        let lock = Lock::take(&folder.join("lock"))?;
        let mut cache = Self {
            layers,
            configs,
            profile,
            threads,
            packers: None,
            starts: HashMap::new(),
            shared: HashSet::new(),
            proved: RefCell::default(),
            facts: RefCell::default(),
            expected: BTreeSet::new(),
            tell,
            packed: 0,
            _lock: lock,
        };
        cache.look_around()?;
        Ok(cache)
    }

    fn look_around(&mut self) -> Result<(), BuildError> {
        let read = |source| FileError::Read { path: self.layers.clone(), source };
        for entry in fs::read_dir(&self.layers).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).map_err(|source| FileError::Write { path: entry.path(), source })?;
                continue;
            }
            let digest =
                name.strip_prefix("sha256-").and_then(|rest| rest.strip_suffix(&format!(".{}", self.profile.name())));
            let Some(digest) = digest.and_then(Digest::parse) else { continue };
            let start = fs::read_to_string(entry.path().join("start")).unwrap_or_default();
            if let Some((size, hash)) = start.trim_end().split_once(' ')
                && let Ok(size) = size.parse()
            {
                self.starts.entry((size, hash.to_owned())).or_default().push(digest);
            }
        }
        Ok(())
    }

    fn folder(&self, digest: &Digest) -> PathBuf {
        self.layers.join(format!("sha256-{digest}.{}", self.profile.name()))
    }

    /// The layers that may come by: one without a name is none but these.
    pub(crate) fn expect(&mut self, layers: impl Iterator<Item = Digest>) {
        self.expected = layers.collect();
    }

    /// The layer, when it is there as this program would pack it. What an earlier build left is unpacked and hashed when it is
    /// asked for first.
    pub(crate) fn layer(&self, digest: &Digest) -> Option<Packed> {
        if let Some(known) = self.proved.borrow().get(digest) {
            return known.clone();
        }
        let found = self.proved_now(digest);
        self.proved.borrow_mut().insert(*digest, found.clone());
        found
    }

    fn proved_now(&self, digest: &Digest) -> Option<Packed> {
        let folder = self.folder(digest);
        let index = read_bytes(&folder.join("frames.json"), INDEX_LIMIT).ok()?;
        let packed = Packed::from_index(&index, &folder.join("data.zst"))?;
        let is_ours = packed.digest == *digest && packed.profile == self.profile;
        let mut scan = Scan::default();
        let is_itself = is_ours && packed.is_itself_heard(&mut |content| scan.take(content)).unwrap_or_default();
        is_itself.then(|| {
            self.facts.borrow_mut().keep(*digest, scan.finish());
            packed
        })
    }

    /// What layers that are here say of packages, one over the other.
    pub(crate) fn inventory(&self, layers: &[Digest]) -> Result<Inventory, &'static str> {
        self.facts.borrow().inventory(layers)
    }

    /// The configuration with that digest.
    pub(crate) fn config(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = read_bytes(&self.configs.join(format!("sha256-{digest}.json")), CONFIG_LIMIT).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Keeps a configuration under its digest.
    pub(crate) fn keep_config(&self, config: &[u8]) -> Result<(), BuildError> {
        Ok(write_atomic(&self.configs.join(format!("sha256-{}.json", Digest::of(config))), config, 0o644)?)
    }

    /// Packs `content`, a layer or a file, whose first bytes are `start`, and keeps it.
    fn pack(&mut self, what: &str, size: u64, start: &[u8], content: &mut dyn Read) -> Result<Digest, BuildError> {
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.layers);
        let unfinished = unfinished.map_err(|source| FileError::Write { path: self.layers.clone(), source })?;
        let mut scan = Scan::default();
        let mut content = Heard { inner: content, hear: |bytes: &[u8]| scan.take(bytes) };
        // Packers that failed cannot be used again.
        let mut packers = self.packers.take().unwrap_or_else(|| Packers::start(self.profile, self.threads));
        let packed = packers.pack(&mut content, &unfinished.path().join("data.zst"))?;
        self.packers = Some(packers);
        base::fault::point(&format!("bundle:build:{what}:packed"));
        let hash = sha256_hex(start);
        for (name, content) in [("frames.json", packed.index()), ("start", format!("{size} {hash}\n").into_bytes())] {
            let path = unfinished.path().join(name);
            fs::write(&path, content).map_err(|source| FileError::Write { path, source })?;
        }
        let folder = self.folder(&packed.digest);
        let failed = |source| FileError::Write { path: folder.clone(), source };
        if folder.exists() {
            // Damaged, cut short by a power cut, or packed by another version of the library.
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        fs::rename(unfinished.keep(), &folder).map_err(failed)?;
        base::fault::point(&format!("bundle:build:{what}:kept"));
        self.starts.entry((size, hash)).or_default().push(packed.digest);
        self.packed += 1;
        let packed = Packed { file: folder.join("data.zst"), ..packed };
        let digest = packed.digest;
        self.facts.borrow_mut().keep(digest, scan.finish());
        self.proved.borrow_mut().insert(digest, Some(packed));
        Ok(digest)
    }

    /// Lets go of the packing threads and their buffers, until something is packed again.
    pub(crate) fn rest(&mut self) {
        self.packers = None;
    }

    /// Packs a file that is no layer, unless it is known.
    pub(crate) fn file(&mut self, path: &Path) -> Result<Packed, BuildError> {
        let failed = |source| FileError::Read { path: path.into(), source };
        let mut file = fs::File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let known = hashed(Sha256::default(), &mut file).map_err(failed)?;
        if let Some(packed) = self.layer(&known) {
            return Ok(packed);
        }
        file.rewind().map_err(failed)?;
        let mut start = Vec::new();
        (&mut file).take(START as u64).read_to_end(&mut start).map_err(failed)?;
        let layers = self.packed;
        let digest = self.pack("file", size, &start, &mut io::Cursor::new(start.clone()).chain(file))?;
        self.packed = layers;
        self.layer(&digest).ok_or(BuildError::Cache)
    }
}

impl Shelf for Cache<'_> {
    type Error = BuildError;

    fn take(&mut self, name: Option<&str>, size: u64, layer: &mut dyn Read) -> Result<String, BuildError> {
        let read = |source| BuildError::Layer { source };
        let tell = self.tell;
        let mut layer = Heard { inner: layer, hear: |bytes: &[u8]| tell(bytes.len() as u64) };
        if let Some(known) = name.and_then(Digest::parse_named).filter(|digest| self.layer(digest).is_some()) {
            tell(size);
            return Ok(known.named());
        }
        let mut start = Vec::new();
        (&mut layer).take(START as u64).read_to_end(&mut start).map_err(read)?;
        let key = (size, sha256_hex(&start));
        let candidates = self.candidates(name.is_some(), &key);
        if candidates.is_empty() {
            return Ok(self.pack("layer", size, &start, &mut io::Cursor::new(start.clone()).chain(layer))?.named());
        }
        let mut hash = Sha256::default();
        hash.update(&start);
        let found = hashed(hash, &mut layer).map_err(read)?;
        if !candidates.contains(&found) {
            // It begins as another layer does: its bytes went by, and the next look packs it.
            self.shared.insert(key);
        }
        Ok(found.named())
    }
}

impl Cache<'_> {
    /// The layers that are here, may come by, and begin like this one. A layer that has a name is none of them: it would have
    /// been found by it.
    fn candidates(&self, is_named: bool, key: &(u64, String)) -> Vec<Digest> {
        if is_named || self.shared.contains(key) {
            return Vec::new();
        }
        let known = self.starts.get(key).map(Vec::as_slice).unwrap_or_default();
        let is_here = |digest: &&Digest| self.expected.contains(*digest) && self.layer(digest).is_some();
        known.iter().filter(is_here).copied().collect()
    }
}

/// The hash of what was taken and of all that follows.
fn hashed(mut hash: Sha256, content: &mut dyn Read) -> io::Result<Digest> {
    let mut piece = vec![0; 1 << 20];
    loop {
        match content.read(&mut piece)? {
            0 => return Ok(Digest(hash.finish())),
            size => hash.update(piece.get(..size).unwrap_or_default()),
        }
    }
}

/// A reader whose bytes somebody else hears too.
struct Heard<'r, H> {
    inner: &'r mut dyn Read,
    hear: H,
}

impl<H: FnMut(&[u8])> Read for Heard<'_, H> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.inner.read(buffer)?;
        (self.hear)(buffer.get(..size).unwrap_or_default());
        Ok(size)
    }
}
