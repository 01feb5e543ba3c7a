//! Verified content, wherever it comes from: a file that was verified as a whole, or a stream that is checked as it passes. What
//! images are loaded into takes it from here, and knows nothing of frames.

use std::io::{self, Read};

use super::{BundleError, Digest, Manifest, Verified, oci};

/// Content of a bundle whose signatures were judged; no byte of it is given out unchecked.
pub trait Source: Sync {
    /// What the bundle holds.
    fn manifest(&self) -> &Manifest;

    /// The content of a blob, which must be taken in the bundle's order. Its frames are checked; with `is_hashed` its last bytes come
    /// only when its own SHA-256 is right, which an engine or a registry would find out itself.
    fn blob(&self, digest: &Digest, is_hashed: bool) -> io::Result<Box<dyn Read + Send + '_>>;

    /// Says whether all of the bundle held, to its last byte. Nothing is to be given a name before.
    fn hold(&self) -> Result<(), BundleError>;
}

impl Source for Verified<'_> {
    fn manifest(&self) -> &Manifest {
        Verified::manifest(self)
    }

    fn blob(&self, digest: &Digest, is_hashed: bool) -> io::Result<Box<dyn Read + Send + '_>> {
        let content = if is_hashed { self.content(&format!("blobs/sha256/{digest}")) } else { self.layer(digest) };
        Ok(Box::new(content?))
    }

    fn hold(&self) -> Result<(), BundleError> {
        Ok(())
    }
}

/// Each image's configuration says what the manifest says.
pub(crate) fn configurations(
    manifest: &Manifest,
    whole: impl Fn(&Digest) -> Result<Vec<u8>, BundleError>,
) -> Result<(), BundleError> {
    let sizes = manifest.sizes();
    for image in &manifest.images {
        let refused = |why| BundleError::Image { name: image.name.clone(), why };
        if sizes.get(&image.id).is_none_or(|size| *size > oci::CONFIG_LIMIT) {
            return Err(refused("has a configuration of more than 4 MiB"));
        }
        if let Some(why) = oci::config_fault(&whole(&image.id)?, manifest.arch, &image.layers) {
            return Err(refused(why));
        }
    }
    Ok(())
}

/// The blobs of all images in the bundle's order, each once: what describes them, then their layers.
pub(crate) fn blobs(manifest: &Manifest) -> impl Iterator<Item = (Digest, u64)> {
    let blobs = manifest.entries.iter().filter(|entry| entry.path.as_str().starts_with("blobs/"));
    blobs.map(|entry| (entry.sha256, entry.size))
}
