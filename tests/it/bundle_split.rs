//! A bundle in parts: split, carried, joined, and read where the parts lie, by our program and by stock tools. What is lost,
//! damaged, stale or there twice is named, and one part of all is made again from the parity.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::process::{Finished, Program};
use serde_json::Value;
use vault::minisign::SecretKey;

use crate::bundle_forger::Draft;
use crate::bundle_travel::noise;
use crate::site::{Ground, out};

/// The name that the bundles here have.
const NAME: &str = "gitgrit-1.0.0-amd64.ggb";

/// A place with a bundle and the key that signed it.
pub(crate) struct Bench {
    pub(crate) ground: Ground,
    pub(crate) key: SecretKey,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { ground: Ground::new(), key: SecretKey::generate() };
        bench.put(NAME, 1);
        bench
    }

    /// Writes a bundle with an image of one layer of 600 kB.
    pub(crate) fn put(&self, name: &str, seed: u64) {
        let layer = noise(seed, 600_000);
        let named = airgap::bundle::Digest::of(&layer).named();
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{named}"]}}}}"#
        );
        std::fs::write(self.path(name), Draft::of_image(&config, &[layer]).file(&self.key)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.ground.home().join(name)
    }

    pub(crate) fn verb(&self, arguments: &[&str]) -> Program {
        let program = self.ground.program().options(["bundle"]).options(arguments);
        program.directory(self.ground.home()).deadline(Duration::from_mins(1))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.verb(arguments).run(b"").unwrap()
    }

    /// Runs a verb that ends well, and gives what it says.
    pub(crate) fn does(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[arguments, &["--json"]].concat());
        assert!(done.status.success(), "{arguments:?}: {}{}", out(&done), done.stderr);
        serde_json::from_str(&out(&done)).unwrap()
    }

    /// Runs a verb that is refused: its exit code, the id, and its words.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (i32, String, String) {
        let done = self.run(&[arguments, &["--json"]].concat());
        let said: Value = serde_json::from_str(&out(&done)).unwrap_or_else(|_| panic!("{}{}", out(&done), done.stderr));
        let words = format!("{} {}", said["error"].as_str().unwrap(), said["causes"]);
        (done.status.code().unwrap(), said["id"].as_str().unwrap_or_default().to_owned(), words)
    }

    pub(crate) fn trust(&self) -> String {
        self.key.public().line()
    }

    pub(crate) fn split(&self, folder: &str, more: &[&str]) -> Value {
        let line = self.trust();
        self.does(&[&["split", NAME, "--size", "200kB", "--out", folder, "--public-key", &line], more].concat())
    }

    pub(crate) fn part(&self, folder: &str, end: &str) -> PathBuf {
        self.path(folder).join(format!("{NAME}.{end}"))
    }

    pub(crate) fn shell(&self, script: &str) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = Program::new("sh").options(["-euc", script]).directory(self.ground.home()).env("PATH", path);
        let done = program.env("HOME", self.ground.home()).run(b"").unwrap();
        assert!(done.status.success(), "{script}: {}{}", out(&done), done.stderr);
        out(&done)
    }
}

pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_bundle_in_parts_joins_to_the_same_bytes_also_with_stock_tools() {
    let bench = Bench::new();
    let whole = std::fs::read(bench.path(NAME)).unwrap();
    let planned = bench.split("parts", &["--parity", "--dry-run"]);
    assert!(planned["dry_run"].as_bool().unwrap() && !bench.path("parts").exists());
    let split = bench.split("parts", &["--parity"]);
    let names: Vec<_> = split["parts"].as_array().unwrap().iter().map(|part| part["file"].as_str().unwrap()).collect();
    assert_eq!(names, ["001", "002", "003", "004", "par"].map(|end| format!("{NAME}.{end}")));
    let mut expected: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    expected.push(format!("{NAME}.parts.sha256"));
    expected.sort();
    assert_eq!(files(&bench.path("parts")), expected);
    for name in &names {
        assert!(std::fs::metadata(bench.path("parts").join(name)).unwrap().len() <= 200_000);
    }
    assert_eq!(split["sha256"].as_str().unwrap(), airgap::bundle::Digest::of(&whole).to_string());
    bench.shell(&format!("cd parts && sha256sum -c --quiet {NAME}.parts.sha256"));
    bench.shell(&format!(
        "cd parts && head -n 1 {NAME}.001 && n=$(head -n 1 {NAME}.001 | cut -d' ' -f3 | sed 's/^0*//') && \
         for part in {NAME}.[0-9][0-9][0-9]; do tail -c +$((n + 1)) $part; done > ../stock.ggb"
    ));
    assert!(whole == std::fs::read(bench.path("stock.ggb")).unwrap(), "stock tools joined another bundle");
    let joined = bench.does(&["join", "parts", "--out", "joined.ggb"]);
    assert!(whole == std::fs::read(bench.path("joined.ggb")).unwrap() && joined["mended"].is_null());
    // The same again gives the same parts.
    let before: Vec<_> = expected.iter().map(|name| std::fs::read(bench.path("parts").join(name)).unwrap()).collect();
    bench.split("parts", &["--parity"]);
    let after: Vec<_> = expected.iter().map(|name| std::fs::read(bench.path("parts").join(name)).unwrap()).collect();
    assert!(before == after, "the same split gave other bytes");
}

