//! What the first installers took, written by the script that has always written it: stock Docker loads it, two runs give the same bytes.
//! And loading it with this program, which says that nobody has signed it, and takes no file that is not what it says.

use std::io::Read;
use std::path::{Path, PathBuf};

use base::process::{Finished, Program};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::bundle_travel::{Workshop, said};
use crate::engine::Engine;
use crate::site::{Ground, binary, out};

/// The script, in the workshop's tree.
fn script(workshop: &Workshop, arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    let program = Program::new("tree/scripts/build-airgap-bundle.sh").options(arguments);
    let program = program.directory(&workshop.path(".")).env("GITGRIT_OPS", binary());
    let program = program.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let program = program.env("DOCKER_HOST", workshop.engine.address()).env("HOME", workshop.path("."));
    environment.iter().fold(program, |program, (name, value)| program.env(name, value)).run(b"").unwrap()
}

const IMAGES: [&str; 6] = ["--image", "gitgrit-app:v1", "--image", "gitgrit-sandbox:v1", "--image", "redis:7"];

fn shop() -> Option<Workshop> {
    let mut workshop = Workshop::open()?;
    std::fs::create_dir_all(workshop.path("tree/scripts")).unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/build-airgap-bundle.sh");
    std::fs::copy(from, workshop.path("tree/scripts/build-airgap-bundle.sh")).unwrap();
    std::fs::write(workshop.path("tree/compose/.env.example"), "SITE_URL=\n").unwrap();
    workshop.commit();
    Some(workshop)
}

/// A program of this name in the folder `beside`, which is first in the script's PATH.
fn stub(ground: &Ground, name: &str, text: &str) {
    let place = ground.home().join("beside").join(name);
    base::file::write_atomic(&place, format!("#!/bin/sh\n{text}\n").as_bytes(), 0o755).unwrap();
}

#[test]
fn the_script_takes_no_program_of_another_commit_and_says_what_it_misses() {
    let ground = Ground::new();
    let tree = ground.home().join("tree");
    std::fs::create_dir_all(tree.join("scripts")).unwrap();
    std::fs::create_dir(ground.home().join("beside")).unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/build-airgap-bundle.sh");
    std::fs::copy(from, tree.join("scripts/build-airgap-bundle.sh")).unwrap();
    std::fs::write(tree.join(".gitignore"), "target/\n").unwrap();
    std::fs::create_dir(tree.join("compose")).unwrap();
    std::fs::write(tree.join("compose/.env.example"), "").unwrap();
    let path = format!("{}/beside:/usr/bin:/bin", ground.home().display());
    let git = |arguments: &[&str]| {
        let program = Program::new("git").options(["-c", "user.name=a", "-c", "user.email=a@b"]).options(arguments);
        out(&program.directory(&tree).env("HOME", ground.home()).run(b"").unwrap()).trim().to_owned()
    };
    let run = |environment: &[(&str, &str)]| {
        let program = Program::new("tree/scripts/build-airgap-bundle.sh").options(["v1", "--dry-run"]);
        let program = program.directory(ground.home()).env("HOME", ground.home()).env("PATH", &path);
        environment.iter().fold(program, |program, (name, value)| program.env(name, value)).run(b"").unwrap()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    let commit = git(&["rev-parse", "HEAD"]);
    stub(&ground, "docker", "exit 0");
    let says = |commit: &str| {
        format!("if [ $1 = version ]; then echo '{{\"commit\": \"{commit}\"}}'; else echo found \"$@\"; fi")
    };
    stub(&ground, "gitgrit-ops", &says(&"0".repeat(40)));
    let made = "mkdir -p target/release; printf '#!/bin/sh\necho made as %s\n' \"$GITGRIT_BUILD_COMMIT\" > target/release/gitgrit-ops; chmod 755 target/release/gitgrit-ops";
    stub(&ground, "cargo", made);
    assert_eq!(out(&run(&[])), format!("made as {commit}\n"), "another commit's program was taken");
    stub(&ground, "gitgrit-ops", &says(&commit));
    assert!(out(&run(&[])).starts_with("found bundle tgz --tag v1 "));
    // The caller's own choice is taken, also by a path from where the caller is.
    stub(&ground, "mine", "echo mine; exit 18");
    stub(&ground, "says", "echo \"$@\"");
    let program = Program::new("tree/scripts/build-airgap-bundle.sh");
    let program = program.options(["v1", "--program", "a b", "--images=list", "--cache=/c", "--image", "x:1"]);
    let program = program.directory(ground.home()).env("PATH", &path).env("GITGRIT_OPS", "beside/says");
    let (said, here) = (out(&program.run(b"").unwrap()), ground.home().display());
    let wanted = format!(" --program {here}/a b --images={here}/list --cache=/c --image x:1\n");
    assert!(said.ends_with(&wanted), "paths are the caller's: {said}");
    let done = run(&[("GITGRIT_OPS", "beside/mine")]);
    assert_eq!((out(&done).as_str(), done.status.code()), ("mine\n", Some(1)), "{}", done.stderr);
    // What is compiled from changes says so, and only whoever allows it compiles it.
    std::fs::write(tree.join(".gitignore"), "target/\n# more\n").unwrap();
    let done = run(&[]);
    let errors: Vec<_> = done.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((done.status.code(), errors.len()), (Some(1), 3), "{}", done.stderr);
    assert!(errors[0].contains("working tree is dirty") && errors[2].ends_with("`.gitignore`"), "{}", done.stderr);
    assert_eq!(out(&run(&[("ALLOW_DIRTY", "1")])), format!("made as {commit}-dirty\n"));
    let done = run(&[("OUT_DIR", "tree/.gitignore/x")]);
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(1), "output dir not writable: tree/.gitignore/x\n"));
    misses(&ground, &run);
}

