//! Takes an engine's archive of images apart while it comes by: the older layout with `ID/layer.tar`, and the newer one with
//! `blobs/sha256/…`. Each layer is handed on as a stream, once; nothing is unpacked, and no name of it becomes a path.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::Deserialize;
use tar::{EntryType, Header};

/// The largest description of an image that is kept, in bytes; real ones have some tens of KB.
const SMALL: u64 = 4 << 20;
/// The most that all of them may have together.
const SMALL_TOGETHER: usize = 64 << 20;
/// The most files that an archive may have.
const MOST: usize = 100_000;
/// The most images that an archive nobody knows may list, the most names for all of them, and the most layers of one image.
const MOST_LISTED: usize = 1000;
const MOST_LAYERS: usize = 512;
/// From here on a header has what continues a name, and readers do not agree about when it does; in bytes.
const TAIL: usize = 345;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive does not read.
    #[error("could not read the engine's archive of images")]
    Read {
        /// Why.
        source: io::Error,
    },
    /// It has something that no engine writes.
    #[error("the engine's archive has `{name}`: {why}")]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Its own list of images does not read.
    #[error("the engine's archive has no list of its images that could be read")]
    List {
        /// Why.
        source: serde_json::Error,
    },
    /// An image is not in it, or not whole, or not itself.
    #[error("the engine's archive has not the image {id}: {why}")]
    Image {
        /// Its id.
        id: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// Takes layers as they come by. Gives the digest of each, as in `sha256:…`.
pub(crate) trait Shelf {
    /// What can go wrong.
    type Error: From<ArchiveError>;

    /// Reads one layer's tar to its end. `name` is its digest where the archive says so itself.
    fn take(&mut self, name: Option<&str>, size: u64, layer: &mut dyn Read) -> Result<String, Self::Error>;
}

/// An image as the archive had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Its configuration, whose digest is its id.
    pub(crate) config: Vec<u8>,
    /// The digests of its layers, the lowest first.
    pub(crate) layers: Vec<String>,
}

/// An image's id, its names, and itself.
pub(crate) type Named = (String, Vec<String>, Saved);

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Takes `archive` apart and gives the images `ids`, each checked against its id. `layers` are the digests of all layers that
/// may come, as the engine says.
pub(crate) fn take_apart<S: Shelf>(
    archive: impl Read,
    ids: &BTreeSet<String>,
    layers: &BTreeSet<String>,
    shelf: &mut S,
) -> Result<BTreeMap<String, Saved>, S::Error> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().map_err(|source| ArchiveError::Read { source })?;
    let is_layer = |digest: &str, _| layers.contains(digest);
    Ok(Parts::read(entries, false, &is_layer, shelf)?
        .images(Some(ids))?
        .into_iter()
        .map(|(id, _, saved)| (id, saved))
        .collect())
}

/// Takes an archive apart that nobody knows, and gives all images of it with their names, each checked against its id; and says whether it
/// also has OCI's layout, whose own list of images was not read. Refused is what another reader could take for something else: extended
/// headers, continued names, a thing that is there twice, an image whose configuration is not there.
pub(crate) fn take_all<S: Shelf>(archive: impl Read, shelf: &mut S) -> Result<(Vec<Named>, bool), S::Error> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().map_err(|source| ArchiveError::Read { source })?.raw(true);
    // Whether something small is a layer, its digest tells.
    let is_layer = |_: &str, size| size > SMALL;
    let parts = Parts::read(entries, true, &is_layer, shelf)?;
    let has_layout = parts.names.contains("oci-layout");
    Ok((parts.images(None)?, has_layout))
}

/// Says what is wrong with an entry whose content, or whether it is a folder at all, others read in another way.
pub(crate) fn judge_entry(header: &Header, name: &[u8]) -> Result<(), &'static str> {
    let is_file = header.entry_type() == EntryType::Regular;
    // Readers agree about the size of files alone.
    if !is_file && header.as_bytes().get(124..136).is_some_and(|size| size.iter().any(|byte| !b" 0\0".contains(byte))) {
        return Err("it has content, and is no file");
    }
    let is_old = header.as_bytes().get(156) == Some(&0);
    if is_file && (is_old || name.ends_with(b"/")) { Err("a file that others take for a folder") } else { Ok(()) }
}