#[test]
fn the_transfer_sheet_fits_a_page_and_lists_what_travels() {
    let bench = Bench::new();
    let line = bench.trust();
    let done = bench.run(&["split", NAME, "--size", "200kB", "--parity", "--out", "parts", "--public-key", &line]);
    let sheet = out(&done);
    assert!(done.status.success() && sheet.lines().all(|line| line.chars().count() <= 80), "{sheet}");
    let sums = std::fs::read_to_string(bench.part("parts", "parts.sha256")).unwrap();
    for (sum, name) in sums.lines().map(|line| line.split_once("  ").unwrap()) {
        assert!(sheet.contains(sum) && sheet.contains(&format!("[ ]   [ ]   {name}\n")), "{name}");
    }
    let key = bench.key.public().id().to_string();
    for words in ["version       1.0.0 for amd64, sequence 5", &key, &"a".repeat(40), "received by", "sha256sum -c"] {
        assert!(sheet.contains(words), "{words}\n{sheet}");
    }
    bench.does(&[
        "split",
        NAME,
        "--size",
        "200kB",
        "--parity",
        "--out",
        "parts",
        "--sheet",
        "sheet.txt",
        "--untrusted",
    ]);
    let unchecked = std::fs::read_to_string(bench.path("sheet.txt")).unwrap();
    assert_eq!(unchecked, sheet.replace(&key, &format!("{key} (not checked)")));
}

#[test]
fn parts_are_read_where_they_lie_also_with_one_lost() {
    let bench = Bench::new();
    let line = bench.trust();
    bench.split("parts", &["--parity"]);
    let whole = bench.does(&["inspect", NAME, "--public-key", &line]);
    let before = files(bench.ground.home());
    let first = bench.part("parts", "001").display().to_string();
    for name in ["parts", &first] {
        let seen = bench.does(&["inspect", name, "--public-key", &line]);
        assert_eq!((&seen["images"], &seen["size"]), (&whole["images"], &whole["size"]));
        for more in [&[][..], &["--full"], &["--sha256"]] {
            bench.does(&[&["verify", name, "--public-key", &line], more].concat());
        }
    }
    for lost in ["001", "002", "004"] {
        let kept = std::fs::read(bench.part("parts", lost)).unwrap();
        std::fs::remove_file(bench.part("parts", lost)).unwrap();
        bench.does(&["verify", "parts", "--full", "--public-key", &line]);
        let named = bench.part("parts", "003").display().to_string();
        bench.does(&["verify", &named, "--full", "--public-key", &line]);
        std::fs::write(bench.part("parts", lost), kept).unwrap();
    }
    assert_eq!(files(bench.ground.home()), before, "something was written");
    // What is damaged is found by the bundle's own hashes.
    let mut bent = std::fs::read(bench.part("parts", "002")).unwrap();
    bent[100_000] ^= 1;
    std::fs::write(bench.part("parts", "002"), bent).unwrap();
    assert_eq!(bench.refused(&["verify", "parts", "--public-key", &line]).0, 13);
    bench.does(&["keygen", "mine", "--no-password"]);
    let (code, _, words) = bench.refused(&["sign", &first, "--key", "mine.key"]);
    assert!(code == 2 && words.contains("a bundle in parts cannot be signed"), "{code} {words}");
    let stranger = SecretKey::generate().public().line();
    assert_eq!(bench.refused(&["verify", "parts", "--public-key", &stranger]).1, "GG-BUNDLE-102");
}

