//! An engine that says what the test wants, and what a load makes of it: which refusals are tried again, which exit code each has, and that
//! the engine's own words are kept. And the ids of all refusals of trust and load.

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::process::Program;
use vault::minisign::SecretKey;

use crate::bundle_forger::{Draft, Packed, layer};
use crate::site::{Ground, binary, out};

/// What the engine says to an archive, by which one it is.
type Says = fn(usize) -> &'static str;

/// The engine hangs up in the middle of an archive.
const HANGS_UP: &str = "";
const FULL: &str = r#"{"errorDetail":{"message":"write /blobs: no space left on device"},"error":"write"}"#;
const MISSING: &str =
    r#"{"errorDetail":{"message":"open /tmp/x/blobs/sha256/ab: no such file or directory"},"error":"open"}"#;
const REFUSED: &str = r#"{"errorDetail":{"message":"archive/tar: invalid tar header"},"error":"archive"}"#;
const LOADED: &str = r#"{"stream":"Loaded image ID: sha256:00\n"}"#;

/// The engine unpacks for a second, and says so; or it says nothing more.
const SLOW: &str = "slow";
const SILENT: &str = "silent";
/// The engine answers before it has read much, and goes.
const EARLY: &str = r#"{"stream":"Loaded image ID: sha256:01\n"}"#;
/// The engine counts as nobody does.
const COUNTS: &str = r#"{"status":"Loading layer","progressDetail":{"current":9223372036854775807},"id":"ab"}
{"status":"Loading layer","progressDetail":{"current":-9223372036854775808},"id":"ab"}
{"stream":"Loaded image ID: sha256:00\n"}"#;

/// An engine that has one image, of the bundle's lowest layer.
pub(crate) struct Stub {
    home: tempfile::TempDir,
    loads: Arc<AtomicUsize>,
}

impl Stub {
    pub(crate) fn start(arch: &'static str, layer: &str, says: Says) -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-stub-").tempdir().unwrap();
        let listener = UnixListener::bind(home.path().join("docker.sock")).unwrap();
        let loads = Arc::new(AtomicUsize::new(0));
        let (count, layer) = (Arc::clone(&loads), layer.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (count, layer) = (Arc::clone(&count), layer.clone());
                std::thread::spawn(move || answer(&stream.unwrap(), arch, &layer, &count, says));
            }
        });
        Self { home, loads }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.home.path().join("docker.sock").display())
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