/// Variables of the script's environment, with their values.
type Environment<'e> = [(&'e str, &'e str)];

/// What the script says of programs and files that are not there.
fn misses(ground: &Ground, run: &dyn Fn(&Environment<'_>) -> Finished) {
    let (bare, place) = (ground.home().join("bare"), |name: &str| Path::new("/usr/bin").join(name));
    std::fs::create_dir(&bare).unwrap();
    for name in ["bash", "dirname", "date", "mkdir"] {
        std::os::unix::fs::symlink(place(name), bare.join(name)).unwrap();
    }
    let bare = bare.display().to_string();
    let done = run(&[("PATH", &bare)]);
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(1), "docker not found in PATH\n"));
    std::os::unix::fs::symlink(place("true"), format!("{bare}/docker")).unwrap();
    let done = run(&[("PATH", &bare)]);
    let wanted = "git not found in PATH (needed to stamp the image with HEAD)\n";
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(1), wanted));
    std::fs::remove_file(ground.home().join("tree/compose/.env.example")).unwrap();
    let done = run(&[("OUT_DIR", "never")]);
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(1), "missing required file: compose/.env.example\n"));
    assert!(!ground.home().join("never").exists());
}

fn load(workshop: &Workshop, file: &str, engine: &Engine, more: &[&str]) -> Finished {
    let all = [&["load", file, "--json"], more].concat();
    workshop.bundle(&all).env("DOCKER_HOST", engine.address()).run(b"").unwrap()
}

fn is_empty(engine: &Engine) -> bool {
    engine.docker(&["image", "ls", "--all", "--quiet"]).stdout.is_empty()
}

