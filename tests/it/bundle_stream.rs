//! A bundle out of a pipe: loaded while it is read, and when anything of it does not hold, to its very last byte, the engine has nothing.

use std::io::{Cursor, Read};
use std::os::unix::process::ExitStatusExt;

use airgap::bundle::source::Source;
use airgap::bundle::stream::Passing;
use airgap::bundle::trust::Trust;
use airgap::bundle::{BundleError, Digest, Hashes, Signature};
use base::process::{Finished, Program};
use vault::minisign::SecretKey;

use crate::bundle_forger::{Draft, layer};
use crate::bundle_travel::{Workshop, has_nothing, said};
use crate::engine::Engine;
use crate::site::{Ground, binary, out};

/// A hostile bundle is refused from a pipe, too, and nothing of it lies anywhere.
pub(crate) fn is_refused(ground: &Ground, key: &str, name: &str, bytes: &[u8]) {
    let names =
        || std::fs::read_dir(ground.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let before = names();
    let load = ["bundle", "load", "-", "--json", "--to", "oci-dir:out", "--public-key", key];
    let done = ground.program().options(load).run(bytes).unwrap();
    assert_eq!(done.status.code(), Some(13), "{name} from a pipe: {}{}", out(&done), done.stderr);
    assert_eq!(names(), before, "{name} from a pipe: something was written");
}

/// Loads what comes on standard input.
fn load(workshop: &Workshop, engine: &Engine, input: &[u8], more: &[&str]) -> Finished {
    let state = format!("state-{}", engine.process());
    let load = ["load", "-", "--public-key", "release.pub", "--state", &state, "--json"];
    workshop.bundle(&[&load[..], more].concat()).env("DOCKER_HOST", engine.address()).run(input).unwrap()
}

#[test]
fn a_stream_that_does_not_hold_leaves_nothing_and_a_good_one_arrives() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let whole = std::fs::read(workshop.file("dist")).unwrap();
    let target = Engine::start("{}", "");
    let flipped = |place: usize| {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        damaged
    };
    let end = whole.len();
    // The head, the first layer, the last frame, the seek table; cut in a frame and at the last byte; one byte more.
    let damaged = [flipped(40), flipped(end / 3), flipped(end / 2), flipped(end - 400), flipped(end - 1)];
    let cut = [whole[..end / 2].to_vec(), whole[..end - 1].to_vec(), [&whole[..], b"x"].concat(), Vec::new()];
    for (case, input) in damaged.iter().chain(&cut).enumerate() {
        // What reads nothing has no input.
        let done = load(&workshop, &target, input, &[]);
        assert_eq!(done.status.code(), Some(13), "case {case}: {}{}", out(&done), done.stderr);
        assert!(out(&done).contains("\"id\": \"GG-BUNDLE-0"), "case {case}: {}", out(&done));
        assert!(has_nothing(&target), "case {case} left something");
    }
    let planned = said(&load(&workshop, &target, &whole, &["--dry-run"]));
    assert!(has_nothing(&target) && planned["sent"].as_u64() > Some(12 << 20), "{planned}");
    let done = load(&workshop, &target, &flipped(end - 400), &["--dry-run"]);
    assert_eq!(done.status.code(), Some(13), "a dry run reads to the end, too");

    // As an operator would.
    let line = format!(
        "cat '{}' | '{}' bundle load - --public-key release.pub --state state --json",
        workshop.file("dist").display(),
        binary().display()
    );
    let program = Program::new("sh").options(["-c", &line]).directory(&workshop.path("."));
    let done = program.env("HOME", workshop.path(".")).env("DOCKER_HOST", target.address()).run(b"").unwrap();
    assert_eq!((&said(&done)["sent"], Workshop::ids(&target)), (&planned["sent"], Workshop::ids(&workshop.engine)));
    let again = said(&load(&workshop, &target, &whole, &[]));
    assert_eq!(again["sent"].as_u64(), Some(0), "{again}");

    // One layer short, and a name that belongs to somebody else until the end.
    target.does(&["rmi", "gitgrit-sandbox:v1"]);
    target.does(&["tag", "redis:7", "gitgrit-sandbox:v1"]);
    let other = target.docker(&["image", "inspect", "--format", "{{.Id}}", "gitgrit-sandbox:v1"]).stdout;
    let done = load(&workshop, &target, &flipped(end - 400), &[]);
    assert_eq!(done.status.code(), Some(13), "{}", out(&done));
    assert_eq!(target.docker(&["image", "inspect", "--format", "{{.Id}}", "gitgrit-sandbox:v1"]).stdout, other);
    let mended = said(&load(&workshop, &target, &whole, &[]));
    assert!(mended["sent"].as_u64() < Some(3 << 20) && mended["sent"].as_u64() > Some(0), "{mended}");
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
}