fn answer(stream: &UnixStream, arch: &str, layer: &str, loads: &AtomicUsize, says: Says) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or_default() == 0 {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let id = format!("sha256:{}", "1".repeat(64));
    let image = format!(r#"{{"Id":"{id}","RepoTags":[],"RootFS":{{"Type":"layers","Layers":["{layer}"]}}}}"#);
    let (status, body) = if path.ends_with("/version") {
        (
            "200 OK",
            format!(
                r#"{{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"{arch}"}}"#
            ),
        )
    } else if path.contains("/images/json") {
        (
            "200 OK",
            format!(
                r#"[{{"Id":"{id}","ParentId":"","RepoTags":[],"RepoDigests":[],"Created":1,"Size":1,"SharedSize":0,"Labels":{{}},"Containers":0}}]"#
            ),
        )
    } else if path.contains(&id) {
        ("200 OK", image)
    } else if path.ends_with("/info") {
        ("200 OK", r#"{"DockerRootDir":"/nonexistent","Driver":"overlay2","ServerVersion":"20.10.24"}"#.to_owned())
    } else if path.contains("/images/load") {
        let said = says(loads.fetch_add(1, Ordering::SeqCst));
        let mut taken = Vec::new();
        let mut piece = [0; 4096];
        while !taken.ends_with(b"0\r\n\r\n") {
            let size = reader.read(&mut piece).unwrap_or_default();
            taken.extend_from_slice(&piece[..size]);
            if said == EARLY && taken.len() > 20_000 {
                break;
            }
            if size == 0 || (said == HANGS_UP && taken.len() > 20_000) {
                return;
            }
        }
        if matches!(said, SLOW | SILENT) {
            return unpack(stream, said == SLOW);
        }
        ("200 OK", said.to_owned())
    } else {
        ("404 Not Found", r#"{"message":"No such image"}"#.to_owned())
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut writer = stream;
    let _ = writer.write_all(format!("{head}{body}").as_bytes());
}

/// An answer in pieces: ten of them over a second, or none for two.
fn unpack(mut stream: &UnixStream, is_told: bool) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
    for step in 1..=10 {
        std::thread::sleep(Duration::from_millis(if is_told { 100 } else { 200 }));
        let line =
            format!(r#"{{"status":"Loading layer","progressDetail":{{"current":{step}00,"total":1000}},"id":"ab"}}"#);
        if is_told && stream.write_all(format!("{line}\r\n").as_bytes()).is_err() {
            return;
        }
    }
    let _ = stream.write_all(LOADED.as_bytes());
}

/// A large layer takes as long as it takes; only silence has a limit.
#[test]
fn an_engine_that_says_how_far_it_is_may_take_its_time() {
    let load = |says: Says| {
        let stub = Stub::start("amd64", &lowest(), says);
        let engine = docker::Engine::connect(&stub.address()).unwrap().patient(Duration::from_millis(500));
        let mut heard = 0;
        let done = engine.load_telling(&mut Cursor::new(vec![0; 1024]), &mut |more| heard += more);
        (done, heard)
    };
    let (done, heard) = load(|_| SLOW);
    assert_eq!((done.unwrap().as_slice(), heard), (&["sha256:00".to_owned()][..], 1000));
    let (done, _) = load(|_| COUNTS);
    assert_eq!(done.unwrap(), ["sha256:00"], "numbers of an engine end nothing");
    let (done, _) = load(|_| SILENT);
    assert!(matches!(done, Err(docker::EngineError::Silent { .. })), "{done:?}");
}

fn bundle(ground: &Ground, arguments: &[&str], host: &str) -> (Option<i32>, String) {
    let program = ground.program().options(["bundle"]).options(arguments).env("DOCKER_HOST", host);
    let done = program.run(b"").unwrap();
    (done.status.code(), format!("{}{}", out(&done), done.stderr))
}

fn lowest() -> String {
    airgap::bundle::Digest::of(b"a small layer").named()
}

#[test]
fn what_an_engine_refuses_is_tried_again_only_where_that_can_help() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    std::fs::write(ground.home().join("x.ggb"), Draft::good().file(&key)).unwrap();
    let line = key.public().line();
    let cases: [(&str, Says, usize, i32, &str); 6] = [
        (
            "full",
            |_| FULL,
            1,
            15,
            "[GG-BUNDLE-170]: the engine ran out of room: write /blobs: no space left on device; it needs 16",
        ),
        ("refuses", |_| REFUSED, 1, 18, "archive/tar: invalid tar header"),
        ("misses a layer", |time| if time == 0 { MISSING } else { REFUSED }, 2, 18, "archive/tar: invalid tar header"),
        ("misses a layer of all", |_| MISSING, 2, 18, "[GG-BUNDLE-171]"),
        ("hangs up", |_| HANGS_UP, 1, 18, "could not reach the engine"),
        ("loads something else", |_| LOADED, 1, 13, "[GG-BUNDLE-203]"),
    ];
    for how in [&[][..], &["--stream"]] {
        for (case, says, loads, code, words) in cases {
            let stub = Stub::start("amd64", &lowest(), says);
            let load = ["load", "x.ggb", "--public-key", &line, "--state", "state"];
            let (found, said) = bundle(&ground, &[&load[..], how].concat(), &stub.address());
            // A stream cannot send what has passed.
            let loads = if how.is_empty() { loads } else { 1 };
            assert_eq!(found, Some(code), "{case} {how:?}: {said}");
            assert_eq!(stub.loads(), loads, "{case} {how:?}: {said}");
            let is_said = said.contains(words) || (!how.is_empty() && said.contains("no such file"));
            assert!(is_said, "{case} {how:?}: {said}");
            assert!(!ground.home().join("state/bundle.json").exists(), "{case}: a load that failed was remembered");
        }
    }
    let stub = Stub::start("arm64", &lowest(), |_| LOADED);
    let (code, said) = bundle(&ground, &["load", "x.ggb", "--public-key", &line, "--state", "state"], &stub.address());
    assert!(
        code == Some(1) && said.contains("[GG-BUNDLE-202]: the bundle is for amd64, and the engine's host is arm64"),
        "{said}"
    );
    assert_eq!(stub.loads(), 0);
}

#[test]
fn an_engine_that_answers_early_does_not_make_a_broken_stream_hold() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    // Larger than what waits on its way to an engine.
    let large: Vec<u8> = std::iter::repeat_n(layer(), 80).flatten().collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        airgap::bundle::Digest::of(&large).named()
    );
    let mut whole = Draft::of_image(&config, &[large]).file(&key);
    *whole.last_mut().unwrap() ^= 1;
    std::fs::write(ground.home().join("x.ggb"), whole).unwrap();
    let stub = Stub::start("amd64", &lowest(), |_| EARLY);
    let line = key.public().line();
    let load = ["load", "x.ggb", "--stream", "--public-key", &line, "--state", "state"];
    let (code, said) = bundle(&ground, &load, &stub.address());
    assert_eq!((code, stub.loads()), (Some(13), 1), "{said}");
    assert!(!said.contains("GG-BUNDLE-203"), "what the engine has was looked at before the stream was read: {said}");
    assert!(!ground.home().join("state/bundle.json").exists());
}

/// A file that may not grow stands for a disk that is full.
#[test]
fn a_journal_that_takes_no_more_does_not_hide_why_a_load_failed() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    std::fs::write(ground.home().join("x.ggb"), Draft::good().file(&key)).unwrap();
    let stub = Stub::start("amd64", &lowest(), |_| FULL);
    let line = key.public().line();
    let load = ["load", "x.ggb", "--public-key", &line, "--state", "state"];
    for how in [&[][..], &["--stream"]] {
        let (code, said) = bundle(&ground, &[&load[..], how].concat(), &stub.address());
        assert_eq!(code, Some(15), "{said}");
        // All records of that run but its last one fit below 4 KiB.
        let path = ground.home().join("state/bundle.jsonl");
        let lines = std::fs::read_to_string(&path).unwrap();
        let last = lines.lines().last().unwrap().len();
        let rest = lines.len() - last;
        let record = |step: &str| format!(r#"{{"at":1,"operation":"x","step":"{step}","event":"done"}}"#) + "\n";
        let filled = record(&"x".repeat(4096 - rest - 4 - record("").len()));
        std::fs::write(&path, filled).unwrap();
        let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" bundle \"$@\"";
        let program = Program::new("sh").options(["-c", script]).option(binary()).options(load).options(how);
        let program = program.directory(ground.home()).env("HOME", ground.home()).env("DOCKER_HOST", stub.address());
        let done = program.run(b"").unwrap();
        let said = format!("{}{}", out(&done), done.stderr);
        assert!(std::fs::metadata(&path).unwrap().len() > 4096 - 10, "the journal had room: {said}");
        assert!(done.status.code() == Some(15) && said.contains("GG-BUNDLE-170"), "{how:?}: {:?} {said}", done.status);
        std::fs::remove_file(&path).unwrap();
    }
}

/// Writes a bundle and says what a load of it says.
fn refusal(ground: &Ground, file: Vec<u8>, more: &[&str]) -> (Option<i32>, String) {
    std::fs::write(ground.home().join("y.ggb"), file).unwrap();
    bundle(ground, &[&["load", "y.ggb", "--state", "state"][..], more].concat(), "unix:///nonexistent.sock")
}

#[test]
fn each_refusal_of_trust_has_its_id() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    let (line, stranger) = (key.public().line(), SecretKey::generate().public().line());
    let good = || Draft::good().packed().sealed(&key);
    let trusting = ["--public-key", &line];
    let is = |file: Vec<u8>, more: &[&str], code: i32, id: &str| {
        let (found, said) = refusal(&ground, file, more);
        assert!(found == Some(code) && said.contains(&format!("[{id}]")), "{id}: {found:?} {said}");
    };
    is(good().file(), &[], 13, "GG-BUNDLE-101");
    is(good().file(), &["--public-key", &stranger], 13, "GG-BUNDLE-102");
    let mut changed = good();
    changed.bytes = String::from_utf8(changed.bytes).unwrap().replace("AIRGAPPED", "AIRGAPPEE").into();
    is(changed.file(), &trusting, 13, "GG-BUNDLE-103");
    is(Draft::good().packed().sealed_as(b"{}".to_vec(), &key).file(), &trusting, 13, "GG-BUNDLE-106");
    std::fs::write(ground.home().join("trust.json"), "{}").unwrap();
    is(good().file(), &["--trust", "trust.json"], 1, "GG-BUNDLE-107");
    let mut unread = good();
    // An algorithm that minisign does not have, where the form is right.
    let blob = unread.signatures[0].1.lines().nth(1).unwrap().to_owned();
    unread.signatures[0].1 = unread.signatures[0].1.replacen(&blob, &format!("S{}", &blob[1..]), 1);
    is(unread.file(), &trusting, 13, "GG-BUNDLE-109");

    // What was reached is remembered by hand here: no engine is needed to refuse.
    std::fs::create_dir_all(ground.home().join("state")).unwrap();
    let note = |text: &str| std::fs::write(ground.home().join("state/bundle.json"), text).unwrap();
    note(r#"{"sequence":6,"version":"1.1.0"}"#);
    is(good().file(), &trusting, 13, "GG-BUNDLE-105");
    let other = format!(r#"{{"sequence":5,"version":"1.0.0","manifest":"{}"}}"#, "0".repeat(64));
    note(&other);
    is(good().file(), &trusting, 13, "GG-BUNDLE-172");
    is(good().file(), &[&trusting[..], &["--stream"]].concat(), 13, "GG-BUNDLE-172");
    // It is told before the body is read: this one's last frame is damaged.
    let mut damaged = good().file();
    let place = damaged.len() - 200;
    damaged[place] ^= 1;
    is(damaged.clone(), &trusting, 13, "GG-BUNDLE-172");
    let (code, said) = refusal(&ground, good().file(), &[&trusting[..], &["--allow-older"]].concat());
    assert_eq!(code, Some(18), "only the engine is missing: {said}");
    let (code, said) = refusal(&ground, damaged, &[&trusting[..], &["--allow-older"]].concat());
    assert!(code == Some(13) && !said.contains("GG-BUNDLE-172"), "{said}");
    // The very same one, or one after a note of an older program.
    let same = airgap::bundle::Digest::of(&good().bytes);
    note(&format!(r#"{{"sequence":5,"version":"1.0.0","manifest":"{same}"}}"#));
    assert_eq!(refusal(&ground, good().file(), &trusting).0, Some(18));
    note(r#"{"sequence":5,"version":"1.0.0"}"#);
    assert_eq!(refusal(&ground, good().file(), &trusting).0, Some(18));
}

#[test]
fn a_manifest_with_more_than_any_bundle_has_is_refused_at_once() {
    let key = SecretKey::generate();
    let is_refused = |packed: Packed| {
        let ground = Ground::new();
        let (code, said) = refusal(&ground, packed.sealed(&key).file(), &["--public-key", &key.public().line()]);
        assert!(code == Some(13) && said.contains("[GG-BUNDLE-011]"), "{said}");
    };
    let mut packed = Draft::good().packed();
    packed.manifest.images = vec![packed.manifest.images[0].clone(); 1001];
    is_refused(packed);
    let mut packed = Draft::good().packed();
    packed.manifest.images[0].layers = vec![airgap::bundle::Digest::of(&layer()); 128];
    is_refused(packed);
    let mut packed = Draft::good().packed();
    packed.manifest.entries = vec![packed.manifest.entries[4].clone(); 100_001];
    is_refused(packed);
}

/// Nobody can tell then which bundle came last.
#[test]
fn a_state_that_does_not_read_stops_a_load() {
    let ground = Ground::new();
    std::fs::write(ground.home().join("state"), "a file").unwrap();
    let key = SecretKey::generate();
    let (code, said) = refusal(&ground, Draft::good().file(&key), &["--public-key", &key.public().line()]);
    assert!(code == Some(1) && said.contains("state/bundle.json"), "{said}");
}