#[test]
fn one_lost_or_damaged_part_is_made_again_and_two_are_named() {
    let bench = Bench::new();
    let whole = std::fs::read(bench.path(NAME)).unwrap();
    bench.split("parts", &["--parity"]);
    let kept: Vec<_> =
        ["001", "002", "003", "004", "par"].map(|end| (end, std::fs::read(bench.part("parts", end)).unwrap())).to_vec();
    let restore = || kept.iter().for_each(|(end, bytes)| std::fs::write(bench.part("parts", end), bytes).unwrap());
    for (number, (end, bytes)) in kept.iter().enumerate().take(4) {
        for damage in 0..4 {
            restore();
            let path = bench.part("parts", end);
            let mut bent = bytes.clone();
            match damage {
                0 => std::fs::remove_file(&path).unwrap(),
                1 => std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap(),
                // In the header, in what it holds.
                place => {
                    bent[if place == 2 { 100 } else { 20_000 }] ^= 1;
                    std::fs::write(&path, &bent).unwrap();
                }
            }
            let joined = bench.does(&["join", "parts", "--out", "joined.ggb"]);
            assert_eq!(joined["mended"].as_u64(), Some(number as u64 + 1), "{end} {damage}");
            assert!(whole == std::fs::read(bench.path("joined.ggb")).unwrap(), "{end} {damage}");
            std::fs::remove_file(bench.path("joined.ggb")).unwrap();
        }
    }
    restore();
    std::fs::remove_file(bench.part("parts", "002")).unwrap();
    std::fs::remove_file(bench.part("parts", "004")).unwrap();
    let (code, id, words) = bench.refused(&["join", "parts", "--out", "joined.ggb"]);
    assert!(code == 13 && id == "GG-BUNDLE-142" && words.contains("002, 004 are missing"), "{words}");
    restore();
    for end in ["001", "003"] {
        let mut bent = std::fs::read(bench.part("parts", end)).unwrap();
        bent[50_000] ^= 8;
        std::fs::write(bench.part("parts", end), bent).unwrap();
    }
    let (code, id, words) = bench.refused(&["join", "parts", "--out", "joined.ggb"]);
    let both = [".001`", ".003`"].iter().all(|end| words.contains(end));
    assert!(code == 13 && id == "GG-BUNDLE-143" && both && !words.contains(".002`"), "{words}");
    // A parity that is damaged itself makes nothing.
    restore();
    std::fs::remove_file(bench.part("parts", "002")).unwrap();
    let mut bent = kept[4].1.clone();
    bent[50_000] ^= 8;
    std::fs::write(bench.part("parts", "par"), bent).unwrap();
    assert_eq!(bench.refused(&["join", "parts", "--out", "joined.ggb"]).1, "GG-BUNDLE-143");
    assert!(!files(bench.ground.home()).iter().any(|name| name.starts_with("joined")), "something is left");
}

#[test]
fn parts_of_another_bundle_and_doubled_ones_are_named() {
    let bench = Bench::new();
    bench.split("parts", &[]);
    bench.put(NAME, 2);
    bench.split("other", &[]);
    // The third part of an earlier bundle lies where the new one's belongs.
    std::fs::copy(bench.part("other", "003"), bench.part("parts", "003")).unwrap();
    let (code, id, words) = bench.refused(&["join", "parts", "--out", "joined.ggb"]);
    assert!(code == 13 && id == "GG-BUNDLE-144" && words.contains(".003` is of"), "{words}");
    let first = bench.part("parts", "001").display().to_string();
    let (code, id, words) = bench.refused(&["join", &first, "--out", "joined.ggb"]);
    assert!(
        code == 13 && id == "GG-BUNDLE-142" && words.contains("003 is missing") && words.contains("another bundle"),
        "{words}"
    );
    let (_, id, _) = bench.refused(&["verify", &first, "--public-key", &bench.trust()]);
    assert_eq!(id, "GG-BUNDLE-142");
    std::fs::copy(bench.part("parts", "002"), bench.path("parts/copy")).unwrap();
    std::fs::remove_file(bench.part("parts", "003")).unwrap();
    let (code, id, words) = bench.refused(&["join", "parts", "--out", "joined.ggb"]);
    assert!(code == 13 && id == "GG-BUNDLE-145" && words.contains("are both part 2"), "{words}");
    // A folder with parts of an earlier split in more pieces is not written into.
    std::fs::remove_file(bench.path("parts/copy")).unwrap();
    let line = bench.trust();
    let arguments = ["split", NAME, "--size", "400kB", "--out", "parts", "--public-key", &line];
    let (code, id, words) = bench.refused(&arguments);
    assert!(code == 1 && id == "GG-BUNDLE-148" && words.contains(".004`"), "{words}");
    std::fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(bench.refused(&["join", "empty"]).1, "GG-BUNDLE-141");
    assert_eq!(bench.refused(&["join", NAME]).1, "GG-BUNDLE-140");
    for size in ["10kB", "1kB"] {
        assert_eq!(
            bench.refused(&["split", NAME, "--size", size, "--out", "small", "--public-key", &line]).1,
            "GG-BUNDLE-147"
        );
    }
    assert!(!bench.path("small").exists() && !bench.path("joined.ggb").exists());
}

