//! The law of the rooms, held by tests: which room may name which, and which room may name which crate.
//! Reads manifests and sources; never changes one. What is wrong is listed whole, so that one run shows it all.

use std::path::Path;

use base::process::Program;
use serde::Deserialize;

/// Which rooms a room may name. A room that is not here does not exist.
const EDGES: [(&str, &[&str]); 12] = [
    ("base", &[]),
    ("checks", &["base"]),
    ("docker", &["base"]),
    ("git", &["base"]),
    ("policy", &["base"]),
    ("store", &["base"]),
    ("vault", &["base"]),
    ("workflow", &["base"]),
    ("airgap", &["base", "checks", "docker", "git", "store", "vault"]),
    ("forge", &["base", "git", "policy", "store", "vault", "workflow"]),
    ("serve", &["base", "forge"]),
    ("gitgrit-ops", &["airgap", "base", "checks", "docker", "forge", "serve", "vault"]),
];

/// Which rooms may name an outside crate; a crate that is not here may be named anywhere. Tests of a room may name more.
const CRATES: &[(&str, &[&str])] = &[
    ("argon2", &["vault"]),
    ("askama", &["serve"]),
    ("aws-lc-rs", &["checks", "vault"]),
    ("axum", &["serve"]),
    ("blake2", &["vault"]),
    ("blake3", &["vault"]),
    ("bollard", &["docker"]),
    ("clap", &["gitgrit-ops"]),
    ("clap_complete", &["gitgrit-ops"]),
    ("clap_mangen", &["gitgrit-ops"]),
    ("deadpool-postgres", &["store"]),
    ("gix", &["git"]),
    ("indicatif", &["gitgrit-ops"]),
    ("landlock", &["base"]),
    ("libc", &["base"]),
    ("postgres", &["airgap"]),
    ("qrcode", &["serve"]),
    ("rcgen", &["vault"]),
    ("redis", &["store"]),
    ("reqwest", &["checks", "serve"]),
    ("rusqlite", &["store"]),
    ("russh", &["serve"]),
    ("rustls-pemfile", &["checks"]),
    ("scrypt", &["vault"]),
    ("seccompiler", &["base"]),
    ("tar", &["airgap"]),
    ("tokio", &["checks", "docker", "forge", "git", "gitgrit-ops", "serve", "store"]),
    ("tokio-postgres", &["store"]),
    ("tokio-postgres-rustls", &["store"]),
    ("toml", &["airgap"]),
    ("tower-http", &["serve"]),
    ("utoipa", &["serve"]),
    ("zstd", &["airgap"]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// The root of the source tree.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Panics with every fault in a line of its own, when there is one.
pub(crate) fn hold(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} broken:\n{}", faults.len(), faults.join("\n"));
}

fn metadata() -> Vec<Package> {
    let done = Program::new(env!("CARGO"))
        .options(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .directory(root())
        .run(b"")
        .unwrap();
    assert!(done.status.success(), "cargo metadata: {}", done.stderr);
    serde_json::from_slice::<Metadata>(&done.stdout).unwrap().packages
}

fn allowed(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(listed, _)| *listed == name).map(|(_, allowed)| *allowed)
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let mut faults = Vec::new();
    for package in metadata() {
        let Some(edges) = allowed(&EDGES, &package.name) else {
            faults.push(format!("room `{}` is not in the table of rooms", package.name));
            continue;
        };
        let rooms = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        for room in rooms.filter(|room| !edges.contains(&room.name.as_str())) {
            faults.push(format!("`{}` may not name `{}`", package.name, room.name));
        }
    }
    hold(faults);
}

#[test]
fn every_room_is_a_flat_folder_under_src_with_its_own_name() {
    let packages = metadata();
    let rooms = packages.iter().filter(|package| package.name != "gitgrit-ops");
    let misplaced = rooms.filter(|room| {
        let manifest = Path::new(&room.manifest_path);
        manifest != root().join("src").join(&room.name).join("Cargo.toml")
    });
    hold(misplaced.map(|room| format!("room `{}` is at {}", room.name, room.manifest_path)).collect());
}

#[test]
fn outside_crates_enter_through_their_own_rooms() {
    let mut faults = Vec::new();
    for package in metadata() {
        let shipped = package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        for dependency in shipped {
            let rooms = allowed(CRATES, &dependency.name);
            if rooms.is_some_and(|rooms| !rooms.contains(&package.name.as_str())) {
                faults.push(format!("`{}` may not name the crate `{}`", package.name, dependency.name));
            }
        }
    }
    hold(faults);
}

#[test]
fn one_crypto_provider_is_in_the_tree() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let banned = ["openssl-sys", "native-tls", "ring"];
    // The lock also lists what only other platforms build, so ask what this one does.
    let done = Program::new(env!("CARGO"))
        .options(["tree", "--offline", "--locked", "--workspace", "--edges", "normal,build", "--prefix", "none"])
        .options(["--format", "{p}"])
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .directory(root())
        .run(b"")
        .unwrap();
    assert!(done.status.success(), "cargo tree: {}", done.stderr);
    assert!(lock.contains("name = \"aws-lc-rs\""));
    let tree = String::from_utf8_lossy(&done.stdout);
    let found = banned.into_iter().filter(|name| tree.lines().any(|line| line.starts_with(&format!("{name} v"))));
    hold(found.map(|name| format!("`{name}` is in the tree")).collect());
}
