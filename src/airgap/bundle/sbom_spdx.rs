//! A bill of materials in SPDX 2.3, as JSON. <https://spdx.github.io/spdx-spec/v2.3/>

use serde::Serialize;

use super::sbom::{Bill, Part, Whole, json};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const WHOLE: &str = "SPDXRef-Whole";
/// What the format has for "nobody looked".
const UNKNOWN: &str = "NOASSERTION";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'b> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'b str,
    #[serde(rename = "documentNamespace")]
    namespace: String,
    comment: &'b str,
    creation_info: CreationInfo,
    packages: Vec<Package<'b>>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'b> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'b str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version_info: &'b str,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: &'static str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    external_refs: [ExternalRef; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
struct ExternalRef {
    #[serde(rename = "referenceCategory")]
    category: &'static str,
    #[serde(rename = "referenceType")]
    kind: &'static str,
    #[serde(rename = "referenceLocator")]
    locator: String,
}

#[derive(Serialize)]
struct Relationship {
    #[serde(rename = "spdxElementId")]
    from: &'static str,
    #[serde(rename = "relationshipType")]
    kind: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    to: String,
}

/// The document's bytes.
pub(crate) fn document(bill: &Bill) -> Vec<u8> {
    let uuid = bill.uuid("SPDX-2.3");
    let whole = Package {
        primary_package_purpose: Some(match bill.of {
            Whole::Image => "CONTAINER",
            Whole::Program => "APPLICATION",
        }),
        ..package(WHOLE.into(), (&bill.name, &bill.version), Some(bill.digest.to_string()), bill.purl())
    };
    let release = bill.release.as_ref().map(|release| Package {
        primary_package_purpose: Some("OPERATING_SYSTEM"),
        ..package(
            "SPDXRef-OperatingSystem".into(),
            (&release.name, &release.version),
            None,
            format!("pkg:generic/{}", release.id),
        )
    });
    let parts = bill.parts.iter().enumerate().map(|(index, part)| {
        let Part { name, version, purl, sha256 } = part;
        package(format!("SPDXRef-Part-{index}"), (name, version), sha256.clone(), purl.clone())
    });
    let packages: Vec<_> = std::iter::once(whole).chain(release).chain(parts).collect();
    let describes = Relationship { from: DOCUMENT, kind: "DESCRIBES", to: WHOLE.into() };
    let kind = if bill.of == Whole::Image { "CONTAINS" } else { "DEPENDS_ON" };
    let contains = packages.iter().skip(1).map(|package| Relationship { from: WHOLE, kind, to: package.id.clone() });
    json(&Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: &bill.name,
        namespace: format!("https://spdx.org/spdxdocs/gitgrit-{uuid}"),
        comment: &bill.note,
        creation_info: CreationInfo { created: bill.time(), creators: [format!("Tool: gitgrit-ops-{}", bill.tool)] },
        relationships: std::iter::once(describes).chain(contains).collect(),
        packages,
    })
}

fn package<'b>(id: String, (name, version): (&'b str, &'b str), sha256: Option<String>, purl: String) -> Package<'b> {
    let checksum = |checksum_value| Checksum { algorithm: "SHA256", checksum_value };
    Package {
        id,
        name,
        version_info: version,
        download_location: UNKNOWN,
        files_analyzed: false,
        checksums: sha256.map(checksum).into_iter().collect(),
        license_concluded: UNKNOWN,
        license_declared: UNKNOWN,
        copyright_text: UNKNOWN,
        primary_package_purpose: None,
        external_refs: [ExternalRef { category: "PACKAGE-MANAGER", kind: "purl", locator: purl }],
    }
}
