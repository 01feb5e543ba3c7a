//! A bundle's way: built from one engine's images, carried, and loaded into an engine that has nothing. Both engines are the
//! test's own. Whatever ends a build or a load half-way, the next run brings the same result and does not begin anew.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::process::{Finished, Program};
use serde_json::Value;

use crate::docker_room::import;
use crate::engine::Engine;
use crate::site::{Ground, out};

/// How a fault point ends the program.
const KILLED: i32 = 9;

/// A checkout with a commit, images that were built from it, and a key.
pub(crate) struct Workshop {
    ground: Ground,
    pub(crate) engine: Engine,
    commit: String,
}

impl Workshop {
    pub(crate) fn open() -> Option<Self> {
        if !Engine::is_possible() {
            return None;
        }
        let ground = Ground::new();
        let engine = Engine::start("{}", "");
        let mut workshop = Self { ground, engine, commit: String::new() };
        std::fs::create_dir_all(workshop.path("tree/docs")).unwrap();
        std::fs::create_dir_all(workshop.path("tree/compose")).unwrap();
        std::fs::write(workshop.path("tree/docs/index.md"), "# Manual\n").unwrap();
        std::fs::write(workshop.path("tree/compose/docker-compose.full.yaml"), "services: {}\n").unwrap();
        std::fs::write(workshop.path("tree/CHANGELOG.md"), "# Changes\n").unwrap();
        std::fs::write(workshop.path("tree/secret.txt"), "stays at home\n").unwrap();
        std::fs::write(workshop.path("program"), vec![7; 100_000]).unwrap();
        workshop.git(&["init", "-q"]);
        workshop.git(&["add", "."]);
        workshop.git(&["commit", "-q", "-m", "one"]);
        let commit = workshop.git(&["rev-parse", "HEAD"]);
        commit.trim().clone_into(&mut workshop.commit);
        workshop.images();
        workshop.does(&["keygen", "release", "--no-password"]);
        Some(workshop)
    }

