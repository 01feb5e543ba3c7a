//! Deltas through the program's door: made, carried, applied to the bundle that they need and to none other; refused when they
//! are damaged or lie; killed, without room, and run again.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use airgap::bundle::{Digest, Manifest};
use serde_json::Value;

use crate::bundle_forger::Draft;
use crate::bundle_split::Bench;
use crate::bundle_travel::noise;

const OLD: &str = "gitgrit-0.9.0-amd64.ggb";
const NEW: &str = "gitgrit-1.0.0-amd64.ggb";

/// A bench with two bundles; the new one has a layer of which little has changed, and a document of other words.
fn bench() -> Bench {
    let bench = Bench::new();
    let layer = noise(1, 600_000);
    let mut changed = layer.clone();
    changed.splice(300_000..300_010, *b"something else");
    put(&bench, OLD, &layer, &|manifest| manifest.version = "0.9.0".into());
    put(&bench, NEW, &changed, &|_| ());
    bench
}

/// Writes a bundle whose manifest is changed before it is signed. Gives the size of its head.
fn put(bench: &Bench, name: &str, layer: &[u8], change: &dyn Fn(&mut Manifest)) -> usize {
    let named = airgap::bundle::Digest::of(layer).named();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{named}"]}}}}"#
    );
    let mut packed = Draft::of_image(&config, &[layer.to_vec()]).packed();
    change(&mut packed.manifest);
    let sealed = packed.sealed(&bench.key);
    std::fs::write(bench.path(name), sealed.file()).unwrap();
    sealed.edges()[1]
}

fn delta(bench: &Bench, more: &[&str]) -> Value {
    let line = bench.trust();
    bench.does(&[&["delta", NEW, "--public-key", &line], more].concat())
}

fn same(bench: &Bench, one: &str, other: &str) -> bool {
    std::fs::read(bench.path(one)).unwrap() == std::fs::read(bench.path(other)).unwrap()
}

#[test]
fn a_delta_goes_over_and_gives_the_new_bundle() {
    let bench = bench();
    let line = bench.trust();
    let planned = delta(&bench, &["--base", OLD, "--dry-run"]);
    let name = planned["file"].as_str().unwrap().to_owned();
    assert_eq!(name, "gitgrit-1.0.0-amd64.from-0.9.0.ggd");
    assert!(!bench.path(&name).exists());
    let made = delta(&bench, &["--base", OLD]);
    assert_eq!((&made["size"], made["patched"]["frames"].as_u64()), (&planned["size"], Some(1)), "{made}");
    assert!(made["size"].as_u64().unwrap() * 20 < made["full"].as_u64().unwrap(), "{made}");
    assert_eq!(std::fs::metadata(bench.path(&name)).unwrap().len(), made["size"].as_u64().unwrap());

    let apply = ["apply", &name, "--base", OLD, "--out", "out.ggb", "--public-key", &line];
    let checked = bench.does(&[&apply[..], &["--dry-run"]].concat());
    assert!(checked["dry_run"].as_bool().unwrap() && !bench.path("out.ggb").exists());
    let applied = bench.does(&apply);
    assert_eq!((&applied["version"], &applied["base"]), (&Value::from("1.0.0"), &Value::from("0.9.0")));
    assert!(same(&bench, NEW, "out.ggb"), "another bundle came out");
    bench.does(&["verify", "out.ggb", "--full", "--public-key", &line]);

    // The base may lie there in parts, and the target may tell what it has instead of sending it.
    bench.does(&["split", OLD, "--size", "200kB", "--out", "parts", "--public-key", &line]);
    bench.does(&["apply", &name, "--base", "parts", "--out", "parts.ggb", "--public-key", &line]);
    assert!(same(&bench, NEW, "parts.ggb"));
    let done = bench.run(&["inventory", OLD, "--public-key", &line, "--out", "inventory.json"]);
    assert!(done.status.success(), "{}", done.stderr);
    let told = bench.does(&["inventory", OLD, "--public-key", &line]);
    assert_eq!(told, serde_json::from_slice::<Value>(&std::fs::read(bench.path("inventory.json")).unwrap()).unwrap());
    let other = delta(&bench, &["--inventory", "inventory.json", "--out", "other.ggd"]);
    assert_eq!((other["patched"]["frames"].as_u64(), other["base"].as_str()), (Some(0), Some("0.9.0")));
    bench.does(&["apply", "other.ggd", "--base", OLD, "--out", "other.ggb", "--public-key", &line]);
    assert!(same(&bench, NEW, "other.ggb"));
}

