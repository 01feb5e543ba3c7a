//! A bundle without our program: stock zstd, tar, sha256sum, minisign, docker, skopeo and umoci read it. And what `inspect` and
//! `diff` say of it.

use std::path::Path;

use base::process::Program;
use serde_json::Value;
use vault::minisign::SecretKey;

use crate::bundle_forger::Draft;
use crate::require;
use crate::site::{Ground, out};

/// A layer with one file, and the image's configuration.
pub(crate) fn image() -> Draft {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_path("hello").unwrap();
    header.set_size(6);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append(&header, b"hello\n".as_slice()).unwrap();
    let layer = archive.into_inner().unwrap();
    let named = airgap::bundle::Digest::of(&layer).named();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{named}"]}}}}"#
    );
    Draft::of_image(&config, &[layer])
}

pub(crate) fn shell(home: &Path, script: &str) -> (bool, String) {
    let program = Program::new("sh").options(["-euc", script]).directory(home).env("HOME", home);
    let program = program.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let done = program.run(b"").unwrap();
    (done.status.success(), format!("{}{}", out(&done), done.stderr))
}

pub(crate) fn does(home: &Path, script: &str) -> String {
    let (is_done, said) = shell(home, script);
    assert!(is_done, "{script}: {said}");
    said
}

pub(crate) fn has(program: &str) -> bool {
    require::has(program, require::program(program).map(drop))
}

#[test]
fn plain_tools_unpack_and_check_it() {
    if !has("zstd") || !has("minisign") {
        return;
    }
    let (ground, key) = (Ground::new(), SecretKey::generate());
    std::fs::write(ground.home().join("x.ggb"), Draft::good().file(&key)).unwrap();
    does(
        ground.home(),
        "zstd -tq x.ggb && mkdir t && zstd -dc x.ggb | tar x -C t && cd t && sha256sum -c --quiet SHA256SUMS",
    );
    let line = key.public().line();
    does(ground.home(), &format!("cd t && minisign -V -P {line} -m .gitgrit/manifest.json"));
    let listed = does(ground.home(), "zstd -dc x.ggb | tar tv | sort -u | wc -l && find t -type f | wc -l");
    let counts: Vec<_> = listed.split_whitespace().collect();
    assert_eq!(counts[0], counts[1]);
    let modes = does(ground.home(), "zstd -dc x.ggb | tar tv --numeric-owner | cut -c1-14 | sort -u");
    assert_eq!(modes.trim(), "-rw-r--r-- 0/0");
}

#[test]
fn skopeo_and_umoci_read_its_layout() {
    if !has("zstd") || !has("skopeo") || !has("umoci") {
        return;
    }
    let ground = Ground::new();
    std::fs::write(ground.home().join("x.ggb"), image().file(&SecretKey::generate())).unwrap();
    does(ground.home(), "mkdir t && zstd -dc x.ggb | tar x -C t");
    let found = does(ground.home(), "skopeo inspect oci:t:gitgrit-app:1.0.0");
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((found["Architecture"].as_str(), found["Os"].as_str()), (Some("amd64"), Some("linux")));
    does(ground.home(), "umoci unpack --rootless --image t:gitgrit-app:1.0.0 u");
    assert_eq!(std::fs::read_to_string(ground.home().join("u/rootfs/hello")).unwrap(), "hello\n");
    does(ground.home(), "zstd -dc x.ggb > x.tar && skopeo inspect docker-archive:x.tar:gitgrit-app:1.0.0");
}

#[test]
fn docker_loads_it_under_the_id_that_the_manifest_names() {
    if !has("zstd") || !crate::engine::Engine::is_possible() {
        return;
    }
    let ground = Ground::new();
    let draft = image();
    let id = draft.images[0].id.named();
    std::fs::write(ground.home().join("x.ggb"), draft.file(&SecretKey::generate())).unwrap();
    let engine = crate::engine::Engine::start("{}", "");
    let docker = format!("docker -H {}", engine.address());
    does(ground.home(), &format!("zstd -dc x.ggb | {docker} load"));
    let found = does(ground.home(), &format!("{docker} image inspect --format '{{{{.Id}}}}' gitgrit-app:1.0.0"));
    assert_eq!(found.trim(), id);
}

fn bundle(ground: &Ground, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = ground.program().options(["bundle"]).options(arguments).run(b"").unwrap();
    (done.status.code(), out(&done), done.stderr)
}

