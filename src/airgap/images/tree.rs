//! File systems as lists of what they hold, read from an archive. Takes out what differs from one build to the next and
//! is needed by none: logs, caches, random ids. Holds no content but that of the few files it rewrites.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tar::{Archive, Entry, EntryType};
use vault::digest::{Sha256, sha256_hex};

use super::error::ImagesError;
use super::pattern::Patterns;

/// What a build leaves behind, or what belongs to the container and not to the image.
const LEFT_BEHIND: [&str; 24] = [
    "/dev/**",
    "/proc/**",
    "/run/**",
    "/sys/**",
    "/tmp/**",
    "/var/tmp/**",
    "/root/**",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/*shadow-",
    "/etc/sub*id-",
    "/etc/apt/**",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "/var/cache/*/**",
    "/var/lib/apt/**",
    "/var/lib/systemd/**",
    "/var/lib/dpkg/*-old",
    "/var/lib/dpkg/lock**",
    "/var/lib/dpkg/triggers/Lock",
    "**.pyc",
];

/// A file system, or one layer of it.
pub(super) struct Tree {
    /// The archive that its files are in.
    pub(super) source: PathBuf,
    /// What it holds, by path without a slash in front.
    pub(super) nodes: BTreeMap<String, Node>,
}

/// Something at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) user: u64,
    pub(super) group: u64,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Folder,
    File(Content),
    Link(String),
}

/// The content of a file.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) place: Place,
    /// The path under which the archive has the file, when it has several.
    pub(super) twin: Option<String>,
}

/// Where a content is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In the tree's archive, so many bytes from its start.
    Archive(u64),
    Bytes(Vec<u8>),
    Path(PathBuf),
}

impl Node {
    /// Says whether a layer that holds the one can go without the other. Times are all the same in the end.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same_kind = match (&self.kind, &other.kind) {
            (Kind::Folder, Kind::Folder) => true,
            (Kind::File(one), Kind::File(other)) => one.sha256 == other.sha256,
            (Kind::Link(one), Kind::Link(other)) => one == other,
            _ => false,
        };
        is_same_kind && (self.mode, self.user, self.group) == (other.mode, other.user, other.group)
    }

    /// A directory that anybody may look into.
    pub(super) const fn folder() -> Self {
        Self { kind: Kind::Folder, mode: 0o755, user: 0, group: 0 }
    }

    /// A file of root's with this content.
    pub(super) fn file(bytes: Vec<u8>, mode: u32) -> Self {
        let (size, sha256) = (bytes.len() as u64, sha256_hex(&bytes));
        let content = Content { size, sha256, place: Place::Bytes(bytes), twin: None };
        Self { kind: Kind::File(content), mode, user: 0, group: 0 }
    }
}

impl Tree {
    /// Reads what mmdebstrap made for `image`, without what no image needs and without what `exclude` names.
    pub(super) fn of_rootfs(source: &Path, image: &str, exclude: &Patterns) -> Result<Self, ImagesError> {
        let left = LEFT_BEHIND.map(String::from);
        let left = Patterns::new([&left[..]]);
        let is_wanted = |path: &str, kind: EntryType| {
            let is_log = path.starts_with("var/log/") && !kind.is_dir();
            !(path.is_empty() || is_log || left.names(path) || exclude.names(path))
        };
        let mut tree = Self::read(source, image, is_wanted)?;
        for path in ["etc/shadow", "etc/machine-id"] {
            if let Some(Node { kind: Kind::File(content), mode, user, group }) = tree.nodes.get(path) {
                let bytes = normal(path, &tree.bytes(content).map_err(ImagesError::at(source))?);
                let node = Node { mode: *mode, user: *user, group: *group, ..Node::file(bytes, *mode) };
                tree.nodes.insert(path.into(), node);
            }
        }
        Ok(tree)
    }

    /// Reads a layer as it was written.
    pub(super) fn of_layer(source: &Path, image: &str) -> Result<Self, ImagesError> {
        Self::read(source, image, |path, _| !path.is_empty())
    }

