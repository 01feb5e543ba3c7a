//! Both formats, held against what their specifications ask for.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::dpkg::{Package, Source};
use super::*;

fn bill() -> Bill {
    let package = |name: &str, version: &str, source: Option<&str>| Package {
        name: name.into(),
        version: version.into(),
        arch: "amd64".into(),
        source: source.map(|source| Source { name: source.into(), version: Some("12.2.0-14".into()) }),
    };
    let found = Inventory {
        packages: Some(
            [package("libstdc++6", "12.2.0-14+deb12u1", Some("gcc-12")), package("git", "1:2.39.5-0+deb12u2", None)]
                .into(),
        ),
        release: Some(OsRelease { id: "debian".into(), version: "12".into(), name: "Debian GNU/Linux 12".into() }),
    };
    let digest = Digest::of(b"configuration");
    Bill::of_image("docker.io/library/gitgrit-app:v1", digest, found, 2, (1_700_000_000, "0.1.0"))
}

fn documents(bill: &Bill) -> [Value; 2] {
    bill.documents("app").map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap())
}

fn text<'v>(value: &'v Value, at: &str) -> &'v str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {at} of {value}"))
}

fn list<'v>(value: &'v Value, at: &str) -> &'v [Value] {
    value.pointer(at).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {at} of {value}"))
}

/// SPDX 2.3: clauses 6 (document), 7 (package) and 11 (relationship).
fn hold_spdx(document: &Value) {
    assert_eq!(text(document, "/spdxVersion"), "SPDX-2.3");
    assert_eq!(text(document, "/dataLicense"), "CC0-1.0");
    assert_eq!(text(document, "/SPDXID"), "SPDXRef-DOCUMENT");
    assert!(!text(document, "/name").is_empty());
    let namespace = text(document, "/documentNamespace");
    assert!(namespace.starts_with("https://") && !namespace.contains('#'), "{namespace}");
    let created = text(document, "/creationInfo/created");
    assert!(created.len() == 20 && created.ends_with('Z') && created.contains('T'), "{created}");
    assert!(list(document, "/creationInfo/creators").iter().all(|one| one.as_str().unwrap().starts_with("Tool: ")));
    let mut ids = BTreeSet::new();
    for package in list(document, "/packages") {
        let id = text(package, "/SPDXID");
        let rest = id.strip_prefix("SPDXRef-").unwrap();
        assert!(
            rest.bytes().all(|sign| sign.is_ascii_alphanumeric() || b".-".contains(&sign)) && ids.insert(id),
            "{id}"
        );
        assert!(!text(package, "/name").is_empty() && !text(package, "/downloadLocation").is_empty());
        assert_eq!(package["filesAnalyzed"], Value::Bool(false));
        for checksum in package.get("checksums").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!((text(checksum, "/algorithm"), text(checksum, "/checksumValue").len()), ("SHA256", 64));
        }
        // The words of the schema's enumeration of `primaryPackagePurpose`.
        let purposes = ["APPLICATION", "ARCHIVE", "CONTAINER", "DEVICE", "FILE", "FIRMWARE", "FRAMEWORK", "INSTALL"];
        let purpose = package.get("primaryPackagePurpose").map_or("FILE", |purpose| purpose.as_str().unwrap());
        assert!(
            purposes.into_iter().chain(["LIBRARY", "OPERATING_SYSTEM", "OTHER", "SOURCE"]).any(|one| one == purpose)
        );
        for reference in list(package, "/externalRefs") {
            let kind = (text(reference, "/referenceCategory"), text(reference, "/referenceType"));
            assert_eq!(kind, ("PACKAGE-MANAGER", "purl"));
            assert!(text(reference, "/referenceLocator").starts_with("pkg:"));
        }
    }
    ids.insert("SPDXRef-DOCUMENT");
    let relationships = list(document, "/relationships");
    for one in relationships {
        assert!(["DESCRIBES", "CONTAINS", "DEPENDS_ON"].contains(&text(one, "/relationshipType")));
        assert!(ids.contains(text(one, "/spdxElementId")) && ids.contains(text(one, "/relatedSpdxElement")));
    }
    let describes = relationships.iter().filter(|one| text(one, "/relationshipType") == "DESCRIBES").count();
    assert_eq!((describes, relationships.len()), (1, ids.len() - 1));
}

