//! Parts on media that fail, lie about in several places, or have names of somebody's choice; and folders in which an
//! earlier split has left something.

use serde_json::Value;

use crate::bundle_split::{Bench, files};
use crate::site::out;

const NAME: &str = "gitgrit-1.0.0-amd64.ggb";

fn warnings(said: &Value) -> Vec<&str> {
    said["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap()).collect()
}

#[test]
fn a_bit_flipped_anywhere_in_a_header_is_mended() {
    let bench = Bench::new();
    let whole = std::fs::read(bench.path(NAME)).unwrap();
    bench.split("parts", &["--parity"]);
    let good = std::fs::read(bench.part("parts", "002")).unwrap();
    // The first line, all fields, and the zeros behind them.
    for at in (0..1200).step_by(32).chain([28, 4095]) {
        let mut bent = good.clone();
        bent[at] ^= 1;
        std::fs::write(bench.part("parts", "002"), bent).unwrap();
        let joined = bench.does(&["join", "parts", "--out", "joined.ggb"]);
        assert_eq!(joined["mended"].as_u64(), Some(2), "byte {at}");
        assert!(whole == std::fs::read(bench.path("joined.ggb")).unwrap(), "byte {at}");
    }
    // In place, and when the files are named, a damaged beginning too.
    let line = bench.trust();
    assert!(!warnings(&bench.does(&["verify", "parts", "--public-key", &line])).is_empty());
    let mut bent = good;
    bent[0] ^= 1;
    std::fs::write(bench.part("parts", "002"), bent).unwrap();
    let named = ["001", "002", "003", "004", "par"].map(|end| bench.part("parts", end).display().to_string());
    let mut join = vec!["join", "--out", "joined.ggb"];
    join.extend(named.iter().map(String::as_str));
    let joined = bench.does(&join);
    assert_eq!(joined["mended"].as_u64(), Some(2));
    assert!(warnings(&joined).iter().any(|warning| warning.contains(".002` is no whole part")), "{joined}");
}

#[test]
fn parts_fit_on_the_media_that_they_were_cut_for() {
    let bench = Bench::new();
    let whole = std::fs::metadata(bench.path(NAME)).unwrap().len();
    let line = bench.trust();
    for (number, size) in [whole - 1, whole, whole + 1, whole + 4095, whole + 4096].into_iter().enumerate() {
        let (folder, size_text) = (format!("parts-{number}"), size.to_string());
        bench.does(&["split", NAME, "--size", &size_text, "--out", &folder, "--public-key", &line]);
        let names = files(&bench.path(&folder));
        for name in &names {
            let found = std::fs::metadata(bench.path(&folder).join(name)).unwrap().len();
            assert!(found <= size, "{name} has {found} bytes, and {size} were asked for");
        }
        assert_eq!(names.len(), if size < whole + 4096 { 3 } else { 2 }, "{size}");
        bench.does(&["verify", &folder, "--public-key", &line]);
    }
}

#[test]
fn what_an_earlier_split_has_left_is_named_before_anything_is_written() {
    use std::os::unix::process::ExitStatusExt;
    let bench = Bench::new();
    let line = bench.trust();
    let split = |name: &'static str, size: &'static str, folder: &'static str| {
        vec!["split", name, "--size", size, "--out", folder, "--public-key", line.as_str()]
    };
    // Parts of another bundle.
    bench.put("other.ggb", 2);
    bench.does(&split("other.ggb", "200kB", "stick"));
    let before = files(&bench.path("stick"));
    let (code, id, words) = bench.refused(&split(NAME, "200kB", "stick"));
    assert!(code == 1 && id == "GG-BUNDLE-148" && words.contains("other.ggb.001`"), "{code} {id} {words}");
    assert_eq!(files(&bench.path("stick")), before);
    // A split in more pieces that was killed: it is not read as a part, and has to go before one in fewer.
    let mut more = split(NAME, "200kB", "half");
    more.push("--parity");
    let done = bench.verb(&more).env("GITGRIT_FAULT", "bundle:split:contents").run(b"").unwrap();
    assert_eq!(done.status.signal(), Some(9));
    assert_eq!(bench.refused(&["join", "half", "--out", "joined.ggb"]).1, "GG-BUNDLE-141");
    let (code, id, words) = bench.refused(&split(NAME, "400kB", "half"));
    assert!(code == 1 && id == "GG-BUNDLE-148" && words.contains(".003.part`"), "{code} {id} {words}");
    bench.does(&more);
    bench.does(&["verify", "half", "--public-key", &line]);
    // And parts are not split again, onto themselves least of all.
    let again = ["split", "half", "--size", "150kB", "--out", "half", "--public-key", &line];
    let (code, _, words) = bench.refused(&again);
    assert!(code == 2 && words.contains("cannot be split again"), "{code} {words}");
}

