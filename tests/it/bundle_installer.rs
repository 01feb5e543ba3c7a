//! What a builder gets wrong with the files of the first installers, told without an engine; what would be built before anything is; and
//! the refusals of an installer's file that need an engine of their own.

use std::io::Write;

use base::process::{Finished, Program};
use flate2::{Compress, Compression, FlushCompress};
use tar::{Builder, EntryType, Header};

use crate::bundle_stub::Stub;
use crate::bundle_travel::noise;
use crate::engine::Engine;
use crate::site::{Ground, out};
use crate::tidy::root;

/// A checkout of a product with a commit, and a program that says that it is of it.
struct Tree {
    ground: Ground,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { ground: Ground::new() };
        tree.put("docs/x", "a\n");
        tree.put("compose/.env.example", "SITE_URL=\n");
        tree.git(&["init", "-q"]);
        tree.commit();
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.ground.home().join("tree").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        let tree = self.ground.home().join("tree");
        let program = Program::new("git").options(["-c", "user.name=a", "-c", "user.email=a@b"]).options(arguments);
        let done = program.directory(&tree).env("HOME", self.ground.home()).run(b"").unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", done.stderr);
        out(&done).trim().to_owned()
    }

    fn commit(&self) {
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "one"]);
        let mark = format!("\u{1}gitgrit-ops built as 9.9.9 from {}\u{1}", self.git(&["rev-parse", "HEAD"]));
        std::fs::write(self.ground.home().join("program"), [vec![7; 70_000], mark.into_bytes()].concat()).unwrap();
    }

    fn bundle(&self, verb: &str, more: &[&str], host: &str) -> Finished {
        let all = ["bundle", verb, "--tag", "v1", "--source", "tree", "--program", "program", "--out", "dist"];
        let program = self.ground.program().options(all).options(more).env("DOCKER_HOST", host);
        let done = program.run(b"").unwrap();
        assert!(!self.ground.home().join("dist").exists() && !self.ground.home().join("target").exists());
        done
    }

    fn refused(&self, verb: &str, more: &[&str], code: i32, wanted: &str) {
        let done = self.bundle(verb, more, "unix:///nonexistent.sock");
        let said = format!("{}{}", out(&done), done.stderr);
        assert!(done.status.code() == Some(code) && said.contains(wanted), "{verb} {more:?}: {:?} {said}", done.status);
    }
}

#[test]
fn one_image_under_two_spellings_is_refused_before_an_engine_is_asked() {
    let tree = Tree::new();
    for other in ["docker.io/library/redis:7", "docker.io/redis:7", "index.docker.io/library/redis:7"] {
        for verb in ["build", "tgz"] {
            let other = format!("b={other}");
            tree.refused(verb, &["--image", "a=redis:7", "--image", &other], 2, "cannot name an image");
        }
    }
    // A recipe that names an image by nothing but its digest is what the command line stands for.
    let digest = "0".repeat(64);
    let recipe = format!(
        "suite = 'bookworm'\nexclude = []\nbase = {{ packages = [] }}\n[[image]]\nname = 'db'\ntitle = ''\nreference = 'postgres@sha256:{digest}'\n"
    );
    tree.put("bundle/images.toml", &recipe);
    tree.commit();
    for verb in ["build", "tgz"] {
        tree.refused(verb, &[], 2, "the recipes name `postgres` without a tag");
    }
}

#[test]
fn two_files_for_one_place_in_the_package_are_refused_by_name() {
    let cases = [
        ("compose/docs/x", "`docs/x` would lie at `docs/x` in the package, where `compose/docs/x` lies"),
        ("compose/Docs/y", "where `compose/Docs/y` lies"),
        ("compose/docs", "where `compose/docs` lies"),
        (
            "compose/gitgrit-bundle-v1.tar",
            "`compose/gitgrit-bundle-v1.tar` would lie at `gitgrit-bundle-v1.tar` in the package, where the archive of images lies",
        ),
    ];
    for (path, wanted) in cases {
        let tree = Tree::new();
        tree.put(path, "b\n");
        tree.commit();
        tree.refused("tgz", &["--image", "redis:7"], 1, wanted);
        // In a bundle each has a place of its own; only the engine is missing.
        tree.refused("build", &["--image", "redis:7"], 18, "engine");
    }
}