    fn read(source: &Path, image: &str, is_wanted: impl Fn(&str, EntryType) -> bool) -> Result<Self, ImagesError> {
        let failed = ImagesError::at(source);
        let mut archive = Archive::new(io::BufReader::with_capacity(1 << 20, File::open(source).map_err(&failed)?));
        let (mut nodes, mut contents) = (BTreeMap::new(), HashMap::new());
        for entry in archive.entries().map_err(&failed)? {
            let mut entry = entry.map_err(&failed)?;
            let path = clean(&String::from_utf8_lossy(&entry.path_bytes()));
            let (kind, is_wanted) = (entry.header().entry_type(), is_wanted(&path, entry.header().entry_type()));
            let content = |what| ImagesError::Content { image: image.into(), path: path.clone(), what };
            if is_wanted && has_attributes(&mut entry).map_err(&failed)? {
                return Err(content("has extended attributes, which a layer of ours does not carry"));
            }
            let kind = match kind {
                EntryType::Directory => Kind::Folder,
                EntryType::Symlink => Kind::Link(linked(&entry).ok_or_else(|| content("is a link to nothing"))?),
                EntryType::Regular => {
                    let found = hashed(&mut entry).map_err(&failed)?;
                    contents.insert(path.clone(), found.clone());
                    Kind::File(found)
                }
                EntryType::Link => {
                    let twin = linked(&entry).map(|name| clean(&name)).unwrap_or_default();
                    let found = contents.get_mut(&twin).ok_or_else(|| content("is a second name of nothing"))?;
                    found.twin = Some(twin.clone());
                    if let Some(Node { kind: Kind::File(first), .. }) = nodes.get_mut(&twin) {
                        *first = found.clone();
                    }
                    Kind::File(found.clone())
                }
                _ if is_wanted => return Err(content("is no file, directory or link")),
                _ => continue,
            };
            if is_wanted {
                let header = entry.header();
                let mode = header.mode().map_err(&failed)? & 0o7777;
                let (user, group) = (header.uid().map_err(&failed)?, header.gid().map_err(&failed)?);
                nodes.insert(path, Node { kind, mode, user, group });
            }
        }
        Ok(Self { source: source.into(), nodes })
    }

    fn bytes(&self, content: &Content) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        content.open(&self.source)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Content {
    /// Its bytes; `source` is the archive of its tree.
    pub(super) fn open(&self, source: &Path) -> io::Result<Box<dyn Read + '_>> {
        use io::{Seek, SeekFrom};
        Ok(match &self.place {
            Place::Bytes(bytes) => Box::new(bytes.as_slice()),
            Place::Path(path) => Box::new(File::open(path)?.take(self.size)),
            Place::Archive(at) => {
                let mut file = File::open(source)?;
                file.seek(SeekFrom::Start(*at))?;
                Box::new(file.take(self.size))
            }
        })
    }
}

/// A path as trees have it: `./usr/bin/` is `usr/bin`.
fn clean(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

fn linked(entry: &Entry<'_, impl Read>) -> Option<String> {
    entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned())
}

fn has_attributes(entry: &mut Entry<'_, impl Read>) -> io::Result<bool> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(false) };
    for extension in extensions {
        if extension?.key_bytes().starts_with(b"SCHILY.xattr.") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn hashed(entry: &mut Entry<'_, impl Read>) -> io::Result<Content> {
    let (size, at) = (entry.size(), entry.raw_file_position());
    let (mut hash, mut piece) = (Sha256::default(), vec![0; 1 << 16]);
    loop {
        let read = entry.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
    }
    Ok(Content { size, sha256: hash.finish_hex(), place: Place::Archive(at), twin: None })
}

/// The content that such a file has in every image: no id of one machine, no password, no day on which one was changed.
fn normal(path: &str, bytes: &[u8]) -> Vec<u8> {
    if path == "etc/machine-id" {
        return Vec::new();
    }
    let line = |line: &str| {
        let mut fields: Vec<_> = line.split(':').collect();
        if let Some(changed) = fields.get_mut(2) {
            *changed = "";
        }
        // An account without a password; `x` would be read as one by whoever asks nothing but whether there is one.
        if let Some(password) = fields.get_mut(1).filter(|password| **password == "x") {
            *password = "!";
        }
        fields.join(":") + "\n"
    };
    String::from_utf8_lossy(bytes).lines().map(line).collect::<String>().into_bytes()
}
