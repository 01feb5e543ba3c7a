//! Images out of a verified bundle into a registry: blobs that it lacks, each once, and then the manifests. Until every blob is there no
//! tag of the registry's is touched. Layers go as they are in the bundle, uncompressed.

use std::collections::HashMap;
use std::io;

use checks::registry::{Registry, RegistryError};

use super::export::document;
use super::load::{Tell, Told};
use super::load_error::LoadError;
use super::source::Source;
use super::{BundleError, Digest, Image, Verified, reference};

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pushed {
    /// Bytes of blobs that were sent.
    pub sent: u64,
    /// Bytes of blobs that the registry had, or took from another repository.
    pub spared: u64,
}

/// Where an image goes: its repository without any registry of its own, and its tag.
fn target(image: &Image) -> (String, String) {
    let whole = reference::whole(reference::short(&image.reference));
    let path = whole.strip_prefix("docker.io/library/").or_else(|| whole.split_once('/').map(|(_, path)| path));
    let path = path.unwrap_or(&whole);
    let (name, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    (name.into(), tag.into())
}

/// Where all images go, in the bundle's order. Fails when two that are not the same would have one name.
pub fn targets(images: &[Image]) -> Result<Vec<(String, String)>, LoadError> {
    let mut taken: HashMap<(String, String), &Image> = HashMap::new();
    for image in images {
        let (name, tag) = target(image);
        if let Some(other) = taken.insert((name.clone(), tag.clone()), image).filter(|other| other.id != image.id) {
            let (one, next) = (other.reference.clone(), image.reference.clone());
            return Err(LoadError::Clash { one, next, name: format!("{name}:{tag}") });
        }
    }
    Ok(images.iter().map(target).collect())
}

/// Pushes all images. With `is_dry` it only asks what is there.
pub fn push(source: &Verified<'_>, registry: &Registry, is_dry: bool, tell: &Tell<'_>) -> Result<Pushed, LoadError> {
    let manifest = source.manifest();
    let sizes = manifest.sizes();
    let targets = targets(&manifest.images)?;
    let mut pushed = Pushed::default();
    // Where in the registry each blob is, as far as this run knows.
    let mut known: HashMap<Digest, String> = HashMap::new();
    for (image, (name, _)) in manifest.images.iter().zip(&targets) {
        let repository = registry.repository(name);
        for digest in std::iter::once(&image.id).chain(&image.layers) {
            let size = sizes.get(digest).copied().unwrap_or_default();
            if known.get(digest) == Some(&repository) {
                continue;
            }
            let is_there = registry.has_blob(&repository, &digest.named())?
                || (is_dry && known.contains_key(digest))
                || match known.get(digest).filter(|_| !is_dry) {
                    Some(other) => registry.mount(&repository, &digest.named(), other)?,
                    None => false,
                };
            if is_there {
                pushed.spared += size;
            } else {
                pushed.sent += size;
                if !is_dry {
                    send(source, registry, &repository, digest, tell)?;
                }
            }
            known.insert(*digest, repository.clone());
        }
    }
    base::fault::point("bundle:load:blobs");
    for (image, (name, tag)) in manifest.images.iter().zip(&targets).filter(|_| !is_dry) {
        let document = document(source, &image.manifest)?;
        registry.put_manifest(&registry.repository(name), tag, document, &image.manifest.named())?;
    }
    Ok(pushed)
}

fn send(
    source: &Verified<'_>,
    registry: &Registry,
    repository: &str,
    digest: &Digest,
    tell: &Tell<'_>,
) -> Result<(), LoadError> {
    let damaged = |error: io::Error| BundleError::within(error, "the bundle".as_ref());
    let mut content = source.blob(digest, false).map_err(damaged)?;
    let told = |more| {
        tell(Told::Sent(more));
        base::fault::point("bundle:load:sent");
    };
    let done = registry.upload(repository, &digest.named(), content.as_mut(), &told);
    done.map_err(|error| match error {
        RegistryError::Content { source } => damaged(source).into(),
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_images_with_one_name_are_refused() {
        let image = |reference: &str, content: &[u8]| {
            let digest = Digest::of(content);
            Image { name: "a".into(), reference: reference.into(), id: digest, manifest: digest, layers: vec![] }
        };
        let (here, there) = ("docker.io/library/redis:7", "registry.site/redis:7");
        let error = targets(&[image(here, b"1"), image(there, b"2")]).unwrap_err();
        assert_eq!(error.id(), Some("GG-BUNDLE-186"));
        assert!(error.to_string().contains(here) && error.to_string().contains(there), "{error}");
        let same = targets(&[image(here, b"1"), image(there, b"1"), image("docker.io/library/redis:8", b"2")]).unwrap();
        assert_eq!(same[0], same[1]);
    }

    #[test]
    fn an_image_goes_under_its_name_without_a_registry_of_its_own() {
        let of = |reference: &str| {
            let digest = Digest::of(b"");
            target(&Image {
                name: "a".into(),
                reference: reference.into(),
                id: digest,
                manifest: digest,
                layers: vec![],
            })
        };
        for (reference, name, tag) in [
            ("docker.io/library/gitgrit-app:v1", "gitgrit-app", "v1"),
            ("docker.io/team/app:v1", "team/app", "v1"),
            ("registry.example:5000/team/app:v1", "team/app", "v1"),
            ("localhost/app:v1", "app", "v1"),
        ] {
            assert_eq!(of(reference), (name.into(), tag.into()), "{reference}");
        }
    }
}