#[test]
fn a_dry_run_says_which_images_would_be_built_on_an_engine_that_has_none() {
    if !Engine::is_possible() {
        return;
    }
    let tree = Tree::new();
    let one = |name: &str| format!("[[image]]\nname = '{name}'\ntitle = ''\n");
    let recipes =
        format!("suite = 'bookworm'\nexclude = []\nbase = {{ packages = [] }}\n{}{}", one("app"), one("sandbox"));
    tree.put("bundle/images.toml", &recipes);
    tree.commit();
    let engine = Engine::start("{}", "");
    let done = tree.bundle("build", &["--build-images", "--dry-run", "--json"], &engine.address());
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(done.status.success(), "{said}");
    let images = said["images"].as_array().unwrap();
    let named: Vec<_> = images.iter().map(|image| (image["reference"].as_str().unwrap(), &image["id"])).collect();
    let none = serde_json::Value::Null;
    assert_eq!(named, [("gitgrit-app:v1", &none), ("gitgrit-sandbox:v1", &none)]);
    assert!(said["file"].as_str().unwrap().starts_with("dist/gitgrit-v1-"), "{said}");
    let done = tree.bundle("tgz", &["--build-images", "--dry-run"], &engine.address());
    let wanted =
        ["would build gitgrit-app:v1", "would build gitgrit-sandbox:v1", "would write dist/gitgrit-bundle-v1.tar"];
    assert!(done.status.success() && wanted.iter().all(|one| done.stderr.contains(one)), "{}", done.stderr);
    // Without the flag they are to be there, and somebody else's always are.
    let done = tree.bundle("build", &["--dry-run"], &engine.address());
    assert!(done.status.code() == Some(1) && done.stderr.contains("the engine has no image `gitgrit-app:v1`"));
    let theirs = format!("{}reference = 'docker.io/library/redis:7@sha256:{}'\n", one("cache"), "0".repeat(64));
    tree.put("bundle/images.toml", &format!("{recipes}{theirs}"));
    tree.commit();
    let done = tree.bundle("build", &["--build-images", "--dry-run"], &engine.address());
    let wanted = "the engine has no image `redis:7@sha256:0";
    assert!(done.status.code() == Some(1) && done.stderr.contains(wanted), "{}", done.stderr);
}

/// What a build leaves in a tree, whole or killed, does not make the tree another one.
#[test]
fn what_a_killed_build_leaves_in_the_tree_is_no_change_of_it() {
    let tree = Tree::new();
    tree.put(".gitignore", &std::fs::read_to_string(root().join(".gitignore")).unwrap());
    tree.commit();
    let left =
        ["gitgrit-v1-amd64.ggb", "gitgrit-bundle-v1.tar", "gitgrit-install-v1.tgz", "gitgrit-install-v1.tgz.sha256"];
    for name in left {
        tree.put(name, "");
        tree.put(&format!("{name}.part"), "");
    }
    tree.put(".gitgrit-a1b2c3", "");
    tree.put("target/images.tar.part", "");
    assert_eq!(tree.git(&["status", "--porcelain"]), "");
}