#[test]
fn inspect_lists_what_is_inside_and_believes_nobody_unasked() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    let file = ground.home().join("x.ggb").display().to_string();
    std::fs::write(&file, Draft::good().file(&key)).unwrap();
    let line = key.public().line();
    let (code, said, words) = bundle(&ground, &["inspect", &file, "--public-key", &line]);
    assert_eq!((code, words.as_str()), (Some(0), ""));
    for wanted in [
        "gitgrit 1.0.0 for amd64\n",
        "sequence    5\n",
        "image app  docker.io/library/gitgrit-app:1.0.0  sha256:",
        "  0644             4  docs/a.md\n",
        "settings    AIRGAPPED SITE_URL\n",
        "migrations  0001_begin 0002_more\n",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let (code, said, _) = bundle(&ground, &["inspect", &file, "--untrusted", "--json"]);
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, found["signed_by"].as_array().map(Vec::len)), (Some(0), Some(0)));
    let layers = found["images"][0]["layers"].as_array().unwrap();
    assert_eq!((layers[0]["size"].as_u64(), layers[0]["packed"].as_u64()), (Some(13), None));
    assert_eq!((layers[1]["size"].as_u64(), layers[1]["packed"].as_u64().is_some()), (Some(70_400), true));
    let stranger = SecretKey::generate().public().line();
    let (code, _, words) = bundle(&ground, &["inspect", &file, "--public-key", &stranger]);
    assert_eq!(code, Some(13));
    assert!(words.starts_with("error[GG-BUNDLE-102]: "), "{words}");
}

#[test]
fn diff_says_in_sentences_what_changes() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    let at = |name: &str| ground.home().join(name).display().to_string();
    let (old, new) = (at("old.ggb"), at("new.ggb"));
    std::fs::write(&old, Draft::good().file(&key)).unwrap();
    let mut draft = Draft::good();
    draft.sequence = 6;
    draft.item("docs/a.md").content = b"# A, again\n".to_vec();
    draft.item("docs/b.md").path = "docs/c.md".into();
    let mut packed = draft.packed();
    packed.manifest.keys = vec!["NEW_KEY".into(), "SITE_URL".into()];
    packed.manifest.migrations.push("0003_third".into());
    std::fs::write(&new, packed.sealed(&key).file()).unwrap();
    let line = key.public().line();
    let (code, said, words) = bundle(&ground, &["diff", &old, &new, "--public-key", &line]);
    let wanted = format!(
        "From {old} to {new}:\nThe sequence changes from 5 to 6.\nThe file docs/a.md changes; it had 4 bytes and has 11.\n\
         The file docs/b.md is gone, it had 4 bytes.\nThe file docs/c.md is new, 4 bytes.\nThe setting NEW_KEY is new.\n\
         The setting AIRGAPPED is gone.\nThe migration 0003_third is new.\n\
         Nothing else changes: 1 images, 2 layers and 0 files stay as they are. New layers: 0 bytes.\n"
    );
    assert_eq!((code, said, words.as_str()), (Some(0), wanted, ""));
    // What says how a bundle was made is no less a change, when nothing else explains it.
    for content in ["one", "two"] {
        let mut draft = Draft::good();
        draft.item("docs/a.md").path = ".gitgrit/provenance.json".into();
        draft.item(".gitgrit/provenance.json").content = content.into();
        let place = draft.items.iter().position(|item| item.path.starts_with(".gitgrit/")).unwrap();
        let item = draft.items.remove(place);
        draft.items.insert(0, item);
        std::fs::write(at(content), draft.file(&key)).unwrap();
    }
    let (_, said, words) = bundle(&ground, &["diff", &at("one"), &at("two"), "--untrusted"]);
    assert!(said.contains("The file .gitgrit/provenance.json changes; it had 3 bytes and has 3.\n"), "{said}{words}");
    let (_, said, words) = bundle(&ground, &["diff", &old, &old, "--untrusted"]);
    assert_eq!(said, format!("From {old} to {old}:\nNothing changes.\n"));
    assert!(words.starts_with("warning: no signature was checked"), "{words}");
    let (_, said, _) = bundle(&ground, &["diff", &old, &new, "--untrusted", "--json"]);
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((found["is_same"].as_bool(), found["migrations"]["new"][0].as_str()), (Some(false), Some("0003_third")));
}
