//! How a bundle was made: an in-toto statement with SLSA's predicate, `.gitgrit/provenance.json`. Says nothing of the host, its
//! user or its folders, so that a second build can give the same bytes. It carries no signature of its own: the manifest's covers
//! it, and does not depend on who signs.
//!
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>, <https://slsa.dev/spec/v1.0/provenance>

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::sbom::json;
use super::{Digest, Profile};

/// Where it lies.
pub(crate) const PATH: &str = ".gitgrit/provenance.json";
/// What kind of build it was; docs/bundle-contents.md says what its parameters mean.
const KIND: &str = "urn:gitgrit:bundle-build:1";
const BUILDER: &str = "urn:gitgrit:gitgrit-ops";

/// What is said of a build.
pub(crate) struct Provenance {
    /// The commit of the tree, and whether it had changes.
    pub(crate) commit: String,
    pub(crate) is_dirty: bool,
    pub(crate) tag: String,
    pub(crate) profile: Profile,
    pub(crate) sequence: u64,
    pub(crate) epoch: u64,
    pub(crate) expires: Option<u64>,
    /// Version and commit of the program that built.
    pub(crate) builder: String,
    /// What was made from the commit.
    pub(crate) subjects: Vec<Material>,
    /// The images by name and reference, in their order.
    pub(crate) images: Vec<(String, String)>,
    /// What went in beside the tree, and the locks of the tree.
    pub(crate) materials: Vec<Material>,
}

/// A thing: the path of a file, the full reference of an image.
pub(crate) struct Material {
    pub(crate) name: String,
    /// Of a file its SHA-256, of an image its id.
    pub(crate) digest: Digest,
    /// What else is said of it.
    pub(crate) notes: BTreeMap<&'static str, Value>,
}

impl Material {
    pub(crate) fn of(name: &str, digest: Digest) -> Self {
        Self { name: name.to_owned(), digest, notes: BTreeMap::new() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource>,
    predicate_type: &'static str,
    predicate: Predicate,
}

#[derive(Serialize)]
struct Resource {
    name: String,
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Run,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: &'static str,
    external_parameters: Parameters,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Serialize)]
struct Parameters {
    tag: String,
    profile: &'static str,
    images: Vec<Named>,
    sequence: u64,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

#[derive(Serialize)]
struct Named {
    name: String,
    reference: String,
}

#[derive(Serialize)]
struct Run {
    builder: Builder,
}

#[derive(Serialize)]
struct Builder {
    id: &'static str,
    version: BTreeMap<&'static str, String>,
}

impl Provenance {
    /// The statement's bytes.
    pub(crate) fn document(self) -> Vec<u8> {
        let file = |Material { name, digest, notes }: Material| Resource {
            name,
            digest: BTreeMap::from([("sha256", digest.to_string())]),
            annotations: notes,
        };
        let tree = Resource {
            name: "source".into(),
            digest: BTreeMap::from([("gitCommit", self.commit)]),
            annotations: BTreeMap::from([("isDirty", self.is_dirty.into())]),
        };
        let images = self.images.into_iter().map(|(name, reference)| Named { name, reference });
        json(&Statement {
            kind: "https://in-toto.io/Statement/v1",
            subject: self.subjects.into_iter().map(file).collect(),
            predicate_type: "https://slsa.dev/provenance/v1",
            predicate: Predicate {
                build_definition: Definition {
                    build_type: KIND,
                    external_parameters: Parameters {
                        tag: self.tag,
                        profile: self.profile.name(),
                        images: images.collect(),
                        sequence: self.sequence,
                        epoch: self.epoch,
                        expires: self.expires,
                    },
                    resolved_dependencies: std::iter::once(tree).chain(self.materials.into_iter().map(file)).collect(),
                },
                run_details: Run {
                    builder: Builder { id: BUILDER, version: BTreeMap::from([("gitgrit-ops", self.builder)]) },
                },
            },
        })
    }
}
