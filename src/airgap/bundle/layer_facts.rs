//! What the layers of an image say of its packages: each by itself, then stacked. A later layer replaces what lies under it,
//! and takes away what it has a mark for. <https://github.com/opencontainers/image-spec/blob/main/layer.md>, "Whiteouts".

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Digest;
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
/// The most that one layer may say, and all of an image together.
const MOST: usize = 20_000;
/// The most that all layers of a bundle may say: all of it is in memory at once.
const MOST_OF_ALL: usize = 20 * MOST;

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

/// What all layers of a bundle say, by their digests, or why that does not read.
#[derive(Default)]
pub(crate) struct Told {
    layers: HashMap<Digest, Result<LayerFacts, &'static str>>,
    /// How much it is.
    count: usize,
}

impl Told {
    /// Keeps what a layer says; of what is too much for all of them it keeps that alone.
    pub(crate) fn keep(&mut self, layer: Digest, said: Result<LayerFacts, &'static str>) {
        self.forget(&layer);
        let count = said.as_ref().map_or(0, |said| said.count);
        let is_too_much = self.count + count > MOST_OF_ALL;
        let said = if is_too_much { Err("the layers of all images name more than 400000 packages") } else { said };
        self.count += said.as_ref().map_or(0, |said| said.count);
        self.layers.insert(layer, said);
    }

    fn forget(&mut self, layer: &Digest) {
        if let Some(Ok(before)) = self.layers.remove(layer) {
            self.count -= before.count;
        }
    }

    /// What an image of these layers says, the lowest first.
    pub(crate) fn inventory(&self, layers: &[Digest]) -> Result<Inventory, &'static str> {
        let said = |layer| match self.layers.get(layer) {
            Some(said) => said.as_ref().map_err(|why| *why),
            None => Err("a layer is not in the cache"),
        };
        let said: Result<Vec<&LayerFacts>, _> = layers.iter().map(said).collect();
        Inventory::stacked(said?.into_iter())
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
            // Each layer may be within its own limit.
            if seen.values().map(|said| said.count()).sum::<usize>() > MOST {
                return Err("its layers name more than 20000 packages together");
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer with so many packages, in files of a thousand each that no other layer has.
    fn layer(name: &str, count: usize) -> LayerFacts {
        let mut facts = LayerFacts::default();
        for file in 0..count / 1000 {
            let path = format!("{STATUSES}/{name}-{file}");
            let one = |number: usize| format!("Package: {name}-{file}-{number}\nVersion: 1\nArchitecture: all\n\n");
            let content: String = (0..1000).map(one).collect();
            assert!(facts.meet(&path, Kind::File, content.len() as u64).unwrap());
            facts.learn(&path, content.as_bytes()).unwrap();
        }
        facts
    }

    #[test]
    fn layers_that_are_each_within_the_limit_are_not_together() {
        let (one, other) = (layer("a", 12_000), layer("b", 12_000));
        assert_eq!(Inventory::stacked([&one].into_iter()).unwrap().packages.unwrap().len(), 12_000);
        let refused = Inventory::stacked([&one, &other].into_iter()).unwrap_err();
        assert!(refused.contains("together"), "{refused}");
        // What a layer takes away does not count.
        let mut gone = layer("b", 12_000);
        gone.meet("var/lib/dpkg/status.d/.wh..wh..opq", Kind::File, 0).unwrap();
        assert_eq!(Inventory::stacked([&one, &gone].into_iter()).unwrap().packages.unwrap().len(), 12_000);
    }

    #[test]
    fn what_all_layers_say_has_a_limit_of_its_own() {
        let mut heard = Told::default();
        let full = layer("a", MOST);
        let named = |number: usize| Digest::of(&number.to_le_bytes());
        for number in 0..20 {
            heard.keep(named(number), Ok(full.clone()));
        }
        // Twice the same layer counts once.
        heard.keep(named(3), Ok(full.clone()));
        assert_eq!(heard.inventory(&[named(3)]).unwrap().packages.unwrap().len(), MOST);
        heard.keep(named(20), Ok(layer("b", 1000)));
        assert!(heard.inventory(&[named(20)]).unwrap_err().contains("all images"));
        assert!(heard.inventory(&[named(21)]).unwrap_err().contains("not in the cache"));
    }
}
