//! What must hold between the values of a manifest, whoever signed it: names in plain text, paths that lie beside each other
//! everywhere, blobs under their digests, images whole, files in their order, and no frame that does not follow from them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::layout;
use super::manifest::NAME;
use super::oci::{self, Sizes};
use super::ustar::LARGEST;
use super::{BundleError, Digest, Entry, EntryPath, Image, Manifest, frame, head, reference};

/// Where the list for `sha256sum -c` is.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Where the program is.
pub(crate) const PROGRAM: &str = "bin/gitgrit-ops";
/// Where blobs are.
const BLOBS: &str = "blobs/sha256/";

/// The most images that a bundle has, layers that an image has (engines take 127), and files. Whoever reads an unsigned manifest
/// does no more work than these allow.
const MOST_IMAGES: usize = 1000;
const MOST_LAYERS: usize = 127;
const MOST_FILES: usize = 100_000;

/// Refuses a manifest that breaks a rule.
pub(crate) fn hold(manifest: &Manifest) -> Result<(), BundleError> {
    counts(manifest)?;
    values(manifest)?;
    paths(&manifest.entries)?;
    for image in &manifest.images {
        names(image)?;
    }
    blobs(manifest)?;
    order(manifest)?;
    generated(manifest)?;
    frames(manifest)
}

/// The files behind the head in their order: small ones sorted, then configurations and OCI manifests, then layers from the
/// lowest of the first image up, each once.
pub(crate) fn body_order(files: &BTreeSet<EntryPath>, images: &[Image]) -> Vec<EntryPath> {
    let documents: BTreeSet<_> = images.iter().flat_map(|image| [image.id, image.manifest]).collect();
    let mut seen = BTreeSet::new();
    let layers = images.iter().flat_map(|image| &image.layers).filter(|layer| seen.insert(**layer));
    let blobs = documents.iter().chain(layers).map(EntryPath::of_blob);
    files.iter().cloned().chain(blobs).collect()
}

/// The text of [`SUMS`]: every file but itself, sorted, as `sha256sum` writes it.
pub(crate) fn sums<'e>(entries: impl Iterator<Item = &'e Entry>) -> String {
    let sorted: BTreeMap<&str, &Digest> = entries.map(|entry| (entry.path.as_str(), &entry.sha256)).collect();
    let others = sorted.iter().filter(|(path, _)| **path != SUMS);
    others.fold(String::new(), |text, (path, digest)| text + &format!("{digest}  {path}\n"))
}

fn counts(manifest: &Manifest) -> Result<(), BundleError> {
    let most = |field, why, is_so| if is_so { Ok(()) } else { Err(BundleError::Field { field, why }) };
    most("images", "there are more than 1000", manifest.images.len() <= MOST_IMAGES)?;
    let is_low = manifest.images.iter().all(|image| image.layers.len() <= MOST_LAYERS);
    most("images", "one has more than 127 layers", is_low)?;
    most("entries", "there are more than 100000", manifest.entries.len() <= MOST_FILES)
}

fn values(manifest: &Manifest) -> Result<(), BundleError> {
    let holds = |field, why, is_good: bool| if is_good { Ok(()) } else { Err(BundleError::Field { field, why }) };
    let text = "it is empty, too long, or not of letters, digits and `._+-`";
    holds("name", "the product is not gitgrit", manifest.name == NAME)?;
    holds("version", "it is not what a tag may be", is_tag(&manifest.version))?;
    holds("epoch", "it is too late for an archive", manifest.epoch <= LARGEST)?;
    let is_hex = |text: &str| text.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'));
    let commit = &manifest.commit.id;
    holds("commit", "it is no object id", matches!(commit.len(), 40 | 64) && is_hex(commit))?;
    holds("zstd", text, is_word(&manifest.zstd))?;
    if let Some(program) = &manifest.program {
        holds("program", text, is_word(&program.version))?;
    }
    holds(
        "keys",
        "they are not names, or not sorted",
        manifest.keys.iter().all(|key| is_word(key)) && is_rising(&manifest.keys),
    )?;
    let migrations = &manifest.migrations;
    let once: BTreeSet<_> = migrations.iter().collect();
    holds(
        "migrations",
        "they are not names, or one is there twice",
        migrations.iter().all(|one| is_word(one)) && once.len() == migrations.len(),
    )?;
    let names: BTreeSet<_> = manifest.images.iter().map(|image| &image.name).collect();
    let references: BTreeSet<_> = manifest.images.iter().map(|image| &image.reference).collect();
    let count = manifest.images.len();
    holds("images", "two have the same name or reference", names.len() == count && references.len() == count)
}

fn names(image: &Image) -> Result<(), BundleError> {
    if !is_word(&image.name) {
        return Err(BundleError::Field { field: "images", why: "a name is empty, too long, or not plain" });
    }
    if !is_reference(&image.reference) {
        return Err(BundleError::Image {
            name: image.name.clone(),
            why: "has no full reference with a registry and a tag",
        });
    }
    Ok(())
}

/// Every path is one, and all of them can lie beside each other on a file system that folds case.
fn paths(entries: &[Entry]) -> Result<(), BundleError> {
    let mut files = HashMap::new();
    for entry in entries {
        let path = EntryPath::parse(entry.path.as_str())?;
        if let Some(other) = files.insert(path.as_str().to_ascii_lowercase(), entry.path.as_str()) {
            return Err(BundleError::Clash { one: other.into(), other: path.to_string() });
        }
    }
    let mut folders: HashMap<String, &str> = HashMap::new();
    for entry in entries {
        let path = entry.path.as_str();
        for (at, _) in path.match_indices('/') {
            let (folder, _) = path.split_at(at);
            let folded = folder.to_ascii_lowercase();
            let clashing = files.get(&folded).copied();
            let other = folders.entry(folded).or_insert(folder);
            if let Some(other) = clashing.or((*other != folder).then_some(*other)) {
                return Err(BundleError::Clash { one: other.into(), other: path.into() });
            }
        }
    }
    Ok(())
}