    /// Commits everything in the tree, and makes the images anew, from that commit.
    pub(crate) fn commit(&mut self) {
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "more"]);
        self.git(&["rev-parse", "HEAD"]).trim().clone_into(&mut self.commit);
        self.images();
    }

    /// An image of ours on top of `gitgrit-app:v1`, with what lies in the folder `context`.
    pub(crate) fn image(&self, reference: &str, context: &str) {
        std::fs::write(self.path(context).join("Dockerfile"), "FROM gitgrit-app:v1\nCOPY root/ /\n").unwrap();
        let folder = self.path(context);
        let program = Program::new("docker").options(["build", "-q", "-t", reference, folder.to_str().unwrap()]);
        let program = program.env("DOCKER_BUILDKIT", "0").env("DOCKER_HOST", self.engine.address());
        let done = program.env("HOME", self.ground.home()).run(b"").unwrap();
        assert!(done.status.success(), "{}", done.stderr);
    }

    /// Two images of ours that share a layer, and a stranger's. The big layer is as large as several pieces on any way.
    fn images(&self) {
        let stamp = [format!("ENV GIT_SHA={} GIT_TAG=v1", self.commit)];
        let changes = [stamp[0].as_str()];
        import(&self.engine, "gitgrit-app:v1", &changes, &noise(1, 9 << 20));
        import(&self.engine, "redis:7", &[], &noise(2, 1 << 20));
        std::fs::create_dir_all(self.path("context")).unwrap();
        std::fs::write(self.path("context/more"), noise(3, 2 << 20)).unwrap();
        std::fs::write(self.path("context/Dockerfile"), "FROM gitgrit-app:v1\nCOPY more /more\n").unwrap();
        let build =
            ["build", "-q", "-t", "gitgrit-sandbox:v1", self.path("context").to_str().unwrap()].map(str::to_owned);
        let program = Program::new("docker")
            .options(&build)
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_HOST", self.engine.address());
        let done = program.env("HOME", self.ground.home()).run(b"").unwrap();
        assert!(done.status.success(), "{}", done.stderr);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.ground.home().join(name)
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let program = Program::new("git").options(["-c", "user.name=a", "-c", "user.email=a@b"]).options(arguments);
        let done = program.directory(&self.path("tree")).env("HOME", self.ground.home()).run(b"").unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", done.stderr);
        out(&done)
    }

    pub(crate) fn bundle(&self, arguments: &[&str]) -> Program {
        let program = self.ground.program().options(["bundle"]).options(arguments);
        program.env("DOCKER_HOST", self.engine.address()).deadline(Duration::from_mins(2))
    }

    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let done = self.bundle(arguments).run(b"").unwrap();
        assert!(done.status.success(), "{arguments:?}: {}{}", out(&done), done.stderr);
        out(&done)
    }

    pub(crate) fn build_into(&self, folder: &str, more: &[&str]) -> Program {
        let all = [
            "build",
            "--tag",
            "v1",
            "--source",
            "tree",
            "--program",
            "program",
            "--out",
            folder,
            "--key",
            "release.key",
        ];
        let images =
            ["--image", "gitgrit-app:v1", "--image", "gitgrit-sandbox:v1", "--image", "cache=redis:7", "--json"];
        self.bundle(&[&all[..], &images, more].concat())
    }

    pub(crate) fn built(&self, folder: &str, more: &[&str]) -> Value {
        said(&self.build_into(folder, more).run(b"").unwrap())
    }

    pub(crate) fn load(&self, engine: &Engine, folder: &str, more: &[&str]) -> Program {
        let file = format!("{folder}/{}", Self::name());
        let state = format!("state-{}", engine.process());
        let load = ["load", &file, "--public-key", "release.pub", "--state", &state, "--json"];
        self.bundle(&[&load[..], more].concat()).env("DOCKER_HOST", engine.address())
    }

    pub(crate) fn loaded(&self, engine: &Engine, folder: &str, more: &[&str]) -> Value {
        said(&self.load(engine, folder, more).run(b"").unwrap())
    }

    fn name() -> String {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        format!("gitgrit-v1-{arch}.ggb")
    }

    pub(crate) fn file(&self, folder: &str) -> PathBuf {
        self.path(folder).join(Self::name())
    }

    /// The ids of the three images in an engine.
    pub(crate) fn ids(engine: &Engine) -> Vec<String> {
        let names = ["gitgrit-app:v1", "gitgrit-sandbox:v1", "redis:7"];
        names
            .iter()
            .map(|name| out(&engine.docker(&["image", "inspect", "--format", "{{.Id}}", name])).trim().to_owned())
            .collect()
    }
}

