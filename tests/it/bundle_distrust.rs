//! What a build does not take on trust: a cache that somebody else could write to, a checkout that is not what its commit
//! says, layers that begin alike. And what a load leaves alone until all images are there.

use base::process::Program;

use crate::bundle_travel::{Workshop, noise, said};
use crate::docker_room::import;
use crate::engine::Engine;
use crate::site::out;

/// The folders of packed content in a cache.
fn kept(workshop: &Workshop, cache: &str) -> Vec<std::path::PathBuf> {
    let layers = std::fs::read_dir(workshop.path(cache).join("layers")).unwrap();
    layers.map(|entry| entry.unwrap().path()).collect()
}

/// The digest that a folder of packed content is named after.
fn digest(folder: &std::path::Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    name.strip_prefix("sha256-").unwrap().strip_suffix(".fast").unwrap().to_owned()
}

#[test]
fn a_cache_with_other_content_under_a_known_digest_is_not_signed() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &["--cache", "cache"]);
    let expected = std::fs::read(workshop.file("dist")).unwrap();
    let program = airgap::bundle::Digest::of(&std::fs::read(workshop.path("program")).unwrap()).to_string();
    let folders = kept(&workshop, "cache");
    let (own, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|folder| digest(folder) == program);
    let (own, other) = (&own[0], &others[0]);
    let index = std::fs::read_to_string(other.join("frames.json")).unwrap().replace(&digest(other), &program);
    std::fs::write(own.join("frames.json"), index).unwrap();
    std::fs::copy(other.join("data.zst"), own.join("data.zst")).unwrap();
    workshop.built("again", &["--cache", "cache"]);
    assert!(expected == std::fs::read(workshop.file("again")).unwrap(), "the poisoned program was signed");
    // A layer's packed bytes, all of them exchanged for another's.
    let (one, two) = (&others[0], &others[1]);
    let index = std::fs::read_to_string(two.join("frames.json")).unwrap().replace(&digest(two), &digest(one));
    std::fs::write(one.join("frames.json"), index).unwrap();
    std::fs::copy(two.join("data.zst"), one.join("data.zst")).unwrap();
    let made = workshop.built("third", &["--cache", "cache"]);
    assert_eq!(made["packed"].as_u64(), Some(1), "{made}");
    assert!(expected == std::fs::read(workshop.file("third")).unwrap(), "the poisoned layer was signed");
}

#[test]
fn layers_and_programs_that_begin_like_the_last_ones_are_packed_all_the_same() {
    let Some(workshop) = Workshop::open() else { return };
    let other_end = |seed: u64, size: usize| {
        let mut content = noise(seed, size);
        content[size - 1] ^= 1;
        content
    };
    for (name, seed) in [("db:1", 11), ("proxy:1", 12)] {
        import(&workshop.engine, name, &[], &noise(seed, 2 << 20));
    }
    std::fs::write(workshop.path("program"), vec![7; 2 << 20]).unwrap();
    let more = ["--image", "db:1", "--image", "proxy:1", "--cache", "cache"];
    assert_eq!(workshop.built("dist", &more)["packed"].as_u64(), Some(5));
    // Each next to its predecessor, so that one archive has both.
    for (name, seed) in [("db:2", 11), ("proxy:2", 12)] {
        import(&workshop.engine, name, &["LABEL next=1"], &other_end(seed, 2 << 20));
    }
    for (name, seed) in [("old-db:1", 11), ("old-proxy:1", 12)] {
        import(&workshop.engine, name, &["LABEL again=1"], &noise(seed, 2 << 20));
    }
    let mut program = vec![7; 2 << 20];
    program[(2 << 20) - 1] = 8;
    std::fs::write(workshop.path("program"), &program).unwrap();
    let more = ["db:2", "proxy:2", "old-db:1", "old-proxy:1"].map(|name| ["--image", name]).concat();
    let more = [&more[..], &["--cache", "cache"]].concat();
    workshop.built("next", &more);
    let again = workshop.built("again", &more);
    assert_eq!(again["packed"].as_u64(), Some(0), "every layer was packed at once: {again}");
    assert!(std::fs::read(workshop.file("next")).unwrap() == std::fs::read(workshop.file("again")).unwrap());
    let file = workshop.file("next").display().to_string();
    workshop.does(&["verify", &file, "--full", "--public-key", "release.pub"]);
}