fn blobs(manifest: &Manifest) -> Result<(), BundleError> {
    let refused = |entry: &Entry, why| Err(BundleError::Entry { path: entry.path.to_string(), why });
    let mut sizes = Sizes::new();
    for entry in &manifest.entries {
        let path = entry.path.as_str();
        if entry.size > LARGEST {
            return refused(entry, "is larger than an archive can say");
        }
        if entry.size == 0 && entry.sha256 != Digest::of(b"") {
            return refused(entry, "is empty and has another digest");
        }
        if path == head::MANIFEST || path.starts_with(".gitgrit/manifest.json.") {
            return refused(entry, "may not be listed");
        }
        if path.starts_with("blobs/") {
            if path.strip_prefix(BLOBS).and_then(Digest::parse) != Some(entry.sha256)
                || entry.mode != super::Mode::Plain
            {
                return refused(entry, "is a blob, and not under its own digest");
            }
            sizes.insert(entry.sha256, entry.size);
        }
    }
    for image in &manifest.images {
        let refused = |why| Err(BundleError::Image { name: image.name.clone(), why });
        match oci::manifest(&image.id, &image.layers, &sizes) {
            None => return refused("misses its configuration or a layer"),
            Some(bytes) if Digest::of(&bytes) != image.manifest => {
                return refused("has a manifest that its parts do not make");
            }
            Some(bytes) if sizes.get(&image.manifest) != Some(&(bytes.len() as u64)) => {
                return refused("has a manifest that is missing or of another size");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn order(manifest: &Manifest) -> Result<(), BundleError> {
    let derived = head::entries(&head::derived(manifest)?)?;
    let is_file = |entry: &&Entry| !entry.path.as_str().starts_with(BLOBS);
    let behind = manifest.entries.iter().skip(derived.len());
    let files: BTreeSet<_> = behind.clone().filter(is_file).map(|entry| entry.path.clone()).collect();
    let wanted: Vec<_> =
        derived.iter().map(|entry| entry.path.clone()).chain(body_order(&files, &manifest.images)).collect();
    for (index, entry) in manifest.entries.iter().enumerate() {
        if wanted.get(index) != Some(&entry.path) {
            return Err(BundleError::Entry {
                path: entry.path.to_string(),
                why: "is not in its place, or belongs to no image",
            });
        }
    }
    if wanted.len() != manifest.entries.len() {
        return Err(BundleError::Image { name: "the last".into(), why: "misses a blob" });
    }
    match manifest.entries.iter().zip(&derived).find(|(entry, derived)| entry != derived) {
        Some((entry, _)) => {
            Err(BundleError::Entry { path: entry.path.to_string(), why: "is not what follows from the images" })
        }
        None => Ok(()),
    }
}

/// The list of digests is the one that the entries make, and the program is the one that is named.
fn generated(manifest: &Manifest) -> Result<(), BundleError> {
    let refused = |path: &str, why| Err(BundleError::Entry { path: path.into(), why });
    let sums = sums(manifest.entries.iter());
    match manifest.entry(SUMS) {
        Some(entry) if entry.sha256 == Digest::of(sums.as_bytes()) && entry.size == sums.len() as u64 => {}
        _ => return refused(SUMS, "is not the list of the files' digests"),
    }
    let program = manifest.entry(PROGRAM).map(|entry| entry.sha256);
    if program != manifest.program.as_ref().map(|program| program.sha256) {
        return refused(PROGRAM, "is not the program that the manifest names");
    }
    Ok(())
}

fn frames(manifest: &Manifest) -> Result<(), BundleError> {
    let planned = layout::plan(&manifest.entries, head::DERIVED.len(), manifest.profile, manifest.frames.len());
    let planned = planned.ok_or(BundleError::Frames("there are too few"))?;
    if planned.len() != manifest.frames.len() {
        return Err(BundleError::Frames("there are too many"));
    }
    for (planned, found) in planned.iter().zip(&manifest.frames) {
        if planned.size != found.size {
            return Err(BundleError::Frames("one holds more or less than its files"));
        }
        if found.packed == 0 || found.packed > frame::largest(found.size) {
            return Err(BundleError::Frames("one is larger than its content can become"));
        }
    }
    Ok(())
}

/// A plain word: letters, digits and `._+-`, at most 128.
fn is_word(text: &str) -> bool {
    let is_plain = |sign: u8| sign.is_ascii_alphanumeric() || b"._+-".contains(&sign);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(is_plain)
}

/// What Docker takes for a tag.
fn is_tag(text: &str) -> bool {
    is_word(text) && !text.contains('+') && !text.starts_with(['.', '-'])
}

fn is_rising(texts: &[String]) -> bool {
    texts.is_sorted_by(|one, next| one < next)
}

/// A full reference: a registry, at least one more part, a tag. Its short form means the same image, to people and to engines.
pub(crate) fn is_reference(text: &str) -> bool {
    let short = reference::short(text);
    let is_one = |text: &str| {
        docker::Reference::parse(text).is_ok_and(|found| found.tagged().is_some() && found.as_str() == text)
    };
    text.split_once('/').is_some_and(|(host, _)| !host.bytes().any(|sign| sign.is_ascii_uppercase()))
        && reference::whole(short) == text
        && is_one(text)
        && is_one(short)
}

#[cfg(test)]
#[path = "rules_test.rs"]
mod tests;
