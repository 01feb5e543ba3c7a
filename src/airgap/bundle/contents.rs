//! What a bundle says of what is in it: packages of images, release notes. Out of single files, each compared with the signed
//! manifest before a word of it is believed; the rest of the body is not looked at.

use std::collections::BTreeMap;

use serde::Serialize;

use super::content::Content;
use super::release_notes::breaking;
use super::sbom::{PROGRAM, path};
use super::sbom_cyclonedx::parts;
use super::{Bundle, BundleError, Hashes};

/// The largest file that is read for this, in bytes.
const LIMIT: u64 = 64 << 20;
const NOTES: &str = "CHANGELOG.md";

/// The packages of an image, or the crates of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The image's name; `gitgrit-ops` for the program.
    pub name: String,
    /// Names and versions, sorted.
    pub packages: Vec<ListedPackage>,
    /// Where the list is from and what it lacks, in words.
    pub note: String,
}

/// A package or a crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ListedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How the packages of one thing change.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PackageChanges {
    /// The image's name; `gitgrit-ops` for the program.
    pub name: String,
    /// What only the second has.
    pub new: Vec<ListedPackage>,
    /// What only the first has.
    pub gone: Vec<ListedPackage>,
    /// What both have in other versions.
    pub changed: Vec<VersionChange>,
    /// How many stay as they are.
    pub same: usize,
}

/// A package that both have.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct VersionChange {
    /// Its name.
    pub name: String,
    /// Its versions in the first; several when it is there more than once.
    pub from: Vec<String>,
    /// Its versions in the second.
    pub to: Vec<String>,
}

impl Bundle {
    /// The file at `path`, at most `limit` bytes of it: its frames and its SHA-256 are those of the manifest. `None` when the
    /// bundle holds none.
    pub fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, BundleError> {
        let Some(entry) = self.manifest().entry(path) else { return Ok(None) };
        if entry.size > limit {
            return Err(BundleError::Entry { path: path.into(), why: "is larger than any of its kind" });
        }
        Content::new(self, path, Hashes::Blake3, true)?.whole().map(Some)
    }

    /// The packages of each image and the crates of the program, as far as the bundle lists them.
    pub fn listed(&self) -> Result<Vec<Listed>, BundleError> {
        let names = self.manifest().images.iter().map(|image| image.name.as_str()).chain([PROGRAM]);
        let mut listed = Vec::new();
        for name in names {
            let path = path(name, "cdx");
            let Some(document) = self.file(&path, LIMIT)? else { continue };
            let (parts, note) = parts(&document).ok_or(BundleError::Entry { path, why: "is no list of packages" })?;
            let mut packages: Vec<_> =
                parts.into_iter().map(|(name, version)| ListedPackage { name, version }).collect();
            packages.sort();
            listed.push(Listed { name: name.to_owned(), packages, note });
        }
        Ok(listed)
    }

    /// The release notes' entries that break something: of the newest release, or of all.
    pub fn breaking(&self, is_newest: bool) -> Result<Vec<String>, BundleError> {
        let notes = self.file(NOTES, LIMIT)?.unwrap_or_default();
        Ok(breaking(&String::from_utf8_lossy(&notes), is_newest))
    }
}

/// What changes from one bundle's packages to another's, for each thing that both list. Things that do not change are left out.
pub fn package_changes(old: &[Listed], new: &[Listed]) -> Vec<PackageChanges> {
    let pairs = new.iter().filter_map(|to| Some((old.iter().find(|from| from.name == to.name)?, to)));
    let changes = pairs.map(|(from, to)| changes(&to.name, &versions(from), &versions(to)));
    changes
        .filter(|changes| !(changes.new.is_empty() && changes.gone.is_empty() && changes.changed.is_empty()))
        .collect()
}

type Versions<'l> = BTreeMap<&'l str, Vec<&'l str>>;

fn versions(listed: &Listed) -> Versions<'_> {
    let mut versions = Versions::new();
    for ListedPackage { name, version } in &listed.packages {
        versions.entry(name).or_default().push(version);
    }
    versions
}

fn changes(name: &str, from: &Versions<'_>, to: &Versions<'_>) -> PackageChanges {
    let only = |these: &Versions<'_>, others: &Versions<'_>| {
        let missing = these.iter().filter(|(name, _)| !others.contains_key(*name));
        let all = missing.flat_map(|(name, versions)| versions.iter().map(move |version| (name, version)));
        all.map(|(name, version)| ListedPackage { name: (*name).to_owned(), version: (*version).to_owned() }).collect()
    };
    let owned = |versions: &[&str]| versions.iter().map(|version| (*version).to_owned()).collect();
    let both = from.iter().filter_map(|(name, before)| Some((name, before, to.get(name)?)));
    let changed = both.clone().filter(|(_, before, after)| before != after);
    let changed = changed
        .map(|(name, before, after)| VersionChange { name: (*name).to_owned(), from: owned(before), to: owned(after) })
        .collect();
    let same = both.filter(|(_, before, after)| before == after).count();
    PackageChanges { name: name.into(), new: only(to, from), gone: only(from, to), changed, same }
}