#[test]
fn a_stream_that_was_killed_leaves_nothing_and_is_run_again() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let target = Engine::start("{}", "");
    let file = workshop.file("dist").display().to_string();
    let stream = |place: &str| {
        let state = format!("state-{}", target.process());
        let load = ["load", &file, "--stream", "--public-key", "release.pub", "--state", &state, "--json"];
        workshop.bundle(&load).env("DOCKER_HOST", target.address()).env("GITGRIT_FAULT", place).run(b"").unwrap()
    };
    let done = stream("bundle:load:sent");
    assert_eq!(done.status.signal(), Some(9), "{}", out(&done));
    assert!(has_nothing(&target), "half a stream became an image");
    // Everything held and is there; only the names are missing.
    let done = stream("bundle:load:image");
    assert_eq!(done.status.signal(), Some(9), "{}", out(&done));
    assert!(!target.docker(&["image", "inspect", "redis:7"]).status.success(), "a name before its time");
    let rest = said(&stream(""));
    assert_eq!((rest["sent"].as_u64(), Workshop::ids(&target)), (Some(0), Workshop::ids(&workshop.engine)));
}

#[test]
fn every_image_that_was_loaded_starts() {
    let Some(workshop) = Workshop::open() else { return };
    // A real program and what it needs of this host, twice with another thing on top.
    let make = "mkdir -p context/rootfs && cp -L --parents /bin/dash $(ldd /bin/dash | grep -o '/[^ ]*') context/rootfs && \
                printf 'FROM scratch\\nCOPY rootfs /\\nCMD [\"/bin/dash\", \"-c\", \"echo up\"]\\n' >context/Dockerfile";
    let done = Program::new("sh").options(["-ec", make]).directory(&workshop.path(".")).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let build = |name: &str, file: &str| {
        std::fs::write(workshop.path("context/Dockerfile"), file).unwrap();
        let context = workshop.path("context").display().to_string();
        let program = Program::new("docker").options(["build", "-q", "-t", name, &context]);
        let program = program.env("DOCKER_BUILDKIT", "0").env("DOCKER_HOST", workshop.engine.address());
        let done = program.env("HOME", workshop.path(".")).run(b"").unwrap();
        assert!(done.status.success(), "{}{}", out(&done), done.stderr);
    };
    build("base:1", "FROM scratch\nCOPY rootfs /\nCMD [\"/bin/dash\", \"-c\", \"echo up\"]\n");
    build(
        "next:1",
        "FROM base:1\nCOPY Dockerfile /more\nENTRYPOINT [\"/bin/dash\", \"-c\", \"read x </more && echo $x\"]\n",
    );
    let images = ["--image", "base:1", "--image", "next:1", "--json"];
    let tree =
        ["build", "--tag", "v1", "--source", "tree", "--program", "program", "--out", "dist", "--key", "release.key"];
    said(&workshop.bundle(&[&tree[..], &images].concat()).run(b"").unwrap());
    for how in [&[][..], &["--stream"]] {
        let target = Engine::start("{}", "");
        workshop.loaded(&target, "dist", how);
        for (name, words) in [("base:1", "up\n"), ("next:1", "FROM base:1\n")] {
            let id = |engine: &Engine| engine.docker(&["image", "inspect", "--format", "{{.Id}}", name]).stdout;
            assert_eq!(id(&target), id(&workshop.engine), "{name}");
            let done = target.docker(&["run", "--rm", "--network", "none", name]);
            assert_eq!(out(&done), words, "{name}: {}", done.stderr);
        }
    }
}