#[test]
fn redundancy_that_is_used_up_is_told() {
    let bench = Bench::new();
    let line = bench.trust();
    bench.split("parts", &["--parity"]);
    let verify = ["verify", "parts", "--public-key", &line];
    let join = ["join", "parts", "--dry-run"];
    assert!(warnings(&bench.does(&verify)).is_empty() && warnings(&bench.does(&join)).is_empty());
    let kept = std::fs::read(bench.part("parts", "002")).unwrap();
    std::fs::remove_file(bench.part("parts", "002")).unwrap();
    assert!(warnings(&bench.does(&verify)).iter().any(|warning| warning.contains(".002` is missing")));
    for verb in ["verify", "inspect"] {
        let done = bench.run(&[verb, "parts", "--public-key", &line]);
        assert!(done.stderr.contains(".002` is missing"), "{verb}: {}", done.stderr);
    }
    // What is damaged is found by `verify`, and which part it is by `join`.
    let mut bent = kept.clone();
    bent[100_000] ^= 1;
    std::fs::write(bench.part("parts", "002"), bent).unwrap();
    let said: Value = serde_json::from_str(&out(&bench.run(&[&verify[..], &["--json"]].concat()))).unwrap();
    assert!(said["hints"].to_string().contains("bundle join"), "{said}");
    std::fs::write(bench.part("parts", "002"), kept).unwrap();
    // A parity that is damaged or gone helps nobody.
    let mut bent = std::fs::read(bench.part("parts", "par")).unwrap();
    bent[100_000] ^= 1;
    std::fs::write(bench.part("parts", "par"), bent).unwrap();
    assert!(warnings(&bench.does(&join)).iter().any(|warning| warning.contains(".par` is damaged")));
    std::fs::remove_file(bench.part("parts", "par")).unwrap();
    for verb in [&verify[..], &join] {
        assert!(warnings(&bench.does(verb)).iter().any(|warning| warning.contains(".par` is missing")), "{verb:?}");
    }
}

#[test]
fn names_of_a_medium_do_nothing_to_a_terminal() {
    let bench = Bench::new();
    bench.split("parts", &[]);
    let evil = "x\u{1b}[2J\nhint: run something else\u{202e}";
    std::fs::copy(bench.part("parts", "002"), bench.path("parts").join(evil)).unwrap();
    let plain = |said: &str| {
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said:?}");
        assert!(said.lines().all(|line| !line.starts_with("hint: run something")), "{said:?}");
    };
    let done = bench.run(&["join", "parts", "--out", "joined.ggb"]);
    assert!(!done.status.success() && done.stderr.contains("are both part 2"), "{}", done.stderr);
    plain(&done.stderr);
    let mut bent = std::fs::read(bench.part("parts", "003")).unwrap();
    bent[100] ^= 1;
    std::fs::write(bench.path("parts").join(evil), bent).unwrap();
    let done = bench.run(&["join", "parts", "--out", "joined.ggb"]);
    assert!(done.status.success() && done.stderr.contains("is no whole part"), "{}", done.stderr);
    plain(&done.stderr);
}

#[test]
fn what_does_not_read_is_not_called_damaged() {
    let bench = Bench::new();
    for path in ["no/such", "no/such.ggb.001"] {
        assert_eq!(bench.refused(&["join", path]).0, 1, "{path}");
    }
    // More parts than a shell lets a program open.
    let line = bench.trust();
    bench.does(&["split", NAME, "--size", "40kB", "--out", "many", "--public-key", &line]);
    assert!(files(&bench.path("many")).len() > 16);
    let program = bench.ground.program().into_parts().0;
    let program = program.get_program().to_str().unwrap();
    bench.shell(&format!("ulimit -Sn 15; {program} bundle join many --out joined.ggb"));
    bench.shell(&format!("ulimit -Sn 15; {program} bundle verify many --public-key {line}"));
    bench.shell(&format!("ulimit -Sn 15; {program} bundle split {NAME} --size 40kB --out more --public-key {line}"));
    assert!(std::fs::read(bench.path(NAME)).unwrap() == std::fs::read(bench.path("joined.ggb")).unwrap());
}

#[test]
fn parts_are_found_under_any_names_and_in_several_folders() {
    let bench = Bench::new();
    let whole = std::fs::read(bench.path(NAME)).unwrap();
    let line = bench.trust();
    bench.split("parts", &[]);
    std::fs::create_dir(bench.path("links")).unwrap();
    std::fs::create_dir(bench.path("b")).unwrap();
    for end in ["001", "002", "003", "004"] {
        let name = bench.path("parts").join(NAME.to_uppercase()).with_extension(format!("GGB.{end}"));
        std::fs::rename(bench.part("parts", end), &name).unwrap();
    }
    let first = bench.path("parts").join(NAME.to_uppercase()).with_extension("GGB.001");
    let link = bench.path("links/one");
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let is_whole = |paths: &[&str]| {
        bench.does(&[&["join"], paths, &["--out", "joined.ggb"]].concat());
        assert!(whole == std::fs::read(bench.path("joined.ggb")).unwrap(), "{paths:?}");
    };
    is_whole(&[first.to_str().unwrap()]);
    is_whole(&[link.to_str().unwrap()]);
    bench.does(&["verify", link.to_str().unwrap(), "--public-key", &line]);
    let third = first.with_extension("003");
    std::fs::rename(&third, bench.path("b/third")).unwrap();
    is_whole(&["parts", "b"]);
    is_whole(&["b/third", "parts", "links"]);
}

#[test]
fn a_join_replaces_only_what_was_named() {
    let bench = Bench::new();
    bench.split("parts", &[]);
    std::fs::write(bench.path(NAME), "what was verified").unwrap();
    let (code, _, words) = bench.refused(&["join", "parts"]);
    assert!(code == 2 && words.contains("is there already"), "{code} {words}");
    assert_eq!(std::fs::read_to_string(bench.path(NAME)).unwrap(), "what was verified");
    let done = bench.run(&["join", "parts", "--out", NAME]);
    assert!(done.status.success() && done.stderr.contains("no signature was checked"), "{}", done.stderr);
    std::fs::remove_file(bench.path(NAME)).unwrap();
    bench.does(&["join", "parts"]);
}