#[test]
fn another_base_and_strangers_are_refused_before_anything_is_written() {
    let bench = bench();
    let line = bench.trust();
    delta(&bench, &["--base", OLD, "--out", "x.ggd"]);
    let before = listed(bench.ground.home());
    let needed = "needs the bundle gitgrit 0.9.0 (manifest sha256:";
    let apply = ["apply", "x.ggd", "--out", "out.ggb", "--public-key", &line];
    for (more, words) in [(&["--base", NEW][..], "this is 1.0.0 (manifest sha256:"), (&[], "and none was named")] {
        let (code, id, said) = bench.refused(&[&apply[..], more].concat());
        assert_eq!((code, id.as_str()), (14, "GG-BUNDLE-154"), "{said}");
        assert!(said.contains(needed) && said.contains(words), "{said}");
    }
    let stranger = vault::minisign::SecretKey::generate().public().line();
    let (code, id, _) =
        bench.refused(&["apply", "x.ggd", "--base", OLD, "--out", "out.ggb", "--public-key", &stranger]);
    assert_eq!((code, id.as_str()), (13, "GG-BUNDLE-102"));
    let two = ["--public-key", &stranger, "--threshold", "2"];
    let (code, id, _) = bench.refused(&[&apply[..], &["--base", OLD], &two].concat());
    assert_eq!((code, id.as_str()), (13, "GG-BUNDLE-102"));
    // A delta is no bundle, a bundle is no delta, and a base that was damaged is named.
    assert_eq!(bench.refused(&["verify", "x.ggd", "--public-key", &line]).1, "GG-BUNDLE-003");
    assert_eq!(bench.refused(&["apply", NEW, "--base", OLD, "--public-key", &line]).1, "GG-BUNDLE-150");
    let good = std::fs::read(bench.path(OLD)).unwrap();
    let mut bent = good.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    std::fs::write(bench.path(OLD), &bent).unwrap();
    let (code, id, said) = bench.refused(&[&apply[..], &["--base", OLD]].concat());
    assert_eq!((code, id.as_str()), (13, "GG-BUNDLE-162"), "{said}");
    std::fs::write(bench.path(OLD), &good).unwrap();
    assert_eq!(bench.refused(&["delta", NEW, "--base", NEW, "--public-key", &line]).1, "GG-BUNDLE-160");
    std::fs::write(bench.path("inventory.json"), "{}").unwrap();
    let (code, id, _) = bench.refused(&["delta", NEW, "--inventory", "inventory.json", "--public-key", &line]);
    assert_eq!((code, id.as_str()), (1, "GG-BUNDLE-161"));
    std::fs::remove_file(bench.path("inventory.json")).unwrap();
    assert_eq!(listed(bench.ground.home()), before, "something was written");
}

#[test]
fn damaged_deltas_are_refused_and_leave_nothing() {
    let bench = bench();
    let line = bench.trust();
    delta(&bench, &["--base", OLD, "--out", "x.ggd"]);
    let good = std::fs::read(bench.path("x.ggd")).unwrap();
    let before = listed(bench.ground.home());
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(bench.path("x.ggd"), bytes).unwrap();
        let (code, id, _) =
            bench.refused(&["apply", "x.ggd", "--base", OLD, "--out", "out.ggb", "--public-key", &line]);
        assert!(code == 13 && id.starts_with("GG-BUNDLE-"), "{what}: {code} {id}");
        assert_eq!(listed(bench.ground.home()), before, "{what} left something");
    };
    for number in 0..20 {
        let at = number * (good.len() - 1) / 19;
        let mut bent = good.clone();
        bent[at] ^= 1 << (number % 8);
        refused(&bent, &format!("a bit of byte {at}"));
        refused(&good[..at], &format!("cut at {at}"));
        // With the hash at the end made anew, what comes out is still compared with what is signed.
        let mut sealed = good[..at].to_vec();
        sealed.extend(airgap::bundle::Digest::of(&good[..at]).0);
        refused(&sealed, &format!("cut and sealed at {at}"));
    }
    refused(&[good.as_slice(), &good].concat(), "itself twice");
    refused(&[good.as_slice(), b"x"].concat(), "a byte behind");
}