/// The six images of the stack, when this machine's engine has them.
#[test]
fn the_images_of_the_stack_travel_and_start() {
    let names = ["app", "sandbox", "db", "redis", "dind", "trusted-builder"];
    let are_there = names.iter().try_for_each(|name| crate::require::docker(&format!("gitgrit-{name}:lab")));
    if !crate::require::has("images", are_there) {
        return;
    }
    let Some(workshop) = Workshop::open() else { return };
    let here = |arguments: &[&str]| {
        let program = Program::new("docker").options(arguments).deadline(std::time::Duration::from_mins(5));
        let done = program.env("HOME", workshop.path(".")).run(b"").unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", done.stderr);
        out(&done)
    };
    // Under names of others, since they are not of this story's commit. The engine's own names are given back at the end.
    let names: Vec<_> = names.iter().map(|name| (format!("gitgrit-{name}:lab"), format!("travel-{name}:it"))).collect();
    for (from, to) in &names {
        here(&["tag", from, to]);
    }
    let images: Vec<&str> = names.iter().flat_map(|(_, to)| ["--image", to]).collect();
    let tree = [
        "build",
        "--tag",
        "v1",
        "--source",
        "tree",
        "--program",
        "program",
        "--out",
        "dist",
        "--key",
        "release.key",
        "--json",
    ];
    let build = workshop.bundle(&[&tree[..], &images].concat()).deadline(std::time::Duration::from_mins(9));
    let built = build.env("DOCKER_HOST", "").run(b"").unwrap();
    let ids: Vec<_> = names.iter().map(|(_, to)| here(&["image", "inspect", "--format", "{{.Id}}", to])).collect();
    for (_, to) in &names {
        here(&["rmi", to]);
    }
    said(&built);
    let target = Engine::start("{}", "");
    let load = workshop.load(&target, "dist", &[]).deadline(std::time::Duration::from_mins(9));
    said(&load.run(b"").unwrap());
    for ((_, name), id) in names.iter().zip(ids) {
        assert_eq!(out(&target.docker(&["image", "inspect", "--format", "{{.Id}}", name])), id, "{name}");
        let done = target.docker(&["run", "--rm", "--network", "none", "--entrypoint", "sh", name, "-c", "echo up"]);
        assert_eq!(out(&done), "up\n", "{name}: {}", done.stderr);
    }
}

/// What a stream gives out of its large layer, and whether it held.
fn read(bytes: Vec<u8>, key: &SecretKey) -> (Vec<u8>, Result<(), BundleError>) {
    let trust = Trust::new(vec![key.public().clone()], 1).unwrap();
    let judge = |manifest: &[u8], signatures: &[Signature]| Ok(trust.judge(manifest, signatures)?);
    let (mut given, large) = (Vec::new(), Digest::of(&layer()));
    let held = Passing::open(Box::new(Cursor::new(bytes)), "x".as_ref(), Hashes::Blake3, judge, &|_| ());
    let held = held.and_then(|(passing, _)| {
        // What fails in the middle fails at the end as well.
        let _ = passing.blob(&large, true).and_then(|mut blob| blob.read_to_end(&mut given));
        passing.hold()
    });
    (given, held)
}

#[test]
fn one_flipped_bit_anywhere_is_found_and_no_false_byte_goes_on() {
    let key = SecretKey::generate();
    let sealed = Draft::good().packed().sealed(&key);
    let (whole, large) = (sealed.file(), layer());
    let (given, held) = read(whole.clone(), &key);
    held.unwrap();
    assert!(given == large);
    for step in 0..1000 {
        let mut flipped = whole.clone();
        let place = whole.len() * step / 1000;
        flipped[place] ^= 1 << (step % 8);
        let (given, held) = read(flipped, &key);
        assert!(held.is_err(), "byte {place}");
        assert!(large.starts_with(&given), "byte {place}: something false went on");
    }
    for edge in sealed.edges() {
        let (given, held) = read(whole[..edge].to_vec(), &key);
        assert!(held.is_err() && large.starts_with(&given), "cut at {edge}");
    }
}
