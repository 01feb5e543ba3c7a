//! A bill of materials in CycloneDX 1.5, as JSON. <https://cyclonedx.org/docs/1.5/json/>. It is also what `bundle inspect` and
//! `bundle diff` read packages from.

use serde::{Deserialize, Serialize};

use super::sbom::{Bill, Whole, json};

const WHOLE: &str = "whole";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'b> {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'b>,
    components: Vec<Component<'b>>,
    dependencies: [Dependency<'b>; 1],
    compositions: [Composition; 1],
}

#[derive(Serialize)]
struct Metadata<'b> {
    timestamp: String,
    tools: Tools<'b>,
    component: Component<'b>,
    properties: [Property<'b>; 1],
}

#[derive(Serialize)]
struct Tools<'b> {
    components: [Tool<'b>; 1],
}

#[derive(Serialize)]
struct Tool<'b> {
    r#type: &'static str,
    name: &'static str,
    version: &'b str,
}

#[derive(Serialize)]
struct Property<'b> {
    name: &'static str,
    value: &'b str,
}

#[derive(Serialize)]
struct Component<'b> {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    id: &'b str,
    name: &'b str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'b str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency<'b> {
    r#ref: &'static str,
    depends_on: Vec<&'b str>,
}

#[derive(Serialize)]
struct Composition {
    aggregate: &'static str,
    assemblies: [&'static str; 1],
}

/// The document's bytes.
pub(crate) fn document(bill: &Bill) -> Vec<u8> {
    let hash = |content| Hash { alg: "SHA-256", content };
    let whole = Component {
        r#type: if bill.of == Whole::Image { "container" } else { "application" },
        id: WHOLE,
        name: &bill.name,
        version: &bill.version,
        hashes: vec![hash(bill.digest.to_string())],
        purl: Some(bill.purl()),
    };
    let release = bill.release.as_ref().map(|release| Component {
        r#type: "operating-system",
        id: "operating-system",
        name: &release.id,
        version: &release.version,
        hashes: Vec::new(),
        purl: None,
    });
    let parts = bill.parts.iter().map(|part| Component {
        r#type: "library",
        id: &part.purl,
        name: &part.name,
        version: &part.version,
        hashes: part.sha256.clone().map(hash).into_iter().collect(),
        purl: Some(part.purl.clone()),
    });
    let components: Vec<_> = release.into_iter().chain(parts).collect();
    json(&Document {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        serial_number: format!("urn:uuid:{}", bill.uuid("CycloneDX-1.5")),
        version: 1,
        metadata: Metadata {
            timestamp: bill.time(),
            tools: Tools { components: [Tool { r#type: "application", name: "gitgrit-ops", version: &bill.tool }] },
            component: whole,
            properties: [Property { name: "gitgrit:note", value: &bill.note }],
        },
        dependencies: [Dependency { r#ref: WHOLE, depends_on: components.iter().map(|part| part.id).collect() }],
        compositions: [Composition { aggregate: bill.aggregate, assemblies: [WHOLE] }],
        components,
    })
}

/// What is read of a document again.
#[derive(Deserialize)]
struct Read {
    metadata: ReadMetadata,
    components: Vec<ReadComponent>,
}

#[derive(Deserialize)]
struct ReadMetadata {
    properties: Vec<ReadProperty>,
}

#[derive(Deserialize)]
struct ReadProperty {
    value: String,
}

#[derive(Deserialize)]
struct ReadComponent {
    r#type: String,
    name: String,
    #[serde(default)]
    version: String,
}

/// The names and versions of the parts, and what is said of them in words; `None` when the document is none of ours.
pub(crate) fn parts(document: &[u8]) -> Option<(Vec<(String, String)>, String)> {
    let found: Read = serde_json::from_slice(document).ok()?;
    let note = found.metadata.properties.into_iter().next()?.value;
    let is_part = |component: &ReadComponent| component.r#type == "library";
    let parts = found.components.into_iter().filter(is_part).map(|component| (component.name, component.version));
    let parts: Vec<_> = parts.collect();
    let is_plain = |text: &str| !text.contains(|sign: char| sign.is_control());
    let is_shown = is_plain(&note) && parts.iter().all(|(name, version)| is_plain(name) && is_plain(version));
    is_shown.then_some((parts, note))
}