#[test]
fn an_apply_that_was_killed_or_had_no_room_is_run_again() {
    let bench = bench();
    let line = bench.trust();
    let make = ["delta", NEW, "--base", OLD, "--out", "x.ggd", "--public-key", &line];
    let killed = |arguments: &[&str], place: &str| {
        let done = bench.verb(arguments).env("GITGRIT_FAULT", place).run(b"").unwrap();
        assert_eq!(done.status.signal(), Some(9), "{place}: {}", done.stderr);
    };
    killed(&make, "bundle:delta:written");
    assert!(!bench.path("x.ggd").exists());
    bench.does(&make);
    let apply = ["apply", "x.ggd", "--base", OLD, "--out", "out.ggb", "--public-key", &line];
    for place in ["bundle:apply:frame:0", "bundle:apply:frame:1", "bundle:apply:written"] {
        killed(&apply, place);
        assert!(!bench.path("out.ggb").exists(), "{place}");
    }
    bench.does(&apply);
    assert!(same(&bench, NEW, "out.ggb") && !bench.path("out.ggb.part").exists());
    if Bench::may_mount() {
        let verb = format!("apply x.ggd --base {OLD} --out small/out.ggb --public-key {line}");
        let (code, left) = bench.on_small("256k", "", &verb);
        assert_eq!((code, left.as_str()), (Some(15), ""));
        let said = std::fs::read_to_string(bench.path("said")).unwrap();
        assert!(said.contains("bytes, and") && said.contains("are free there"), "{said}");
        // There is room for one and a half: what the run that was killed has left is in nobody's way.
        let killed =
            format!("GITGRIT_FAULT=bundle:apply:written \"$0\" bundle {verb} >killed 2>&1; ls small/*.part &&");
        assert_eq!(bench.on_small("1000k", &killed, &verb), (Some(0), "small/out.ggb.part\nout.ggb".to_owned()));
    }
}

#[test]
fn an_older_bundle_is_made_only_when_that_is_asked_for() {
    let bench = bench();
    let line = bench.trust();
    delta(&bench, &["--base", OLD, "--out", "x.ggd"]);
    let apply = ["apply", "x.ggd", "--base", OLD, "--out", "out.ggb", "--public-key", &line, "--state", "state"];
    // As with load: what was loaded last counts, when it is newer than what comes.
    std::fs::create_dir(bench.path("state")).unwrap();
    std::fs::write(bench.path("state/bundle.json"), r#"{"sequence":6,"version":"1.1.0"}"#).unwrap();
    let (code, id, said) = bench.refused(&apply);
    assert!(code == 13 && id == "GG-BUNDLE-105" && !bench.path("out.ggb").exists(), "{code} {id} {said}");
    bench.does(&[&apply[..], &["--allow-older"]].concat());
    std::fs::write(bench.path("state/bundle.json"), r#"{"sequence":5,"version":"1.0.0"}"#).unwrap();
    bench.does(&apply);
    std::fs::remove_file(bench.path("out.ggb")).unwrap();
    // And so does the base.
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    put(&bench, OLD, &noise(1, 600_000), &|manifest| manifest.sequence = 6);
    delta(&bench, &["--base", OLD, "--out", "x.ggd"]);
    let (code, id, _) = bench.refused(&apply);
    assert!(code == 13 && id == "GG-BUNDLE-105" && !bench.path("out.ggb").exists(), "{code} {id}");
    bench.does(&[&apply[..], &["--allow-older"]].concat());
    assert!(same(&bench, NEW, "out.ggb") && !bench.path("state").exists());
}

#[test]
fn a_delta_says_which_zstd_its_target_needs() {
    let bench = bench();
    let line = bench.trust();
    assert!(delta(&bench, &["--base", OLD, "--out", "x.ggd"])["zstd_needed"].is_null());
    put(&bench, "other.ggb", &noise(1, 600_000), &|manifest| manifest.zstd = "1.4.0".into());
    let done = bench.run(&["delta", NEW, "--base", "other.ggb", "--out", "y.ggd", "--public-key", &line]);
    assert!(done.status.success() && done.stderr.contains("warning: only a program with zstd"), "{}", done.stderr);
    let told = delta(&bench, &["--base", "other.ggb", "--out", "y.ggd"]);
    assert_eq!(told["zstd_needed"].as_str(), Some("1.5.7"), "{told}");
    // The same frames and patches, under a head that says that another library packed them.
    let mut changed = noise(1, 600_000);
    changed.splice(300_000..300_010, *b"something else");
    let head = put(&bench, "new.ggb", &changed, &|manifest| manifest.zstd = "1.4.0".into());
    let mut made = std::fs::read(bench.path("x.ggd")).unwrap();
    made[16..16 + head].copy_from_slice(&std::fs::read(bench.path("new.ggb")).unwrap()[..head]);
    let end = made.len() - 32;
    let sum = Digest::of(&made[..end]).0;
    made[end..].copy_from_slice(&sum);
    std::fs::write(bench.path("x.ggd"), made).unwrap();
    let (code, id, said) = bench.refused(&["apply", "x.ggd", "--base", OLD, "--out", "out.ggb", "--public-key", &line]);
    assert_eq!((code, id.as_str()), (16, "GG-BUNDLE-159"), "{said}");
}

#[test]
fn an_inventory_is_not_written_of_more_bundles_than_are_read() {
    let bench = bench();
    let line = bench.trust();
    let inventory = |count: usize| {
        let names = vec![OLD; count];
        bench.run(&[&["inventory"], &names[..], &["--public-key", &line]].concat()).status.code()
    };
    assert_eq!((inventory(64), inventory(65)), (Some(0), Some(2)));
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