/// What came by.
#[derive(Default)]
struct Parts {
    layers: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
    /// Small files and their digests.
    small: BTreeMap<String, (Vec<u8>, String)>,
    together: usize,
    /// All names that came by.
    names: BTreeSet<String>,
}

impl Parts {
    /// Reads all entries, of an archive that nobody knows more strictly. `is_layer` says of a blob's digest and size whether it is a layer.
    fn read<R: Read, S: Shelf>(
        entries: tar::Entries<'_, R>,
        is_strict: bool,
        is_layer: &dyn Fn(&str, u64) -> bool,
        shelf: &mut S,
    ) -> Result<Self, S::Error> {
        let mut parts = Self::default();
        for (index, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|source| ArchiveError::Read { source })?;
            let name = name_of(&entry.path_bytes())?;
            let refused = |why| ArchiveError::Entry { name: name.clone(), why };
            if index >= MOST {
                return Err(refused("it has more than 100000 files").into());
            }
            let tail = entry.header().as_bytes().get(TAIL..).unwrap_or_default();
            if is_strict && tail.iter().any(|byte| *byte != 0) {
                return Err(refused("its name goes on elsewhere").into());
            }
            judge_entry(entry.header(), &entry.path_bytes()).map_err(refused)?;
            if !parts.names.insert(name.clone()) && is_strict {
                return Err(refused("it is there twice").into());
            }
            match entry.header().entry_type() {
                EntryType::Directory => continue,
                EntryType::Regular => {}
                EntryType::Symlink if name.split_once('/').is_some_and(|(_, file)| file == "layer.tar") => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = linked(&target).ok_or_else(|| refused("a link to something else than a layer"))?;
                    parts.links.insert(name, target);
                    continue;
                }
                _ => return Err(refused("neither a file nor a folder").into()),
            }
            let size = entry.size();
            let digest = name.strip_prefix("blobs/sha256/").map(|hex| format!("sha256:{hex}"));
            let is_layer = digest.as_ref().map_or(name.ends_with("/layer.tar"), |digest| is_layer(digest, size));
            if is_layer {
                let found = shelf.take(digest.as_deref(), size, &mut entry)?;
                if digest.is_some_and(|digest| digest != found) {
                    return Err(refused("its content is not what its name says").into());
                }
                parts.layers.insert(name, found);
            } else {
                parts.keep(name, size, &mut entry)?;
            }
        }
        Ok(parts)
    }

    fn keep(&mut self, name: String, size: u64, content: &mut impl Read) -> Result<(), ArchiveError> {
        let is_blob = name.starts_with("blobs/");
        // Of the older layout's folders, nothing but the layers is needed.
        if name.contains('/') && !is_blob {
            return Ok(());
        }
        if size > SMALL {
            // A store that keeps layers compressed has blobs that are none of the digests of their tars.
            let why =
                if is_blob { "a compressed layer, or none of these images" } else { "larger than any description" };
            return Err(ArchiveError::Entry { name, why });
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|source| ArchiveError::Read { source })?;
        self.together += bytes.len();
        if self.together > SMALL_TOGETHER {
            return Err(ArchiveError::Entry { name, why: "more descriptions than any images have" });
        }
        let digest = format!("sha256:{}", vault::digest::sha256_hex(&bytes));
        let named = name.strip_prefix("blobs/sha256/");
        if named.is_some_and(|named| digest.strip_prefix("sha256:") != Some(named)) {
            return Err(ArchiveError::Entry { name, why: "its content is not what its name says" });
        }
        self.small.insert(name, (bytes, digest));
        Ok(())
    }

    /// The images `ids`, or all: their ids, their names, themselves.
    fn images(self, ids: Option<&BTreeSet<String>>) -> Result<Vec<Named>, ArchiveError> {
        let list = self.small.get("manifest.json").map(|(bytes, _)| bytes.as_slice()).unwrap_or_default();
        let list: Vec<Listed> = serde_json::from_slice(list).map_err(|source| ArchiveError::List { source })?;
        if ids.is_none() {
            self.judge_list(&list)?;
        }
        let mut found = Vec::new();
        for listed in list {
            let Some((config, id)) = self.small.get(&listed.config) else { continue };
            let id = id.clone();
            if ids.is_some_and(|ids| !ids.contains(&id)) {
                continue;
            }
            let refused = |why| ArchiveError::Image { id: id.clone(), why };
            if listed.layers.len() > MOST_LAYERS {
                return Err(refused("it has more layers than any"));
            }
            let layers = listed.layers.iter().map(|name| self.layer(name)).collect::<Option<Vec<_>>>();
            let layers = layers.ok_or_else(|| refused("a layer is missing"))?;
            let parsed: Config =
                serde_json::from_slice(config).map_err(|_| refused("its configuration does not read"))?;
            if parsed.rootfs.diff_ids != layers {
                return Err(refused("its layers are not those that its configuration names"));
            }
            found.push((id, listed.tags.unwrap_or_default(), Saved { config: config.clone(), layers }));
        }
        let is_missing = |id: &&String| found.iter().all(|(other, ..)| other != *id);
        match ids.and_then(|ids| ids.iter().find(is_missing)) {
            Some(id) => Err(ArchiveError::Image { id: id.clone(), why: "it is not listed" }),
            None => Ok(found),
        }
    }

    /// In a list that nobody knows, each image stands once, with its configuration, and each name is that of one image.
    fn judge_list(&self, list: &[Listed]) -> Result<(), ArchiveError> {
        let (mut configs, mut tags) = (BTreeSet::new(), BTreeSet::new());
        for listed in list {
            let shown = listed.config.chars().filter(|sign| !sign.is_control()).take(200);
            let refused = |why| ArchiveError::Entry { name: shown.collect(), why };
            if !self.small.contains_key(&listed.config) {
                return Err(refused("it is listed and not there"));
            }
            let is_new = configs.insert(&listed.config) && listed.tags.iter().flatten().all(|tag| tags.insert(tag));
            if !is_new || configs.len() > MOST_LISTED || tags.len() > MOST_LISTED {
                return Err(refused("it is listed twice, or among too many, or with another's name"));
            }
        }
        Ok(())
    }

    /// The digest of the layer of that name; a link leads to one, never to another link.
    fn layer(&self, name: &str) -> Option<String> {
        let known = self.layers.get(name).or_else(|| self.layers.get(self.links.get(name)?)).cloned();
        let small = || Some(self.small.get(name)?.1.clone());
        known.or_else(small)
    }
}

/// A name as engines write them: plain, relative, without a way up.
pub(crate) fn name_of(bytes: &[u8]) -> Result<String, ArchiveError> {
    let shown = String::from_utf8_lossy(bytes).chars().filter(|sign| !sign.is_control()).take(200).collect::<String>();
    let refused = |why| ArchiveError::Entry { name: shown.clone(), why };
    let text = std::str::from_utf8(bytes).map_err(|_| refused("its name is not plain text"))?;
    let text = text.strip_suffix('/').unwrap_or(text);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    if text.is_empty() || text.len() > 255 || !text.bytes().all(is_plain) {
        return Err(refused("its name is not plain text"));
    }
    if text.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(refused("its name leads somewhere else"));
    }
    Ok(text.to_owned())
}

/// Where `../ID/layer.tar` leads.
fn linked(target: &[u8]) -> Option<String> {
    let inner = std::str::from_utf8(target).ok()?.strip_prefix("../")?;
    let (id, file) = inner.split_once('/')?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && file == "layer.tar").then(|| inner.to_owned())
}
