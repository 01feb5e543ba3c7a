//! Layers: what a file system has that those below do not, written as a tar whose bytes depend on nothing else. Sorted,
//! one time for all, numbers instead of names of users.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};
use vault::digest::Sha256;

use super::error::ImagesError;
use super::recipe::Recipe;
use super::tree::{Content, Kind, Node, Place, Tree};

/// What a layer calls a path that the layers below have and this one takes away (OCI image-spec, "Whiteouts").
const WHITEOUT: &str = ".wh.";

/// A layer as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its digest, 64 hexadecimal digits: the layer's diffID.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The tar.
    pub path: PathBuf,
}

/// Puts layers on each other and gives what a container would see.
pub(super) fn stacked(layers: &[Tree]) -> BTreeMap<String, Node> {
    let mut seen: BTreeMap<String, Node> = BTreeMap::new();
    for (path, node) in layers.iter().flat_map(|layer| &layer.nodes) {
        let (folder, name) = split(path);
        if let Some(gone) = name.strip_prefix(WHITEOUT) {
            let gone = join(folder, gone);
            seen.retain(|path, _| *path != gone && !is_below(path, &gone));
        } else {
            seen.insert(path.clone(), node.clone());
        }
    }
    seen
}

/// What `whole` has that `below` has not, with the directories that it stands in, and marks for what is gone.
pub(super) fn difference(whole: &Tree, below: &BTreeMap<String, Node>) -> BTreeMap<String, Node> {
    let mut nodes = BTreeMap::new();
    for (path, node) in &whole.nodes {
        if !below.get(path).is_some_and(|other| node.is_same(other)) {
            nodes.insert(path.clone(), node.clone());
        }
    }
    for path in below.keys().filter(|path| !whole.nodes.contains_key(*path)) {
        let (folder, name) = split(path);
        // One mark for a directory does for all in it.
        if folder.is_empty() || whole.nodes.contains_key(folder) {
            nodes.insert(join(folder, &format!("{WHITEOUT}{name}")), Node::file(Vec::new(), 0o644));
        }
    }
    // An engine makes directories that a layer does not name in a way of its own.
    let folders: BTreeSet<String> = nodes.keys().flat_map(|path| above(path).map(str::to_owned)).collect();
    for folder in folders {
        let node = whole.nodes.get(&folder).cloned().unwrap_or_else(Node::folder);
        nodes.entry(folder).or_insert(node);
    }
    nodes
}

/// What the recipe adds to its packages: files, directories, links and this program.
pub(super) fn additions(recipe: &Recipe, files: &Path, program: &Path) -> Result<BTreeMap<String, Node>, ImagesError> {
    let mut nodes = BTreeMap::new();
    let inside = |path: &str| path.trim_start_matches('/').to_owned();
    for folder in &recipe.folders {
        let mode = folder.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0o755);
        let owner = u64::from(folder.owner);
        nodes.insert(inside(&folder.path), Node { kind: Kind::Folder, mode, user: owner, group: owner });
    }
    for file in &recipe.files {
        let from = files.join(&recipe.name).join(&file.source);
        let bytes = base::file::read_bytes(&from, 1 << 20)?;
        nodes.insert(inside(&file.path), Node::file(bytes, if file.is_program { 0o755 } else { 0o644 }));
    }
    for link in &recipe.links {
        let node = Node { kind: Kind::Link(link.to.clone()), mode: 0o777, user: 0, group: 0 };
        nodes.insert(inside(&link.path), node);
    }
    if let Some(path) = &recipe.program {
        let size = std::fs::metadata(program).map_err(ImagesError::at(program))?.len();
        let place = Place::Path(program.into());
        let content = Content { size, sha256: super::packages::digest(program)?, place, twin: None };
        nodes.insert(inside(path), Node { kind: Kind::File(content), mode: 0o755, user: 0, group: 0 });
    }
    let folders: BTreeSet<String> = nodes.keys().flat_map(|path| above(path).map(str::to_owned)).collect();
    for folder in folders {
        nodes.entry(folder).or_insert_with(Node::folder);
    }
    Ok(nodes)
}

/// Writes `nodes` as a layer. `source` is the archive that their contents are in.
pub(super) fn write(nodes: &BTreeMap<String, Node>, source: &Path, epoch: u64, to: &Path) -> Result<Blob, ImagesError> {
    let failed = ImagesError::at(to);
    let file = BufWriter::with_capacity(1 << 20, File::create(to).map_err(&failed)?);
    let tar = Builder::new(Measured { inner: file, hash: Sha256::default(), size: 0 });
    let mut writer = Writer { tar, source, epoch, first: HashMap::new() };
    for (path, node) in nodes {
        writer.put(path, node).map_err(&failed)?;
    }
    let mut measured = writer.tar.into_inner().map_err(&failed)?;
    measured.inner.flush().map_err(&failed)?;
    Ok(Blob { digest: measured.hash.finish_hex(), size: measured.size, path: to.into() })
}

/// A layer that is being written.
struct Writer<'n, W: Write> {
    tar: Builder<W>,
    source: &'n Path,
    epoch: u64,
    /// Of a file with several names the first in order has the content here, whichever it was there.
    first: HashMap<&'n str, &'n str>,
}

impl<'n, W: Write> Writer<'n, W> {
    fn put(&mut self, path: &'n str, node: &'n Node) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(node.mode);
        header.set_uid(node.user);
        header.set_gid(node.group);
        header.set_mtime(self.epoch);
        header.set_size(0);
        match &node.kind {
            Kind::Folder => {
                header.set_entry_type(EntryType::Directory);
                self.tar.append_data(&mut header, format!("{path}/"), io::empty())
            }
            Kind::Link(to) => {
                header.set_entry_type(EntryType::Symlink);
                self.tar.append_link(&mut header, path, to)
            }
            Kind::File(content) => {
                if let Some(twin) = &content.twin {
                    let known = *self.first.entry(twin.as_str()).or_insert(path);
                    if known != path {
                        header.set_entry_type(EntryType::Link);
                        return self.tar.append_link(&mut header, path, known);
                    }
                }
                header.set_entry_type(EntryType::Regular);
                header.set_size(content.size);
                self.tar.append_data(&mut header, path, content.open(self.source)?)
            }
        }
    }
}

/// A writer that knows what went through it.
struct Measured<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(piece)?;
        self.hash.update(&piece[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}") }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The directories that `path` is in.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}