pub(crate) fn said(done: &Finished) -> Value {
    assert!(done.status.success(), "{}{}", out(done), done.stderr);
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Bytes that do not compress, the same ones for the same seed.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

pub(crate) fn has_nothing(engine: &Engine) -> bool {
    let done = engine.docker(&["image", "ls", "--all", "--quiet"]);
    assert!(done.status.success(), "{}", done.stderr);
    done.stdout.is_empty()
}

fn is_killed(done: &Finished) -> bool {
    use std::os::unix::process::ExitStatusExt;
    done.status.signal() == Some(KILLED)
}

#[test]
fn images_travel_to_an_empty_engine_with_their_ids_and_are_sent_once() {
    let Some(workshop) = Workshop::open() else { return };
    let made = workshop.built("dist", &[]);
    assert_eq!((made["packed"].as_u64(), made["is_dirty"].as_bool()), (Some(3), Some(false)), "{made}");
    let ids = Workshop::ids(&workshop.engine);
    let target = Engine::start("{}", "");

    let planned = workshop.loaded(&target, "dist", &["--dry-run"]);
    assert!(has_nothing(&target) && planned["sent"].as_u64() > Some(12 << 20), "{planned}");
    let loaded = workshop.loaded(&target, "dist", &[]);
    assert_eq!((&loaded["sent"], Workshop::ids(&target)), (&planned["sent"], ids.clone()));
    // The sandbox's lower layer came with the app.
    let counts: Vec<_> =
        loaded["images"].as_array().unwrap().iter().map(|image| image["sent"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 1, 1]);
    assert!(loaded["spared"].as_u64() > Some(9 << 20), "{loaded}");

    let again = workshop.loaded(&target, "dist", &[]);
    assert_eq!((again["sent"].as_u64(), Workshop::ids(&target)), (Some(0), ids.clone()));
    // Under another name, an image is there all the same.
    target.does(&["tag", "redis:7", "kept:1"]);
    target.does(&["rmi", "redis:7"]);
    target.does(&["rmi", "gitgrit-sandbox:v1"]);
    let mended = workshop.loaded(&target, "dist", &[]);
    let actions: Vec<_> =
        mended["images"].as_array().unwrap().iter().map(|image| image["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["present", "send", "name"]);
    assert!(mended["sent"].as_u64() < Some(3 << 20) && Workshop::ids(&target) == ids, "{mended}");

    // An older bundle does not come after a newer one, unless somebody wants it to.
    let older = workshop.built("older", &["--sequence", "1"]);
    assert_eq!(older["packed"].as_u64(), Some(0));
    let done = workshop.load(&target, "older", &[]).run(b"").unwrap();
    assert_eq!(done.status.code(), Some(13), "{}", out(&done));
    workshop.loaded(&target, "older", &["--allow-older"]);
}

#[test]
fn the_same_tree_and_images_give_the_same_bytes_and_others_are_refused() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &["--cache", "one"]);
    let bytes = std::fs::read(workshop.file("dist")).unwrap();
    let first = workshop.build_into("other", &["--cache", "two", "--threads", "1"]).env("TZ", "Asia/Tokyo");
    assert_eq!(said(&first.run(b"").unwrap())["packed"].as_u64(), Some(3));
    assert!(bytes == std::fs::read(workshop.file("other")).unwrap(), "two builds differ");
    // From the cache, with the image that is asked for by one layer less.
    workshop.engine.does(&["rmi", "redis:7"]);
    import(&workshop.engine, "redis:7", &["LABEL other=1"], &noise(2, 1 << 20));
    let third = workshop.built("third", &["--cache", "two"]);
    assert_eq!(third["packed"].as_u64(), Some(0), "another configuration over the same layer");

    std::fs::write(workshop.path("tree/new"), "").unwrap();
    let done = workshop.build_into("dirty", &[]).run(b"").unwrap();
    assert!(
        done.status.code() == Some(1) && out(&done).contains("changes that no commit has: `new`"),
        "{}",
        out(&done)
    );
    assert_eq!(workshop.built("dirty", &["--allow-dirty"])["is_dirty"].as_bool(), Some(true));
    std::fs::remove_file(workshop.path("tree/new")).unwrap();
    workshop.git(&["commit", "-q", "--allow-empty", "-m", "two"]);
    let done = workshop.build_into("stamp", &[]).run(b"").unwrap();
    assert!(done.status.code() == Some(1) && out(&done).contains("was built from the commit"), "{}", out(&done));
    assert!(!workshop.path("stamp").exists());
    let done = workshop.bundle(&["build", "--tag", "v1", "--source", "tree", "--image", "none:1"]).run(b"").unwrap();
    assert!(done.stderr.starts_with("error: the engine has no image `none:1`"), "{}", done.stderr);
    let absent = workshop.build_into("dist", &[]).env("DOCKER_HOST", "unix:///nonexistent.sock").run(b"").unwrap();
    assert_eq!(absent.status.code(), Some(18), "{}", out(&absent));
}

#[test]
fn nothing_of_a_damaged_bundle_reaches_the_engine() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let whole = std::fs::read(workshop.file("dist")).unwrap();
    let target = Engine::start("{}", "");
    for place in (0..whole.len()).step_by(whole.len() / 12).chain([whole.len() - 1]) {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        std::fs::write(workshop.file("dist"), damaged).unwrap();
        let done = workshop.load(&target, "dist", &[]).run(b"").unwrap();
        assert_eq!(done.status.code(), Some(13), "byte {place}: {}", out(&done));
    }
    std::fs::write(workshop.file("dist"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(workshop.load(&target, "dist", &[]).run(b"").unwrap().status.code(), Some(13));
    std::fs::write(workshop.file("dist"), &whole).unwrap();
    workshop.does(&["keygen", "stranger", "--no-password"]);
    let file = workshop.file("dist");
    let stranger = ["load", file.to_str().unwrap(), "--public-key", "stranger.pub", "--state", "state"];
    let done = workshop.bundle(&stranger).env("DOCKER_HOST", target.address()).run(b"").unwrap();
    assert_eq!(done.status.code(), Some(13), "{}", done.stderr);
    assert!(has_nothing(&target) && !workshop.path("state").exists());
    let done = workshop.load(&target, "dist", &[]).env("DOCKER_HOST", "unix:///nonexistent.sock").run(b"").unwrap();
    assert_eq!(done.status.code(), Some(18), "{}", out(&done));

    // A second signature, inside the file; both count.
    workshop.does(&["sign", file.to_str().unwrap(), "--key", "stranger.key"]);
    workshop.loaded(&target, "dist", &[]);
    let done = workshop.bundle(&stranger).env("DOCKER_HOST", target.address()).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
}

#[test]
fn a_build_or_a_load_that_was_killed_is_run_again() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &["--cache", "other"]);
    let expected = std::fs::read(workshop.file("dist")).unwrap();
    std::fs::remove_file(workshop.file("dist")).unwrap();
    // How many files and layers are kept after each kill.
    let places = [
        ("bundle:build:file:packed", 0),
        ("bundle:build:file:kept", 1),
        ("bundle:build:layer:packed", 1),
        ("bundle:build:layer:kept", 2),
        ("bundle:build:layer:kept", 3),
        ("bundle:build:fetched", 4),
        ("bundle:written", 4),
    ];
    for (place, kept) in places {
        let done = workshop.build_into("dist", &["--cache", "cache"]).env("GITGRIT_FAULT", place).run(b"").unwrap();
        assert!(is_killed(&done) && !workshop.file("dist").exists(), "{place}: {}", out(&done));
        let names = std::fs::read_dir(workshop.path("cache/layers")).unwrap().flatten().map(|entry| entry.file_name());
        let whole = names.filter(|name| name.to_string_lossy().starts_with("sha256-")).count();
        assert_eq!(whole, kept, "{place}");
    }
    let made = workshop.built("dist", &["--cache", "cache"]);
    assert_eq!(made["packed"].as_u64(), Some(0), "every layer was packed before a kill");
    assert!(expected == std::fs::read(workshop.file("dist")).unwrap(), "another bundle after the kills");
    assert!(is_clean(&workshop.path("cache/layers")) && is_clean(&workshop.path("dist")));

    let target = Engine::start("{}", "");
    for place in ["bundle:load:sent", "bundle:load:image", "bundle:load:sent", "bundle:load:image"] {
        let done = workshop.load(&target, "dist", &[]).env("GITGRIT_FAULT", place).run(b"").unwrap();
        assert!(is_killed(&done), "{place}: {}", out(&done));
    }
    let rest = workshop.loaded(&target, "dist", &[]);
    assert!(rest["sent"].as_u64() < Some(2 << 20), "what was loaded is not sent again: {rest}");
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
}

/// Nothing lies there that is not whole.
pub(crate) fn is_clean(folder: &Path) -> bool {
    let names =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .into_iter()
        .all(|name| !name.starts_with("unfinished-") && Path::new(&name).extension().is_none_or(|end| end != "part"))
}