#[test]
fn a_split_or_a_join_that_was_killed_or_had_no_room_is_run_again() {
    use std::os::unix::process::ExitStatusExt;
    let bench = Bench::new();
    let whole = std::fs::read(bench.path(NAME)).unwrap();
    let line = bench.trust();
    bench.split("whole", &["--parity"]);
    let split = ["split", NAME, "--size", "200kB", "--parity", "--out", "parts", "--public-key", &line];
    for place in ["headers", "contents", "named:1", "named:3", "named:5"] {
        let place = &format!("bundle:split:{place}");
        let done = bench.verb(&split).env("GITGRIT_FAULT", place).run(b"").unwrap();
        assert_eq!(done.status.signal(), Some(9), "{place}: {}", done.stderr);
    }
    bench.does(&split);
    assert_eq!(files(&bench.path("parts")), files(&bench.path("whole")));
    for name in files(&bench.path("whole")) {
        assert!(
            std::fs::read(bench.path("parts").join(&name)).unwrap()
                == std::fs::read(bench.path("whole").join(&name)).unwrap()
        );
    }
    let join = ["join", "parts", "--out", "joined.ggb"];
    let done = bench.verb(&join).env("GITGRIT_FAULT", "bundle:join:written").run(b"").unwrap();
    assert!(done.status.signal() == Some(9) && !bench.path("joined.ggb").exists());
    bench.does(&join);
    assert!(whole == std::fs::read(bench.path("joined.ggb")).unwrap());
    if Bench::may_mount() {
        for verb in [
            format!("split {NAME} --size 200kB --parity --out small --public-key {line}"),
            "join parts --out small/joined.ggb".to_owned(),
        ] {
            let (code, left) = bench.on_small("256k", "", &verb);
            assert_eq!((code, left.as_str()), (Some(15), ""), "{verb}");
        }
        // There is room for one and a half: what the run that was killed has left is in nobody's way.
        for (verb, place) in [
            (format!("split {NAME} --size 200kB --out small --public-key {line}"), "split:contents"),
            ("join parts --out small/joined.ggb".to_owned(), "join:written"),
        ] {
            let killed =
                format!("GITGRIT_FAULT=bundle:{place} \"$0\" bundle {verb} >killed 2>&1; ls small/*.part >left &&");
            let (code, left) = bench.on_small("1000k", &killed, &verb);
            assert!(code == Some(0) && !left.contains(".part\n") && left.contains(".ggb"), "{verb}: {code:?} {left}");
        }
    }
}

impl Bench {
    /// Says whether [`Self::on_small`] can be.
    pub(crate) fn may_mount() -> bool {
        let is_root = rustix::process::geteuid().is_root();
        crate::require::has("root", if is_root { Ok(()) } else { Err("only root mounts a small file system".into()) })
    }

    /// Runs a verb whose output lies on a file system of this size, after these words of a script. Gives its exit code, and
    /// what is left there.
    pub(crate) fn on_small(&self, size: &str, before: &str, verb: &str) -> (Option<i32>, String) {
        std::fs::create_dir_all(self.path("small")).unwrap();
        let program = self.ground.program().into_parts().0;
        let script = format!(
            "mount -t tmpfs -o size={size} none small && {before} \"$0\" bundle {verb} >said 2>&1; code=$?; ls small; exit $code"
        );
        let run = Program::new("unshare").options(["--mount", "sh", "-c", &script]).option(program.get_program());
        let done = run.directory(self.ground.home()).env("HOME", self.ground.home()).run(b"").unwrap();
        (done.status.code(), out(&done).trim().to_owned())
    }
}
