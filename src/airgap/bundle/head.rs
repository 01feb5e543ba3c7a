//! The head: the archive's first files, in one stored frame. It is taken apart without believing it, and after the
//! signatures were judged it is made again from the manifest: whatever differs by a byte is refused.

use super::manifest::MANIFEST_LIMIT;
use super::oci::{self, Sizes};
use super::ustar::{self, BLOCK, padding};
use super::{BundleError, Digest, Entry, EntryPath, Manifest, Mode, Signature, signature};

/// Where the manifest is.
pub(crate) const MANIFEST: &str = ".gitgrit/manifest.json";
/// The files before the manifest. All three follow from it.
pub(crate) const DERIVED: [&str; 3] = ["oci-layout", "index.json", "manifest.json"];
/// The largest head, in bytes: the manifest, the two lists of images, and the signatures.
pub(crate) const LIMIT: u64 = MANIFEST_LIMIT + (16 << 20);

/// What a head holds, before anything of it is believed.
pub(crate) struct Head {
    /// The manifest as it is signed.
    pub(crate) manifest: Vec<u8>,
    /// The signatures, in their order.
    pub(crate) signatures: Vec<Signature>,
}

/// Takes the archive of a head apart.
pub(crate) fn take(archive: &[u8]) -> Result<Head, BundleError> {
    let mut rest = archive;
    for path in DERIVED {
        let (header, _) = next(&mut rest)?;
        if header.path != path {
            return Err(BundleError::Head("its first files are not `oci-layout`, `index.json` and `manifest.json`"));
        }
    }
    let (header, manifest) = next(&mut rest)?;
    if header.path != MANIFEST {
        return Err(BundleError::Head("its fourth file is not the manifest"));
    }
    if header.size > MANIFEST_LIMIT {
        return Err(BundleError::TooLarge { what: "the manifest", size: header.size, limit: MANIFEST_LIMIT });
    }
    let manifest = manifest.to_vec();
    let mut signatures: Vec<Signature> = Vec::new();
    while !rest.is_empty() {
        let (header, text) = next(&mut rest)?;
        if !header.path.starts_with(".gitgrit/manifest.json.") {
            return Err(BundleError::Head("a file of it is neither known nor a signature"));
        }
        if header.size > signature::LONGEST || signatures.len() == signature::MOST {
            return Err(BundleError::Signature("it is too long, or one too many"));
        }
        let found = Signature::read(text)?;
        if header.path != place(signatures.len(), &found) {
            return Err(BundleError::Head("a signature lies under another name than its key's"));
        }
        signatures.push(found);
    }
    Ok(Head { manifest, signatures })
}

/// The archive of a head.
pub(crate) fn archive(manifest: &Manifest, bytes: &[u8], signatures: &[Signature]) -> Result<Vec<u8>, BundleError> {
    orderly(signatures)?;
    let mut archive = Vec::new();
    for (path, content) in DERIVED.into_iter().zip(derived(manifest)?) {
        add(&mut archive, path, &content, manifest.epoch)?;
    }
    add(&mut archive, MANIFEST, bytes, manifest.epoch)?;
    for (index, signature) in signatures.iter().enumerate() {
        add(&mut archive, &place(index, signature), signature.text().as_bytes(), manifest.epoch)?;
    }
    Ok(archive)
}

/// The contents of [`DERIVED`].
pub(crate) fn derived(manifest: &Manifest) -> Result<[Vec<u8>; 3], BundleError> {
    let blob = |entry: &Entry| Some((Digest::parse(entry.path.as_str().strip_prefix("blobs/sha256/")?)?, entry.size));
    let sizes: Sizes = manifest.entries.iter().filter_map(blob).collect();
    let found = oci::index(&manifest.images, manifest.arch, &sizes).zip(oci::docker(&manifest.images));
    let (index, docker) = found.ok_or(BundleError::Head("an image's blob is missing"))?;
    Ok([oci::LAYOUT.to_vec(), index, docker])
}

/// The entries of [`DERIVED`].
pub(crate) fn entries(contents: &[Vec<u8>; 3]) -> Result<Vec<Entry>, BundleError> {
    let one = |(path, content): (&str, &Vec<u8>)| {
        let (size, sha256) = (content.len() as u64, Digest::of(content));
        Ok(Entry { path: EntryPath::parse(path)?, size, mode: Mode::Plain, sha256 })
    };
    DERIVED.into_iter().zip(contents).map(one).collect()
}

/// The first signature lies where `minisign -V` looks for it, the others under the names of their keys.
fn place(index: usize, signature: &Signature) -> String {
    if index == 0 { format!("{MANIFEST}.minisig") } else { format!("{MANIFEST}.{}.minisig", signature.key()) }
}

/// No key twice, those behind the first sorted, and not too many.
fn orderly(signatures: &[Signature]) -> Result<(), BundleError> {
    let keys: Vec<_> = signatures.iter().map(Signature::key).collect();
    let others = keys.get(1..).unwrap_or_default();
    if keys.len() > signature::MOST {
        return Err(BundleError::Signature("there are more than 16"));
    }
    if !others.is_sorted_by(|one, next| one < next) || keys.first().is_some_and(|first| others.contains(first)) {
        return Err(BundleError::Signature("a key has two, or they are not in the order of their keys"));
    }
    Ok(())
}

fn add(archive: &mut Vec<u8>, path: &str, content: &[u8], epoch: u64) -> Result<(), BundleError> {
    let size = content.len() as u64;
    let header = ustar::header(path, size, Mode::Plain, epoch).ok_or(BundleError::Head("a header does not fit"))?;
    archive.extend_from_slice(&header);
    archive.extend_from_slice(content);
    archive.resize(archive.len() + padding(size), 0);
    Ok(())
}

/// The next file of an archive, and `rest` behind it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<(ustar::Header, &'a [u8]), BundleError> {
    let ends = BundleError::Head("the archive in it ends in the middle of a file");
    let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() else { return Err(ends) };
    let header = ustar::read(block).ok_or(BundleError::Head("a header in it is not one of ours"))?;
    let size = usize::try_from(header.size).ok().filter(|size| *size <= behind.len());
    let Some((content, behind)) = size.and_then(|size| behind.split_at_checked(size)) else { return Err(ends) };
    let Some((zeros, behind)) = behind.split_at_checked(padding(header.size)) else { return Err(ends) };
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(BundleError::Head("its padding is not of zeros"));
    }
    *rest = behind;
    Ok((header, content))
}