/// An archive of one image, `a:1`, with this layer.
fn images(layer: &[u8]) -> Vec<u8> {
    let hash = vault::digest::sha256_hex;
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        hash(layer)
    );
    let path = |content: &[u8]| format!("blobs/sha256/{}", hash(content));
    let (config_path, layer_path) = (path(config.as_bytes()), path(layer));
    let list = format!(r#"[{{"Config":"{config_path}","RepoTags":["a:1"],"Layers":["{layer_path}"]}}]"#);
    let files = [("manifest.json", list.as_bytes()), (config_path.as_str(), config.as_bytes()), (&layer_path, layer)];
    tar(&files)
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        builder.append(&header(name, content.len() as u64), *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn header(name: &str, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

/// Puts an installer with that layer into the home.
fn installer(ground: &Ground, layer: &[u8]) {
    let package = tar(&[("gitgrit-bundle-v1.tar", &images(layer))]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&package).unwrap();
    std::fs::write(ground.home().join("x.tgz"), packed.finish().unwrap()).unwrap();
}

#[test]
fn an_engine_that_has_another_image_than_the_installer_is_named() {
    let ground = Ground::new();
    installer(&ground, b"a layer");
    let load = |says: fn(usize) -> &'static str| {
        let stub = Stub::start("amd64", &airgap::bundle::Digest::of(b"another").named(), says);
        let program = ground.program().options(["bundle", "load", "x.tgz", "--unsigned"]);
        let done = program.env("DOCKER_HOST", stub.address()).run(b"").unwrap();
        (done.status.code(), format!("{}{}", out(&done), done.stderr))
    };
    let (code, said) = load(|_| r#"{"stream":"Loaded image: a:1\n"}"#);
    assert!(
        code == Some(13) && said.contains("GG-BUNDLE-124") && said.contains("the engine has `a:1` as nothing"),
        "{said}"
    );
    let (code, said) = load(|_| r#"{"stream":"Loaded image: postgres:15\n"}"#);
    assert!(code == Some(13) && said.contains("GG-BUNDLE-124") && said.contains("postgres:15"), "{said}");
}

#[test]
fn an_installer_for_which_the_engine_has_no_room_is_not_sent() {
    if !Engine::is_possible() {
        return;
    }
    let ground = Ground::new();
    installer(&ground, &noise(5, 12 << 20));
    let disk = "mkdir -p \"$HOME/root\"\nmount -t tmpfs -o size=18m none \"$HOME/root\"";
    let engine = Engine::start("{}", disk);
    // Seen from where the engine is, its disk is too small.
    let load = ground.program().options(["bundle", "load", "x.tgz", "--unsigned", "--json"]).into_parts().0;
    let space = format!("--mount=/proc/{}/ns/mnt", engine.process());
    let program = Program::new("nsenter").options([&space, "sh", "-c", "cd \"$HOME\" && exec \"$0\" \"$@\""]);
    let program = program.option(load.get_program()).options(load.get_args()).env("HOME", ground.home());
    let done = program.env("DOCKER_HOST", engine.address()).run(b"").unwrap();
    let said = out(&done);
    assert!(done.status.code() == Some(15) && said.contains("GG-BUNDLE-125"), "{said}{}", done.stderr);
    assert!(said.contains("and the engine needs 25") && said.contains("more bytes there"), "{said}");
    assert!(crate::bundle_travel::has_nothing(&engine));
}

/// A file of a MiB that unpacks to more than a GiB of zeros.
fn bomb() -> Vec<u8> {
    let mut deflate = Compress::new(Compression::best(), false);
    let mut part = |content: &[u8]| {
        let mut packed = Vec::with_capacity(1 << 16);
        deflate.compress_vec(content, &mut packed, FlushCompress::Full).unwrap();
        packed
    };
    let start = part(header("x", 8 << 30).as_bytes());
    // After a full flush a piece means the same wherever it stands.
    let zeros = part(&vec![0; 1 << 20]);
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [&gzip[..], &start, &zeros.repeat(1300)].concat()
}

#[test]
fn an_installer_that_unpacks_to_more_than_any_is_refused() {
    let ground = Ground::new();
    let bomb = bomb();
    assert!(bomb.len() < 2 << 20, "{} bytes", bomb.len());
    std::fs::write(ground.home().join("x.tgz"), bomb).unwrap();
    let program = ground.program().options(["bundle", "load", "x.tgz", "--unsigned", "--json"]);
    let done = program.env("DOCKER_HOST", "unix:///nonexistent.sock").run(b"").unwrap();
    assert!(done.status.code() == Some(13) && out(&done).contains("GG-BUNDLE-122"), "{}{}", out(&done), done.stderr);
}
