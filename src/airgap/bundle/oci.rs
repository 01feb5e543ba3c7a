//! The documents that make a bundle an OCI layout and a docker archive at once. All of them follow from the manifest, byte
//! for byte, so that none of them can say anything else than what was signed.
//!
//! <https://github.com/opencontainers/image-spec>, "image-layout" and "manifest".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reference::short;
use super::{Arch, Digest, Image};

/// What `oci-layout` says.
pub(crate) const LAYOUT: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The largest configuration of an image, in bytes.
pub(crate) const CONFIG_LIMIT: u64 = 4 << 20;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How large each blob is, in bytes.
pub(crate) type Sizes = BTreeMap<Digest, u64>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OciManifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// What of an image's configuration has to agree with the manifest.
#[derive(Deserialize)]
struct Config {
    architecture: String,
    os: String,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The OCI manifest of an image. `None` when the size of a blob is not known.
pub(crate) fn manifest(config: &Digest, layers: &[Digest], sizes: &Sizes) -> Option<Vec<u8>> {
    let blob = |media_type, digest: &Digest| Some(descriptor(media_type, digest, *sizes.get(digest)?));
    let layers = layers.iter().map(|layer| blob(LAYER, layer)).collect::<Option<_>>()?;
    json(&OciManifest { schema_version: 2, media_type: MANIFEST, config: blob(CONFIG, config)?, layers })
}

/// `index.json`: each image under its short name and under the one that engines give it.
pub(crate) fn index(images: &[Image], arch: Arch, sizes: &Sizes) -> Option<Vec<u8>> {
    let one = |image: &Image| {
        let mut found = descriptor(MANIFEST, &image.manifest, *sizes.get(&image.manifest)?);
        found.platform = Some(Platform { architecture: arch.name(), os: "linux" });
        found.annotations.insert("io.containerd.image.name", image.reference.clone());
        found.annotations.insert("org.opencontainers.image.ref.name", short(&image.reference).to_owned());
        Some(found)
    };
    let manifests = images.iter().map(one).collect::<Option<_>>()?;
    json(&Index { schema_version: 2, media_type: INDEX, manifests })
}

/// `manifest.json`, which `docker load` reads.
pub(crate) fn docker(images: &[Image]) -> Option<Vec<u8>> {
    let path = |digest: &Digest| format!("blobs/sha256/{digest}");
    let one = |image: &Image| DockerImage {
        config: path(&image.id),
        repo_tags: vec![short(&image.reference).to_owned()],
        layers: image.layers.iter().map(path).collect(),
    };
    json(&images.iter().map(one).collect::<Vec<_>>())
}

/// What is wrong with an image's configuration, when it says something else than the manifest.
pub(crate) fn config_fault(config: &[u8], arch: Arch, layers: &[Digest]) -> Option<&'static str> {
    let Ok(config) = serde_json::from_slice::<Config>(config) else {
        return Some("has a configuration that does not read");
    };
    if config.os != "linux" || config.architecture != arch.name() {
        return Some("is for another system or processor");
    }
    let named = config.rootfs.diff_ids.iter().map(|text| Digest::parse_named(text));
    if !named.eq(layers.iter().map(|layer| Some(*layer))) {
        return Some("has other layers in its configuration than in the manifest");
    }
    None
}

fn descriptor(media_type: &'static str, digest: &Digest, size: u64) -> Descriptor {
    Descriptor { media_type, digest: digest.named(), size, platform: None, annotations: BTreeMap::new() }
}

fn json(value: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(value).ok()
}