#[test]
fn the_script_writes_what_stock_docker_loads_and_the_same_bytes_each_time() {
    let Some(workshop) = shop() else { return };
    let program = workshop.path("program").display().to_string();
    let more = [&["v1", "--program", &program], &IMAGES[..]].concat();
    let planned = script(&workshop, &[&more[..], &["--dry-run"]].concat(), &[("OUT_DIR", "planned")]);
    assert!(
        planned.stderr.contains("would write") && std::fs::read_dir(workshop.path("planned")).unwrap().next().is_none()
    );
    let done = script(&workshop, &more, &[]);
    assert!(done.status.success(), "{}{}", out(&done), done.stderr);
    let commit = workshop.git(&["rev-parse", "HEAD"]);
    let answer = out(&done);
    assert!(answer.starts_with(&format!("→ Bundle source: HEAD={}\n", commit.trim())), "{answer}");
    assert!(answer.contains("\nBundle ready:\n"), "{answer}");
    // By default beside the tree's own files, and not in the way of the next run.
    let at = |folder: &str, name: &str| -> PathBuf { workshop.path(folder).join(name) };
    let again = script(&workshop, &more, &[("OUT_DIR", "dist"), ("TZ", "Asia/Tokyo")]);
    assert!(again.status.success(), "{}{}", out(&again), again.stderr);
    for name in ["gitgrit-bundle-v1.tar", "gitgrit-install-v1.tgz", "gitgrit-install-v1.tgz.sha256"] {
        let (one, two) = (std::fs::read(at("tree", name)).unwrap(), std::fs::read(at("dist", name)).unwrap());
        assert!(one == two, "{name} differs");
    }
    let sum =
        Program::new("sha256sum").options(["-c", "gitgrit-install-v1.tgz.sha256"]).directory(&workshop.path("dist"));
    assert_eq!(out(&sum.run(b"").unwrap()), "gitgrit-install-v1.tgz: OK\n");

    let target = Engine::start("{}", "");
    let archive = at("dist", "gitgrit-bundle-v1.tar").display().to_string();
    target.does(&["load", "-i", &archive]);
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
    let listed = Program::new("tar").options(["tzf"]).option(at("dist", "gitgrit-install-v1.tgz")).run(b"").unwrap();
    let wanted = [".env.example", "CHANGELOG.md", "docker-compose.full.yaml", "docs/index.md", "gitgrit-bundle-v1.tar"];
    assert_eq!(out(&listed).lines().collect::<Vec<_>>(), wanted);

    // Killed half-way over what an older run left, and run again: no older sum is left beside what is newer.
    std::fs::create_dir(workshop.path("killed")).unwrap();
    for name in ["gitgrit-bundle-v1.tar", "gitgrit-install-v1.tgz", "gitgrit-install-v1.tgz.sha256"] {
        std::fs::write(at("killed", name), "older").unwrap();
    }
    let killed = script(&workshop, &more, &[("OUT_DIR", "killed"), ("GITGRIT_FAULT", "bundle:tgz:archive")]);
    assert!(!killed.status.success() && !at("killed", "gitgrit-install-v1.tgz").exists(), "{}", out(&killed));
    assert!(!at("killed", "gitgrit-install-v1.tgz.sha256").exists());
    let again = script(&workshop, &more, &[("OUT_DIR", "killed")]);
    assert!(again.status.success() && again.stderr.starts_with("note: "), "{}{}", out(&again), again.stderr);
    assert_eq!(std::fs::read_dir(workshop.path("killed")).unwrap().count(), 3);
    let name = "gitgrit-install-v1.tgz";
    assert!(std::fs::read(at("killed", name)).unwrap() == std::fs::read(at("dist", name)).unwrap());

    // A tree with changes is refused, and nothing is written; what no commit has does not count.
    std::fs::write(workshop.path("tree/docs/index.md"), "# Changed\n").unwrap();
    let done = script(&workshop, &more, &[("OUT_DIR", "dirty")]);
    assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{}", out(&done));
    let errors = done.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert!(errors == 3 && std::fs::read_dir(workshop.path("dirty")).unwrap().next().is_none(), "{}", done.stderr);
    let done = script(&workshop, &more, &[("OUT_DIR", "dirty"), ("ALLOW_DIRTY", "1")]);
    assert!(done.status.success() && done.stderr.contains("bundling anyway because ALLOW_DIRTY=1"), "{}", done.stderr);
    let absent =
        script(&workshop, &more, &[("OUT_DIR", "dirty"), ("ALLOW_DIRTY", "1"), ("DOCKER_HOST", "unix:///nonexistent")]);
    assert_eq!((absent.status.code(), absent.stdout.len()), (Some(1), 0), "{}", absent.stderr);
}

#[test]
fn an_installer_is_loaded_only_by_who_knows_that_nobody_signed_it() {
    let Some(workshop) = shop() else { return };
    let program = workshop.path("program").display().to_string();
    let done = script(&workshop, &[&["v1", "--program", &program], &IMAGES[..]].concat(), &[("OUT_DIR", "dist")]);
    assert!(done.status.success(), "{}{}", out(&done), done.stderr);
    let target = Engine::start("{}", "");
    let file = "dist/gitgrit-install-v1.tgz";
    let done = load(&workshop, file, &target, &[]);
    assert!(done.status.code() == Some(13) && out(&done).contains("GG-BUNDLE-120"), "{}", out(&done));
    assert!(done.stderr.starts_with("warning: this file is unsigned") && is_empty(&target), "{}", done.stderr);
    said(&load(&workshop, file, &target, &["--unsigned", "--dry-run"]));
    assert!(is_empty(&target));
    let loaded = said(&load(&workshop, file, &target, &["--unsigned"]));
    assert_eq!((loaded["is_signed"].as_bool(), loaded["images"].as_array().map(Vec::len)), (Some(false), Some(3)));
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));

    hostile(&workshop, &std::fs::read(workshop.path(file)).unwrap());
}

