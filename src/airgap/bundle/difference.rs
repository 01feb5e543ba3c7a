//! What changes between two bundles, by their manifests alone: images and layers, files, settings, migrations. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Digest, Entry, Image, Manifest};

/// What changes from one bundle to another.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Values of the whole bundle that are others.
    pub facts: Vec<Fact>,
    /// The images that are new, gone or others, by name.
    pub images: Vec<ImageChange>,
    /// The files that are new, gone or others, by path.
    pub files: Vec<FileChange>,
    /// The settings.
    pub keys: Names,
    /// The database's migrations.
    pub migrations: Names,
    /// How many images are the same.
    pub same_images: usize,
    /// How many layers both have.
    pub same_layers: usize,
    /// The size of the layers that only the second has, in bytes.
    pub new_layer_bytes: u64,
    /// How many files are the same.
    pub same_files: usize,
}

/// One value of the whole bundle.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Which.
    pub what: &'static str,
    /// In the first.
    pub from: String,
    /// In the second.
    pub to: String,
}

/// How a thing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the second has it.
    New,
    /// Only the first has it.
    Gone,
    /// Both have it, and it is another.
    Changed,
}

/// An image that is not the same.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ImageChange {
    /// Its name.
    pub name: String,
    /// How.
    pub change: Change,
    /// Its reference and its id in the first.
    pub from: Option<Identity>,
    /// Its reference and its id in the second.
    pub to: Option<Identity>,
    /// The layers that it has only in the second.
    pub new_layers: Vec<Layer>,
    /// The layers that it has only in the first.
    pub gone_layers: Vec<Layer>,
    /// How many layers it keeps.
    pub kept_layers: usize,
}

/// What an engine knows an image by.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Its reference.
    pub reference: String,
    /// Its id.
    pub id: String,
}

/// A layer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Of its plain tar.
    pub digest: String,
    /// In bytes, unpacked.
    pub size: u64,
}

/// A file that is not the same.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// How.
    pub change: Change,
    /// Its size in the first, in bytes.
    pub from: Option<u64>,
    /// Its size in the second, in bytes.
    pub to: Option<u64>,
}

/// Names that are new or gone.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Names {
    /// Only the second has them.
    pub new: Vec<String>,
    /// Only the first has them.
    pub gone: Vec<String>,
}

impl Differences {
    /// Says whether there is nothing to approve.
    pub fn is_empty(&self) -> bool {
        let names = [&self.keys, &self.migrations];
        let is_same = names.iter().all(|names| names.new.is_empty() && names.gone.is_empty());
        self.facts.is_empty() && self.images.is_empty() && self.files.is_empty() && is_same
    }
}

/// What changes from `old` to `new`.
pub fn differences(old: &Manifest, new: &Manifest) -> Differences {
    let (images, same_images) = images(old, new);
    let facts = facts(old, new);
    let (mut files, same_files) = files(old, new);
    files.retain(|change| !is_explained(change, &facts, &images));
    let (before, after) = (layers(old), layers(new));
    Differences {
        facts,
        images,
        files,
        keys: names(&old.keys, &new.keys),
        migrations: names(&old.migrations, &new.migrations),
        same_images,
        same_layers: after.keys().filter(|layer| before.contains_key(*layer)).count(),
        new_layer_bytes: after.iter().filter(|(layer, _)| !before.contains_key(*layer)).map(|(_, size)| size).sum(),
        same_files,
    }
}

fn facts(old: &Manifest, new: &Manifest) -> Vec<Fact> {
    let program = |manifest: &Manifest| match &manifest.program {
        Some(program) => format!("{}, sha256:{}", program.version, program.sha256),
        None => "none".into(),
    };
    let commit = |manifest: &Manifest| {
        let dirty = if manifest.commit.is_dirty { " with changes that no commit has" } else { "" };
        format!("{}{dirty}", manifest.commit.id)
    };
    let number = |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
    let pairs = [
        ("version", old.version.clone(), new.version.clone()),
        ("processor", old.arch.name().into(), new.arch.name().into()),
        ("sequence", old.sequence.to_string(), new.sequence.to_string()),
        ("commit", commit(old), commit(new)),
        ("time of the files", old.epoch.to_string(), new.epoch.to_string()),
        ("expiry", number(old.expires), number(new.expires)),
        ("program", program(old), program(new)),
        ("profile", old.profile.name().into(), new.profile.name().into()),
        ("zstd library", old.zstd.clone(), new.zstd.clone()),
        ("order of migrations", order(old, new), order(new, old)),
    ];
    pairs.into_iter().filter(|(_, from, to)| from != to).map(|(what, from, to)| Fact { what, from, to }).collect()
}