#[test]
fn a_clean_bundle_carries_the_bytes_of_its_commit_alone() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let expected = std::fs::read(workshop.file("dist")).unwrap();
    workshop.git(&["update-index", "--assume-unchanged", "docs/index.md"]);
    std::fs::write(workshop.path("tree/docs/index.md"), "# No commit has this\n").unwrap();
    let made = workshop.built("again", &[]);
    assert_eq!(made["is_dirty"].as_bool(), Some(false), "{made}");
    assert!(expected == std::fs::read(workshop.file("again")).unwrap(), "bytes that no commit has");
    let refused = |source: &str, words: &str| {
        let build = ["build", "--tag", "v1", "--source", source, "--image", "cache=redis:7", "--dry-run"];
        let done = workshop.bundle(&build).run(b"").unwrap();
        assert!(done.status.code() == Some(1) && done.stderr.contains(words), "{source}: {}", done.stderr);
    };
    refused("tree/docs", "`docs/` is a folder in it, and not the whole");
    std::os::unix::fs::symlink("/etc/passwd", workshop.path("tree/docs/link")).unwrap();
    workshop.git(&["add", "docs/link"]);
    workshop.git(&["commit", "-q", "-m", "link"]);
    refused("tree", "`docs/link` is a link or another repository");
    workshop.git(&["rm", "-q", "-r", "--cached", "docs"]);
    workshop.git(&["commit", "-q", "-m", "gone"]);
    std::fs::remove_dir_all(workshop.path("tree/docs")).unwrap();
    refused("tree", "`docs/` has no files");
}

#[test]
fn names_are_given_when_all_images_are_there_and_the_journal_knows_the_ones_before() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let target = Engine::start("{}", "");
    import(&target, "redis:7", &[], &noise(20, 1 << 20));
    let id = |name: &str| out(&target.docker(&["image", "inspect", "--format", "{{.Id}}", name])).trim().to_owned();
    let before = id("redis:7");
    let load = |place: &str| workshop.load(&target, "dist", &[]).env("GITGRIT_FAULT", place).run(b"").unwrap();
    for _ in 0..3 {
        assert!(!load("bundle:load:image").status.success());
        assert_eq!(id("redis:7"), before);
        assert!(!target.docker(&["image", "inspect", "gitgrit-app:v1"]).status.success(), "a name before its time");
    }
    assert_eq!(said(&workshop.load(&target, "dist", &[]).run(b"").unwrap())["sent"].as_u64(), Some(0));
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
    let journal = workshop.path(&format!("state-{}", target.process())).join("bundle.jsonl");
    assert!(std::fs::read_to_string(journal).unwrap().contains(&format!("redis:7 was {before}")));
}

#[test]
fn a_full_disk_stops_a_build_with_its_own_exit_code_and_leaves_nothing() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("warm", &["--cache", "cache"]);
    std::fs::create_dir_all(workshop.path("small")).unwrap();
    let small = workshop.path("small").display().to_string();
    // The cache is full while a layer is packed, and the bundle's folder before anything is written there.
    for (cache, folder, words) in [("small/cache", "dist", "small/cache"), ("cache", "small", "and the bundle needs 1")]
    {
        let build = workshop.build_into(folder, &["--cache", cache]).into_parts().0;
        let arguments = build.get_args().map(ToOwned::to_owned);
        let script = format!(
            "mount -t tmpfs -o size=4m none '{small}' && \"$0\" \"$@\"; code=$?; find '{small}' -name '*.part' -o -name 'unfinished-*' | sed 's/^/left /'; exit $code"
        );
        let program = Program::new("unshare").options(["--mount", "sh", "-c", &script]).option(build.get_program());
        let program = program.options(arguments).directory(&workshop.path("."));
        let done =
            program.env("HOME", workshop.path(".")).env("DOCKER_HOST", workshop.engine.address()).run(b"").unwrap();
        let said = out(&done);
        assert_eq!(done.status.code(), Some(15), "{said}{}", done.stderr);
        assert!(said.contains(words) && !said.lines().any(|line| line.starts_with("left ")), "{said}");
        assert!(!workshop.file("dist").exists());
    }
}