/// CycloneDX 1.5: what its schema requires and restricts.
fn hold_cyclonedx(document: &Value) {
    assert_eq!((text(document, "/bomFormat"), text(document, "/specVersion")), ("CycloneDX", "1.5"));
    assert_eq!(document["version"], 1);
    let serial = text(document, "/serialNumber").strip_prefix("urn:uuid:").unwrap();
    let lengths: Vec<_> = serial.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert!(serial.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{serial}");
    let kinds = ["application", "container", "library", "operating-system"];
    let aggregates = ["complete", "incomplete", "unknown"];
    let mut ids = BTreeSet::new();
    for component in list(document, "/components").iter().chain([&document["metadata"]["component"]]) {
        assert!(kinds.contains(&text(component, "/type")) && !text(component, "/name").is_empty());
        assert!(ids.insert(text(component, "/bom-ref")), "{component}");
        for hash in component.get("hashes").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!((text(hash, "/alg"), text(hash, "/content").len()), ("SHA-256", 64));
        }
    }
    for dependency in list(document, "/dependencies") {
        let named = list(dependency, "/dependsOn").iter().map(|one| one.as_str().unwrap());
        assert!(named.chain([text(dependency, "/ref")]).all(|one| ids.contains(one)));
    }
    for composition in list(document, "/compositions") {
        assert!(aggregates.contains(&text(composition, "/aggregate")));
    }
}

#[test]
fn both_documents_hold_what_their_formats_ask_for() {
    let [spdx, cyclonedx] = documents(&bill());
    hold_spdx(&spdx);
    hold_cyclonedx(&cyclonedx);
    assert_eq!(text(&spdx, "/creationInfo/created"), "2023-11-14T22:13:20Z");
    let purls: Vec<_> = list(&cyclonedx, "/components").iter().filter_map(|part| part["purl"].as_str()).collect();
    let wanted = [
        "pkg:deb/debian/git@1:2.39.5-0%2Bdeb12u2?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14",
    ];
    assert_eq!(purls, wanted);
    let lock = include_str!("../../../Cargo.lock");
    let program = super::super::crates::bill(Digest::of(b"program"), None, true, Some(lock), (0, "0.1.0")).unwrap();
    let [spdx, cyclonedx] = documents(&program);
    hold_spdx(&spdx);
    hold_cyclonedx(&cyclonedx);
}

#[test]
fn the_same_content_has_the_same_identifiers_and_other_content_others() {
    let ids = |bill: &Bill| {
        let [spdx, cyclonedx] = documents(bill);
        (text(&spdx, "/documentNamespace").to_owned(), text(&cyclonedx, "/serialNumber").to_owned())
    };
    assert_eq!(ids(&bill()), ids(&bill()));
    let other = Bill { digest: Digest::of(b"another"), ..bill() };
    assert!(ids(&bill()).0 != ids(&other).0 && ids(&bill()).1 != ids(&other).1);
}

#[test]
fn an_image_is_known_at_its_own_registry() {
    let digest = Digest::of(b"configuration");
    let cases = [
        ("docker.io/library/redis:7", format!("pkg:docker/redis@sha256%3A{digest}")),
        ("docker.io/team/redis:7", format!("pkg:docker/team/redis@sha256%3A{digest}")),
        (
            "registry.example:5000/a/b/redis:7",
            format!("pkg:docker/a/b/redis@sha256%3A{digest}?repository_url=registry.example:5000"),
        ),
        ("localhost/redis:7", format!("pkg:docker/redis@sha256%3A{digest}?repository_url=localhost")),
    ];
    for (reference, wanted) in cases {
        let bill = Bill::of_image(reference, digest, Inventory::default(), 1, (0, "0.1.0"));
        assert_eq!(bill.purl(), wanted);
    }
}

#[test]
fn packages_of_no_known_distribution_are_given_to_none() {
    let package = Package { name: "git".into(), version: "1:2.39".into(), arch: "amd64".into(), source: None };
    let found = Inventory { packages: Some([package].into()), release: None };
    let bill = Bill::of_image("docker.io/library/x:1", Digest::of(b""), found, 1, (0, "0.1.0"));
    let [spdx, cyclonedx] = documents(&bill);
    hold_spdx(&spdx);
    hold_cyclonedx(&cyclonedx);
    assert_eq!(text(&cyclonedx, "/components/0/purl"), "pkg:generic/git@1:2.39?arch=amd64");
    assert!(text(&spdx, "/comment").ends_with("does not say which distribution they are of."));
}

#[test]
fn an_image_without_a_list_of_packages_says_that_only_files_are_known() {
    let found = Inventory::default();
    let bill = Bill::of_image("docker.io/library/x:1", Digest::of(b""), found, 1, (0, "0.1.0"));
    let [spdx, cyclonedx] = documents(&bill);
    hold_spdx(&spdx);
    hold_cyclonedx(&cyclonedx);
    assert!(text(&spdx, "/comment").ends_with("only its files are known."));
    assert_eq!(text(&cyclonedx, "/compositions/0/aggregate"), "unknown");
    let (_, document) = bill.documents("x").into_iter().nth(1).unwrap();
    let (parts, note) = super::super::sbom_cyclonedx::parts(&document).unwrap();
    assert!(parts.is_empty() && note.contains("only its files"));
}
