//! What a bundle says of what it is made of, and that it says the same whoever builds it, whenever: lists of packages,
//! provenance, the images of the recipes. And what a builder gets wrong.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base::process::Program;
use serde_json::Value;

use crate::bundle_travel::{Workshop, said};
use crate::require;
use crate::site::{binary, out};

/// What dpkg writes of packages that are installed.
fn status(packages: &[(&str, &str)]) -> String {
    let one = |(name, version): &(&str, &str)| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n\n")
    };
    packages.iter().map(one).collect()
}

/// An image with these packages, as `gitgrit-db:v1`.
fn database(workshop: &Workshop, packages: &[(&str, &str)]) {
    let root = workshop.path("database/root");
    std::fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("var/lib/dpkg/status"), status(packages)).unwrap();
    std::fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\n").unwrap();
    workshop.image("gitgrit-db:v1", "database");
}

fn unpack(workshop: &Workshop, folder: &str) {
    std::fs::create_dir_all(workshop.path("unpacked")).unwrap();
    let script = format!("zstd -dqc '{}' | tar x && sha256sum -c --quiet SHA256SUMS", workshop.file(folder).display());
    let program = Program::new("sh").options(["-euc", &script]).directory(&workshop.path("unpacked"));
    let done = program.env("PATH", std::env::var_os("PATH").unwrap_or_default()).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
}

fn json(workshop: &Workshop, path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(workshop.path("unpacked").join(path)).unwrap()).unwrap()
}

#[test]
fn a_bundle_lists_its_packages_and_says_how_it_was_made() {
    let Some(mut workshop) = Workshop::open() else { return };
    if !require::has("zstd", require::program("zstd").map(drop)) {
        return;
    }
    let lock = "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    std::fs::write(workshop.path("tree/Cargo.lock"), lock).unwrap();
    std::fs::write(workshop.path("runsc"), "gVisor's").unwrap();
    workshop.commit();
    database(&workshop, &[("dash", "0.5.12-2"), ("postgresql-15", "15.8-0+deb12u1")]);
    let more = ["--image", "db=gitgrit-db:v1", "--runsc", "runsc"];
    workshop.built("dist", &more);
    unpack(&workshop, "dist");

    let spdx = json(&workshop, ".gitgrit/sbom/db.spdx.json");
    assert_eq!(spdx["spdxVersion"].as_str(), Some("SPDX-2.3"));
    let purls: Vec<_> =
        spdx["packages"].as_array().unwrap().iter().map(|one| &one["externalRefs"][0]["referenceLocator"]).collect();
    assert!(
        purls.iter().any(|purl| *purl == "pkg:deb/debian/postgresql-15@15.8-0%2Bdeb12u1?arch=amd64&distro=debian-12")
    );
    let app = json(&workshop, ".gitgrit/sbom/app.cdx.json");
    assert!(app["metadata"]["properties"][0]["value"].as_str().unwrap().ends_with("only its files are known."));
    let program = json(&workshop, ".gitgrit/sbom/gitgrit-ops.cdx.json");
    assert_eq!(program["components"][0]["purl"].as_str(), Some("pkg:cargo/serde@1.0.0"));

    let provenance = json(&workshop, ".gitgrit/provenance.json");
    assert_eq!(provenance["_type"].as_str(), Some("https://in-toto.io/Statement/v1"));
    assert_eq!(provenance["predicateType"].as_str(), Some("https://slsa.dev/provenance/v1"));
    let subjects = provenance["subject"].as_array().unwrap();
    let called: Vec<_> = subjects.iter().map(|one| one["name"].as_str().unwrap()).collect();
    // What nothing ties to the commit was not made from it.
    assert_eq!(
        called,
        ["gitgrit-app:v1", "gitgrit-sandbox:v1", "gitgrit-db:v1"].map(|name| format!("docker.io/library/{name}"))
    );
    assert_eq!(program["compositions"][0]["aggregate"].as_str(), Some("unknown"));
    let id = format!("sha256:{}", subjects[0]["digest"]["sha256"].as_str().unwrap());
    assert_eq!(Workshop::ids(&workshop.engine)[0], id);
    let materials = provenance["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let named = |name: &str| materials.iter().find(|one| one["name"] == name).unwrap()["digest"].clone();
    assert_eq!(named("source")["gitCommit"].as_str(), Some(workshop.git(&["rev-parse", "HEAD"]).trim()));
    let names: Vec<_> = materials.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["source", "bin/gitgrit-ops", "bin/runsc", "docker.io/library/redis:7", "Cargo.lock"]);
    let runsc = std::fs::read(workshop.path("unpacked/bin/runsc")).unwrap();
    assert_eq!(named("bin/runsc")["sha256"].as_str(), Some(vault::digest::sha256_hex(&runsc).as_str()));
    let text = std::fs::read_to_string(workshop.path("unpacked/.gitgrit/provenance.json")).unwrap();
    assert!(!text.contains(workshop.path("tree").to_str().unwrap()), "{text}");

    // From the cache alone, the lists are the same.
    let first = std::fs::read(workshop.file("dist")).unwrap();
    assert_eq!(workshop.built("warm", &more)["packed"].as_u64(), Some(0));
    assert!(first == std::fs::read(workshop.file("warm")).unwrap(), "a warm cache gives another bundle");
    inspected(&workshop);
}