/// The migrations that both have, in the order of `one`.
fn order(one: &Manifest, other: &Manifest) -> String {
    let known: BTreeSet<_> = other.migrations.iter().collect();
    let both = one.migrations.iter().filter(|name| known.contains(name));
    both.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn images(old: &Manifest, new: &Manifest) -> (Vec<ImageChange>, usize) {
    let by_name = |manifest: &'_ Manifest| -> BTreeMap<String, Image> {
        manifest.images.iter().map(|image| (image.name.clone(), image.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let pairs: Vec<_> = all.into_iter().map(|name| (before.get(name), after.get(name))).collect();
    let is_same = |pair: &(Option<&Image>, Option<&Image>)| pair.0 == pair.1;
    let same = pairs.iter().filter(|pair| is_same(pair)).count();
    let (sizes_before, sizes_after) = (layers(old), layers(new));
    let changed = pairs.iter().filter(|pair| !is_same(pair)).map(|(from, to)| {
        let of = |image: Option<&Image>| -> Vec<Digest> { image.map(|image| image.layers.clone()).unwrap_or_default() };
        let (before, after) = (of(*from), of(*to));
        let only = |these: &[Digest], others: &[Digest], sizes: &BTreeMap<Digest, u64>| -> Vec<Layer> {
            let missing = these.iter().filter(|layer| !others.contains(layer));
            missing
                .map(|layer| Layer { digest: layer.named(), size: sizes.get(layer).copied().unwrap_or_default() })
                .collect()
        };
        let identity = |image: &Image| Identity { reference: image.reference.clone(), id: image.id.named() };
        ImageChange {
            name: to.or(*from).map(|image| image.name.clone()).unwrap_or_default(),
            change: change(from.is_some(), to.is_some()),
            from: from.map(identity),
            to: to.map(identity),
            new_layers: only(&after, &before, &sizes_after),
            gone_layers: only(&before, &after, &sizes_before),
            kept_layers: after.iter().filter(|layer| before.contains(layer)).count(),
        }
    });
    (changed.collect(), same)
}

/// Bills and provenance say what the bundle is, and so change with it: what is told anyway explains that. What nothing explains is told.
fn is_explained(change: &FileChange, facts: &[Fact], images: &[ImageChange]) -> bool {
    let bill = change.path.strip_prefix(super::sbom::FOLDER).and_then(|rest| rest.strip_prefix('/'));
    let of = bill.and_then(|bill| bill.split('.').next());
    if of.is_none() && change.path != super::provenance::PATH {
        return false;
    }
    match change.change {
        Change::Changed => !facts.is_empty() || !images.is_empty(),
        other => images.iter().any(|image| image.change == other && Some(image.name.as_str()) == of),
    }
}

/// Files that are no blobs and do not follow from the others.
fn files(old: &Manifest, new: &Manifest) -> (Vec<FileChange>, usize) {
    let is_own = |entry: &&Entry| {
        let path = entry.path.as_str();
        !path.starts_with("blobs/") && path != super::rules::SUMS && !super::head::DERIVED.contains(&path)
    };
    let by_path = |manifest: &'_ Manifest| -> BTreeMap<String, Entry> {
        manifest.entries.iter().filter(is_own).map(|entry| (entry.path.to_string(), entry.clone())).collect()
    };
    let (before, after) = (by_path(old), by_path(new));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let same = all.iter().filter(|path| before.get(**path) == after.get(**path)).count();
    let changed = all.into_iter().filter(|path| before.get(*path) != after.get(*path)).map(|path| {
        let (from, to) = (before.get(path), after.get(path));
        let change = change(from.is_some(), to.is_some());
        FileChange { path: path.clone(), change, from: from.map(|entry| entry.size), to: to.map(|entry| entry.size) }
    });
    (changed.collect(), same)
}

const fn change(was: bool, is: bool) -> Change {
    match (was, is) {
        (false, _) => Change::New,
        (true, false) => Change::Gone,
        (true, true) => Change::Changed,
    }
}

fn layers(manifest: &Manifest) -> BTreeMap<Digest, u64> {
    let sizes: BTreeMap<_, _> = manifest.entries.iter().map(|entry| (entry.sha256, entry.size)).collect();
    let all = manifest.images.iter().flat_map(|image| &image.layers);
    all.map(|layer| (*layer, sizes.get(layer).copied().unwrap_or_default())).collect()
}

fn names(old: &[String], new: &[String]) -> Names {
    let only = |these: &[String], others: &[String]| {
        let others: BTreeSet<_> = others.iter().collect();
        these.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    Names { new: only(new, old), gone: only(old, new) }
}
