//! What the layers of an image say of its packages: each by itself, then stacked. A later layer replaces what lies under it,
//! and takes away what it has a mark for. <https://github.com/opencontainers/image-spec/blob/main/layer.md>, "Whiteouts".

use std::collections::{BTreeMap, BTreeSet};

use super::dpkg::{self, OsRelease, Package};

/// The list of all packages.
const STATUS: &str = "var/lib/dpkg/status";
/// The folder with a list for each package, in images without a package manager.
const STATUSES: &str = "var/lib/dpkg/status.d";
/// What says which distribution it is; the first that is there counts.
const RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Before the name of what a layer takes away.
const GONE: &str = ".wh.";
/// What takes away everything in its folder that lies under the layer.
const OPAQUE: &str = ".wh..wh..opq";
/// The largest list, and the largest of those for one thing, in bytes.
const LARGEST: u64 = 32 << 20;
const LARGEST_OF_ONE: u64 = 1 << 20;
/// The most that one layer may say.
const MOST: usize = 20_000;

/// What an entry of a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A link, or a device.
    Other,
}

/// What one layer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerFacts {
    /// How many entries could change what is known.
    met: usize,
    /// How many packages and other things `said` has.
    count: usize,
    /// What it takes away of the layers under it: a path, and all that is in it.
    gone: BTreeSet<String>,
    /// The folders of which it takes away what is in them.
    emptied: BTreeSet<String>,
    /// What it says, by path.
    said: BTreeMap<String, Said>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Packages(Vec<Package>),
    Release(Option<OsRelease>),
    /// It is a link, or something else that is no file.
    NoFile,
}

/// What all layers of an image say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    /// The packages; `None` when no list of them is there.
    pub(crate) packages: Option<BTreeSet<Package>>,
    /// The distribution.
    pub(crate) release: Option<OsRelease>,
}

impl LayerFacts {
    /// Meets an entry, and says whether its content is wanted.
    pub(crate) fn meet(&mut self, path: &str, kind: Kind, size: u64) -> Result<bool, &'static str> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == OPAQUE {
            return self.mark(folder, |facts, folder| facts.emptied.insert(folder)).map(|()| false);
        }
        if let Some(name) = name.strip_prefix(GONE) {
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            return self.mark(&path, |facts, path| facts.gone.insert(path)).map(|()| false);
        }
        if !is_of_interest(path) || (kind == Kind::Folder && !is_list(path)) {
            return Ok(false);
        }
        // What is no folder takes the place of a folder with all that is in it; a folder that of a list.
        self.forget(path);
        self.mark(path, |facts, path| facts.gone.insert(path))?;
        // Behind a link there may be a list that is not looked at.
        let is_behind = kind == Kind::Other && is_in(STATUSES, path);
        if kind == Kind::Other && (is_list(path) || is_behind) {
            self.say(path, Said::NoFile);
        }
        if kind != Kind::File || !is_list(path) {
            return Ok(false);
        }
        let most = if path == STATUS { LARGEST } else { LARGEST_OF_ONE };
        if size > most { Err("a list of packages is larger than any") } else { Ok(true) }
    }

    /// Takes what a wanted file says.
    pub(crate) fn learn(&mut self, path: &str, content: &[u8]) -> Result<(), &'static str> {
        let said = if RELEASES.contains(&path) {
            Said::Release(dpkg::os_release(content))
        } else {
            Said::Packages(dpkg::packages(content)?)
        };
        self.say(path, said);
        if self.count > MOST { Err("a layer names more than 20000 packages") } else { Ok(()) }
    }

    fn say(&mut self, path: &str, said: Said) {
        self.count += said.count();
        let before = self.said.insert(path.into(), said);
        self.count -= before.map_or(0, |said| said.count());
    }

    /// Takes away what is said of `path` and of what is in it.
    fn forget(&mut self, path: &str) {
        let within = format!("{path}/");
        let inner =
            self.said.range(within.clone()..).map(|(path, _)| path).take_while(|path| path.starts_with(&within));
        let gone: Vec<String> = inner.cloned().chain([path.to_owned()]).collect();
        for path in gone {
            self.count -= self.said.remove(&path).map_or(0, |said| said.count());
        }
    }

    fn mark(&mut self, path: &str, mark: impl Fn(&mut Self, String) -> bool) -> Result<(), &'static str> {
        if is_of_interest(path) {
            mark(self, path.into());
            self.met += 1;
        }
        if self.met > MOST { Err("a layer changes more lists than any does") } else { Ok(()) }
    }
}

impl LayerFacts {
    /// Says whether what lies under the layer at `path` stays.
    fn keeps(&self, path: &str) -> bool {
        let mut above = path;
        if self.gone.contains(path) {
            return false;
        }
        while !above.is_empty() {
            above = above.rsplit_once('/').map_or("", |(folder, _)| folder);
            if self.gone.contains(above) || self.emptied.contains(above) {
                return false;
            }
        }
        true
    }
}

impl Said {
    fn count(&self) -> usize {
        if let Self::Packages(all) = self { all.len() } else { 1 }
    }
}

impl Inventory {
    /// Stacks what layers say, the lowest first.
    pub(crate) fn stacked<'f>(layers: impl Iterator<Item = &'f LayerFacts>) -> Result<Self, &'static str> {
        let mut seen: BTreeMap<&str, &Said> = BTreeMap::new();
        let mut inventory = Self::default();
        for layer in layers {
            seen.retain(|path, _| layer.keeps(path));
            seen.extend(layer.said.iter().map(|(path, said)| (path.as_str(), said)));
        }
        for (path, said) in &seen {
            match said {
                Said::Packages(some) => {
                    inventory.packages.get_or_insert_default().extend(some.iter().cloned());
                }
                Said::NoFile if !RELEASES.contains(path) => return Err("its list of packages is a link"),
                Said::NoFile | Said::Release(_) => {}
            }
        }
        let release = |path: &&str| match seen.get(path) {
            Some(Said::Release(found)) => found.clone(),
            _ => None,
        };
        inventory.release = RELEASES.iter().find_map(release);
        Ok(inventory)
    }
}

/// Says whether `path` is `other`, or in it.
fn is_in(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || other.is_empty())
}

/// Says whether a change of `path` can change what is known: it is a list, holds one, or is where lists are.
fn is_of_interest(path: &str) -> bool {
    let lists = [STATUS, STATUSES].into_iter().chain(RELEASES);
    is_list(path) || lists.into_iter().any(|list| is_in(list, path))
}

/// Says whether the file at `path` is read.
fn is_list(path: &str) -> bool {
    let of_one = path.strip_prefix(STATUSES).and_then(|rest| rest.strip_prefix('/'));
    let is_of_one = of_one.is_some_and(|name| !name.contains('/') && !name.ends_with(".md5sums"));
    path == STATUS || RELEASES.contains(&path) || is_of_one
}