/// What `inspect` and `diff` say of it, and of the next one.
fn inspected(workshop: &Workshop) {
    let file = workshop.file("dist").display().to_string();
    let said = workshop.does(&["inspect", &file, "--public-key", "release.pub", "--packages"]);
    for wanted in [
        "\npackages of db: 2. ",
        "\n  dash 0.5.12-2\n",
        "\npackages of app: 0. No list",
        "\npackages of gitgrit-ops: 1. ",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    std::fs::write(workshop.path("tree/CHANGELOG.md"), "# Changes\n\n## 2\n\n* Breaking: the port is\n  another.\n")
        .unwrap();
    database(workshop, &[("dash", "0.5.12-3"), ("tzdata", "2024b-0")]);
    workshop.built("next", &["--image", "db=gitgrit-db:v1", "--allow-dirty"]);
    let next = workshop.file("next").display().to_string();
    let said = workshop.does(&["diff", &file, &next, "--public-key", "release.pub"]);
    for wanted in [
        "In the image db, dash changes from 0.5.12-2 to 0.5.12-3.\n",
        "In the image db, tzdata 2024b-0 is new.\n",
        "In the image db, postgresql-15 15.8-0+deb12u1 is gone.\n",
        "The release notes say that this breaks: Breaking: the port is another.\n",
        "The file bin/runsc is gone",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(!said.contains("sbom"), "{said}");
    let said = workshop.does(&["inspect", &next, "--public-key", "release.pub"]);
    assert!(said.contains("\nbreaks\n  Breaking: the port is another.\n"), "{said}");
    // A list that was changed since it was signed is not believed.
    let mut damaged = std::fs::read(&next).unwrap();
    // In the first frame behind the head, where the small files are.
    let frame = damaged.windows(4).skip(4).position(|bytes| bytes == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
    damaged[frame + 200] ^= 1;
    std::fs::write(&next, damaged).unwrap();
    let done = workshop.bundle(&["inspect", &next, "--public-key", "release.pub"]).run(b"").unwrap();
    assert_eq!(done.status.code(), Some(13), "{}", out(&done));
}

/// The recipes of a tree: two of ours, and one of somebody else with this digest.
fn recipes(workshop: &Workshop, digest: &str, more: &str) {
    let one = |name: &str| format!("[[image]]\nname = '{name}'\ntitle = ''\n");
    let theirs = format!("{}reference = 'docker.io/library/redis:7@{digest}'\n", one("cache"));
    let text = format!(
        "suite = 'bookworm'\nexclude = []\nbase = {{ packages = [] }}\n{}{}{theirs}{more}",
        one("app"),
        one("sandbox")
    );
    std::fs::create_dir_all(workshop.path("tree/bundle")).unwrap();
    std::fs::write(workshop.path("tree/bundle/images.toml"), text).unwrap();
}

#[test]
fn the_images_are_those_of_the_recipes() {
    let Some(mut workshop) = Workshop::open() else { return };
    let plain = ["build", "--tag", "v1", "--source", "tree", "--program", "program", "--key", "release.key", "--json"];
    let built = |workshop: &Workshop, more: &[&str]| workshop.bundle(&[&plain[..], more].concat()).run(b"").unwrap();
    let none = format!("sha256:{}", "0".repeat(64));
    recipes(&workshop, &none, "");
    workshop.commit();
    let done = built(&workshop, &[]);
    assert!(
        done.status.code() == Some(1) && out(&done).contains(&format!("and the recipes want {none}")),
        "{}",
        out(&done)
    );
    let id = Workshop::ids(&workshop.engine)[2].clone();
    recipes(&workshop, &id, "[[image]]\nname = 'db'\ntitle = ''\n");
    let done = built(&workshop, &["--allow-dirty"]);
    let answer = out(&done);
    assert!(done.status.code() == Some(1) && answer.contains("the engine has no image `gitgrit-db:v1`"), "{answer}");
    assert!(answer.contains("gitgrit-ops bundle images --tag v1") && answer.contains("--build-images"), "{answer}");
    // Git was told not to look: the disk has another list than the commit.
    workshop.git(&["update-index", "--assume-unchanged", "bundle/images.toml"]);
    let done = built(&workshop, &[]);
    assert!(done.status.code() == Some(1) && out(&done).contains("is not what its commit has"), "{}", out(&done));
    workshop.git(&["update-index", "--no-assume-unchanged", "bundle/images.toml"]);
    recipes(&workshop, &none, "");
    workshop.engine.does(&["tag", "redis:7", "kept:7"]);
    workshop.engine.does(&["rmi", "redis:7"]);
    let done = built(&workshop, &["--allow-dirty"]);
    assert!(out(&done).contains("docker pull redis:7@sha256:0000"), "{}", out(&done));
    recipes(&workshop, &id, "");
    let made = said(&built(&workshop, &["--allow-dirty", "--out", "dist"]));
    let images: Vec<_> =
        made["images"].as_array().unwrap().iter().map(|one| one["reference"].as_str().unwrap()).collect();
    assert_eq!(images, ["gitgrit-app:v1", "gitgrit-sandbox:v1", "redis:7"]);
    let target = crate::engine::Engine::start("{}", "");
    workshop.loaded(&target, "dist", &[]);
    assert_eq!(Workshop::ids(&target)[2], id, "what was found by its digest travels under its name");
}

#[test]
fn what_a_builder_gets_wrong_is_told_before_anything_is_fetched() {
    let Some(mut workshop) = Workshop::open() else { return };
    let refused = |workshop: &Workshop, more: &[&str], code: i32, wanted: &str| {
        let done = workshop.build_into("dist", more).run(b"").unwrap();
        assert!(
            done.status.code() == Some(code) && out(&done).contains(wanted),
            "{more:?}: {:?} {}",
            done.status,
            out(&done)
        );
        assert!(!workshop.path("dist").exists() && !workshop.path("target").exists());
    };
    refused(&workshop, &["--image", "a b=redis:7"], 2, "cannot name an image");
    refused(&workshop, &["--image", "../a=redis:7"], 2, "cannot name an image");
    refused(&workshop, &["--image", "APP=redis:7"], 2, "cannot name an image");
    refused(&workshop, &["--image", "gitgrit-ops=gitgrit-db:v1"], 2, "cannot name an image");
    refused(&workshop, &["--image", "x=a@b"], 2, "does not name an image");
    refused(&workshop, &["--image", "again=docker.io/library/redis:7"], 2, "cannot name an image");
    let done = workshop.build_into("dist", &[]).env("SOURCE_DATE_EPOCH", "99999999999999").run(b"").unwrap();
    assert!(done.status.code() == Some(2) && out(&done).contains("later than"), "{}", out(&done));

    let other = "0123456789".repeat(4);
    let mark = format!("\u{1}gitgrit-ops built as 9.9.9 from {other}\u{1}");
    std::fs::write(workshop.path("program"), [vec![7; 70_000], mark.into_bytes()].concat()).unwrap();
    refused(&workshop, &[], 1, &format!("the program says that it is 9.9.9+{other}"));
    let made = workshop.built("told", &["--allow-dirty"]);
    assert_eq!(made["program"].as_str(), Some(format!("9.9.9+{other}").as_str()));
    unpack(&workshop, "told");
    let provenance = json(&workshop, ".gitgrit/provenance.json");
    let called = provenance["subject"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    assert!(!called.into_iter().any(|name| name == "bin/gitgrit-ops" || name.contains("redis")), "{provenance}");
    let program = &provenance["predicate"]["buildDefinition"]["resolvedDependencies"][1];
    assert_eq!(program["annotations"]["says"].as_str(), Some(format!("9.9.9+{other}").as_str()));
    std::fs::remove_dir_all(workshop.path("target")).unwrap();
    std::fs::write(workshop.path("program"), vec![7; 70_000]).unwrap();

    // Before an image is built or an engine changed: a program that says nothing, or another commit, gets into no stamped image.
    recipes(&workshop, &format!("sha256:{}", "0".repeat(64)), "");
    workshop.commit();
    let stamped = |workshop: &Workshop, wanted: &str| {
        let all = ["build", "--tag", "v1", "--source", "tree", "--program", "program", "--build-images", "--json"];
        let done = workshop.bundle(&all).run(b"").unwrap();
        assert!(
            done.status.code() == Some(1) && out(&done).contains(wanted),
            "{wanted}: {} {}",
            out(&done),
            done.stderr
        );
        assert!(!workshop.path("target").exists() && !done.stderr.contains("image app"), "{}", done.stderr);
    };
    stamped(&workshop, "the program says that it is of no commit");
    let mark = format!("\u{1}gitgrit-ops built as 9.9.9 from {other}\u{1}");
    std::fs::write(workshop.path("program"), [vec![7; 70_000], mark.into_bytes()].concat()).unwrap();
    stamped(&workshop, &format!("the program says that it is 9.9.9+{other}"));
    std::fs::write(workshop.path("program"), vec![7; 70_000]).unwrap();

    std::fs::write(workshop.path("tree/docs/a b.md"), "").unwrap();
    workshop.commit();
    refused(&workshop, &[], 1, "a file of the tree cannot travel");
    workshop.git(&["mv", "docs/a b.md", "docs/INDEX.md"]);
    workshop.commit();
    refused(&workshop, &[], 1, "in capitals alone");
}

/// As `bundle images` stamps them: the variable is the commit's own tag, and most commits have none.
#[test]
fn an_image_whose_commit_has_no_tag_is_taken() {
    let Some(workshop) = Workshop::open() else { return };
    let stamp = format!("ENV GIT_SHA={} GIT_TAG=", workshop.git(&["rev-parse", "HEAD"]).trim());
    let import = |version: &str| {
        let label = format!("LABEL org.opencontainers.image.version={version}");
        crate::docker_room::import(&workshop.engine, "gitgrit-db:v1", &[&stamp, &label], b"x");
    };
    import("v1");
    workshop.built("dist", &["--image", "gitgrit-db:v1"]);
    import("v2");
    let done = workshop.build_into("dist", &["--image", "gitgrit-db:v1"]).run(b"").unwrap();
    assert!(done.status.code() == Some(1) && out(&done).contains("was built from the tag v2"), "{}", out(&done));
}

/// The library that tells programs another time.
fn clock() -> Result<std::path::PathBuf, String> {
    let folders = std::fs::read_dir("/usr/lib").map_err(|error| error.to_string())?;
    let found =
        folders.flatten().map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|file| file.is_file());
    found.ok_or_else(|| "libfaketime is not installed".into())
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn another_user_with_another_clock_builds_the_same_bytes() {
    let Some(workshop) = Workshop::open() else { return };
    let root = if rustix::process::geteuid().is_root() { Ok(()) } else { Err("only root becomes another user".into()) };
    if !require::has("libfaketime", clock().map(drop)) || !require::has("root", root) {
        return;
    }
    workshop.built("dist", &[]);
    for folder in ["elsewhere", "cache"] {
        std::fs::create_dir(workshop.path(folder)).unwrap();
        open_to_all(&workshop.path(folder));
    }
    open_to_all(&workshop.path("."));
    open_to_all(workshop.engine.socket().parent().unwrap());
    open_to_all(&workshop.engine.socket());
    open_to_all(&workshop.path("release.key"));
    let (from, socket) = (workshop.path("."), workshop.engine.address());
    let script = "umask 077; cd \"$1\"; exec env LD_PRELOAD=\"$3\" FAKETIME='@2031-05-05 05:05:05' TZ=Asia/Tokyo \"$2\" bundle build --tag v1 --source tree --program program --out elsewhere \
                  --cache cache --key release.key --threads 1 --image gitgrit-app:v1 --image gitgrit-sandbox:v1 \
                  --image cache=redis:7";
    let run = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-euc", script, "sh"];
    let program = Program::new("setpriv").options(run).option(&from).option(binary()).option(clock().unwrap());
    let program = program.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("DOCKER_HOST", socket);
    let done = program
        .env("HOME", "/nonexistent")
        .env("USER", "nobody")
        .deadline(std::time::Duration::from_mins(2))
        .run(b"")
        .unwrap();
    assert!(done.status.success(), "{}{}", out(&done), done.stderr);
    let first = std::fs::read(workshop.file("dist")).unwrap();
    assert!(first == std::fs::read(workshop.file("elsewhere")).unwrap(), "two builds differ");
}