/// Takes the good installer apart and puts it together in ways that no installer has.
fn hostile(workshop: &Workshop, good: &[u8]) {
    let target = Engine::start("{}", "");
    let mut archive = Vec::new();
    GzDecoder::new(good).read_to_end(&mut archive).unwrap();
    let mut images = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("gitgrit-bundle-v1.tar") {
            entry.read_to_end(&mut images).unwrap();
        }
    }
    let name = "gitgrit-bundle-v1.tar";
    let mut swapped = images.clone();
    let place = swapped.len() / 2;
    swapped[place] ^= 1;
    let file = |name, content| packed(&[(name, EntryType::Regular, content)]);
    let cases = [
        (file("../gitgrit-bundle-v1.tar", &images), "GG-BUNDLE-121"),
        (file("/gitgrit-bundle-v1.tar", &images), "GG-BUNDLE-121"),
        (file("other.tar", &images), "GG-BUNDLE-121"),
        (packed(&[(name, EntryType::Regular, &images), ("x", EntryType::Symlink, b"")]), "GG-BUNDLE-121"),
        (packed(&[(name, EntryType::Regular, &images), ("x", EntryType::Link, b"")]), "GG-BUNDLE-121"),
        (packed(&[(name, EntryType::Regular, &images), ("x", EntryType::Fifo, b"")]), "GG-BUNDLE-121"),
        (packed(&[("x", EntryType::XHeader, b"11 path=../a\n"), (name, EntryType::Regular, &images)]), "GG-BUNDLE-121"),
        (
            packed(&[(name, EntryType::Regular, &images), ("gitgrit-bundle-v2.tar", EntryType::Regular, &images)]),
            "GG-BUNDLE-121",
        ),
        (file(name, &swapped), "GG-BUNDLE-123"),
        (file(name, &images[..images.len() / 2]), "GG-BUNDLE-123"),
        (file(name, b"no archive at all"), "GG-BUNDLE-123"),
        (file(name, &bomb()), "GG-BUNDLE-123"),
        (file(name, &beside(&images)), "GG-BUNDLE-123"),
        (packed(&[("a/", EntryType::Directory, &images), (name, EntryType::Regular, &images)]), "GG-BUNDLE-121"),
    ];
    for (content, wanted) in cases {
        std::fs::write(workshop.path("hostile.tgz"), content).unwrap();
        let done = load(workshop, "hostile.tgz", &target, &["--unsigned"]);
        assert!(done.status.code() == Some(13) && out(&done).contains(wanted), "{wanted}: {}", out(&done));
    }
    for size in [3, 20, good.len() / 3, good.len() - 5] {
        std::fs::write(workshop.path("hostile.tgz"), &good[..size]).unwrap();
        let done = load(workshop, "hostile.tgz", &target, &["--unsigned"]);
        assert_eq!(done.status.code(), Some(13), "{size}: {}", out(&done));
    }
    assert!(is_empty(&target));
}

/// The same images and one more, whose configuration lies where it was once not looked for, and which Docker loads all the same.
fn beside(images: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in tar::Archive::new(images).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (mut header, path) = (entry.header().clone(), entry.path().unwrap().into_owned());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if path.ends_with("manifest.json") {
            content.truncate(content.iter().rposition(|byte| *byte == b']').unwrap());
            content.extend(br#",{"Config":"sub/c.json","RepoTags":["postgres:15"],"Layers":[]}]"#);
        }
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    let config = br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let mut header = Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(config.len() as u64);
    builder.append_data(&mut header, "sub/c.json", config.as_slice()).unwrap();
    builder.into_inner().unwrap()
}

/// A list of images that unpacks to much more than any is.
fn bomb() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(80 << 20);
    builder.append_data(&mut header, "manifest.json", vec![b' '; 80 << 20].as_slice()).unwrap();
    builder.into_inner().unwrap()
}

fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        // Past the library's own scruples.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
