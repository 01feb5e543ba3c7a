//! Bills of materials: what an image or the program is made of, as far as it is known, in the two formats that others read.
//! The same content gives the same bytes: identifiers come from digests, and every time is the bundle's.

use std::fmt::Write;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Digest;
use super::dpkg::{OsRelease, Package};
use super::layer_facts::Inventory;

/// Where bills lie in a bundle.
pub(crate) const FOLDER: &str = ".gitgrit/sbom";
/// What the program's is called; no image may be called so.
pub(crate) const PROGRAM: &str = "gitgrit-ops";

/// What a bill is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// An image; its digest is its id.
    Image,
    /// A program; its digest is its file's.
    Program,
}

/// A part of the whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it is known under this name; <https://github.com/package-url/purl-spec>.
    pub(crate) purl: String,
    /// The SHA-256 of what it was made from, where that is known.
    pub(crate) sha256: Option<String>,
}

/// A bill of materials.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) of: Whole,
    /// What it is called, as in `docker.io/library/gitgrit-app`.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
    /// In words: where the parts were read, and what is not known.
    pub(crate) note: String,
    /// How much of the whole the parts are, in CycloneDX's words: `complete`, `incomplete` or `unknown`.
    pub(crate) aggregate: &'static str,
    pub(crate) release: Option<OsRelease>,
    /// Sorted, each once.
    pub(crate) parts: Vec<Part>,
    /// Of everything in the bundle, in seconds since 1970.
    pub(crate) epoch: u64,
    /// The version of the program that wrote it.
    pub(crate) tool: String,
}

impl Bill {
    /// The bill of an image, from what its layers say.
    pub(crate) fn of_image(
        reference: &str,
        digest: Digest,
        found: Inventory,
        layers: usize,
        (epoch, tool): (u64, &str),
    ) -> Self {
        let (name, version) = reference.rsplit_once(':').unwrap_or((reference, ""));
        let release = found.release;
        let (is_known, aggregate) = match &found.packages {
            Some(_) => (true, "incomplete"),
            None => (false, "unknown"),
        };
        let mut note = if is_known {
            format!(
                "The packages are those that dpkg lists in the image's {layers} layers. Files that belong to no package are not listed."
            )
        } else {
            format!("No list of packages is in the image's {layers} layers: only its files are known.")
        };
        if is_known && release.is_none() {
            note.push_str(" The image does not say which distribution they are of.");
        }
        let parts = found.packages.unwrap_or_default().into_iter().map(|package| {
            let purl = package_url(&package, release.as_ref());
            Part { name: package.name, version: package.version, purl, sha256: None }
        });
        let parts = parts.collect();
        let (name, version, tool) = (name.to_owned(), version.to_owned(), tool.to_owned());
        Self { of: Whole::Image, name, version, digest, note, aggregate, release, parts, epoch, tool }
    }

    /// Both documents with the paths that they have in a bundle, for the image or program `name`.
    pub(crate) fn documents(&self, name: &str) -> [(String, Vec<u8>); 2] {
        [
            (path(name, "spdx"), super::sbom_spdx::document(self)),
            (path(name, "cdx"), super::sbom_cyclonedx::document(self)),
        ]
    }

    /// A UUID of this bill: the same for the same content. RFC 9562, 5.8, "UUID version 8".
    pub(crate) fn uuid(&self, format: &str) -> String {
        let Self { name, version, digest, note, epoch, tool, .. } = self;
        let parts: Vec<_> = self.parts.iter().map(|part| part.purl.as_str()).collect();
        let said = format!("{format}\n{name}\n{version}\n{digest}\n{note}\n{epoch}\n{tool}\n{}", parts.join("\n"));
        let hex = Digest::of(said.as_bytes()).to_string();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }

    /// When everything in the bundle was made.
    pub(crate) fn time(&self) -> String {
        let seconds = i64::try_from(self.epoch).unwrap_or_default();
        let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        time.format(&Rfc3339).unwrap_or_default()
    }

    /// Where the whole is known under its name; the program is nowhere.
    pub(crate) fn purl(&self) -> String {
        match self.of {
            Whole::Image => image_url(&self.name, &self.digest),
            Whole::Program => {
                let (name, version) = (encoded(&self.name), encoded(&self.version));
                format!("pkg:generic/{name}@{version}?checksum=sha256:{}", self.digest)
            }
        }
    }
}

/// Where a package is known. Advisories are about source packages; without a distribution it is nobody's.
fn package_url(package: &Package, release: Option<&OsRelease>) -> String {
    let (name, version, arch) = (encoded(&package.name), encoded(&package.version), &package.arch);
    let source = package.source.as_ref().map(|source| {
        let version = source.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        format!("&upstream={}", encoded(&format!("{}{version}", source.name)))
    });
    let source = source.unwrap_or_default();
    let Some(OsRelease { id, version: release, .. }) = release else {
        return format!("pkg:generic/{name}@{version}?arch={arch}{source}");
    };
    let of = if release.is_empty() { String::new() } else { format!("&distro={id}-{release}") };
    format!("pkg:deb/{id}/{name}@{version}?arch={arch}{of}{source}")
}

/// Where an image of this full name is known: without a registry in it, a package URL means Docker's.
fn image_url(name: &str, digest: &Digest) -> String {
    let (registry, path) = name.split_once('/').unwrap_or(("", name));
    let is_docker = registry == "docker.io";
    let path = path.strip_prefix("library/").filter(|_| is_docker).unwrap_or(path);
    let path: Vec<_> = path.split('/').map(encoded).collect();
    let of = if is_docker { String::new() } else { format!("?repository_url={}", encoded(registry)) };
    format!("pkg:docker/{}@sha256%3A{digest}{of}", path.join("/"))
}

/// Where the document of `format` lies for `name`.
pub(crate) fn path(name: &str, format: &str) -> String {
    format!("{FOLDER}/{name}.{format}.json")
}

/// `text` as a part of a package URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text has no way to fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// JSON with two spaces of indentation, and a line feed at its end.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    // Plain texts have no way to fail.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
#[path = "sbom_test.rs"]
mod tests;
