//! What `bundle images` refuses, and that it leaves nothing behind when it does. Builds no image, asks no network.

use std::path::Path;

use base::process::{Finished, Program};

use crate::require;
use crate::site::binary;
use crate::tidy::root;

/// Runs `bundle images` in `home`, on the recipes there.
fn images(home: &Path, arguments: &[&str]) -> Finished {
    let verb = ["bundle", "images", "--cache", "cache"];
    Program::new(binary().to_str().unwrap()).options(verb).options(arguments).directory(home).run(b"").unwrap()
}

/// A folder with recipes of one image, and locks that name one package each.
fn recipes(base: &str, app: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(
        "bundle/images.toml",
        "suite = 'bookworm'\nexclude = []\nbase = { packages = ['dash'] }\n[[image]]\nname = 'app'\ntitle = 'Tried'\n",
    );
    put("bundle/images/base/packages.lock", base);
    put("bundle/images/app/packages.lock", app);
    put("sources.list", "");
    home
}

fn refused(done: &Finished, code: i32, said: &str) {
    assert_eq!(done.status.code(), Some(code), "{}", done.stderr);
    assert!(done.stderr.contains(said), "`{said}` is not in: {}", done.stderr);
}

#[test]
fn an_image_that_no_recipe_makes_is_an_error_of_use() {
    let recipes_here = root().join("bundle/images.toml");
    let home = tempfile::tempdir().unwrap();
    let of = ["--recipes", recipes_here.to_str().unwrap(), "--tag", "1.2", "--only", "nothing"];
    refused(&images(home.path(), &of), 2, "no recipe makes an image `nothing`");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_tag_that_an_engine_would_refuse_is_refused_here() {
    let home = recipes("", "");
    for tag in ["", "-1", "a b", "a:b", "../1"] {
        refused(&images(home.path(), &[&format!("--tag={tag}")]), 2, "a tag has letters, digits");
    }
    refused(&images(home.path(), &[]), 2, "--tag <TAG>");
    assert!(!home.path().join("cache").exists());
}

#[test]
fn a_lock_of_another_machine_or_with_a_line_too_strange_stops() {
    if !require::has("apt", require::program("apt-get").map(drop)) {
        return;
    }
    let home = recipes("architecture riscv-none\nepoch 0\n", "architecture riscv-none\nepoch 0\n");
    refused(&images(home.path(), &["--tag", "1"]), 1, "the lock of image `base` is for riscv-none, this host is ");
    let home = recipes("architecture amd64\nepoch 0\ndash 1 amd64 --force\n", "");
    let done = images(home.path(), &["--tag", "1"]);
    refused(&done, 1, "could not read the lock of image `base` at `dash 1 amd64 --force`");
    assert!(done.stderr.contains("hint: write the locks anew"), "{}", done.stderr);
}

/// What a mirror has under the same name today is not what was locked: the build must not take it.
#[test]
fn a_package_that_cannot_be_had_stops_and_says_which_way_out_there_is() {
    if !require::has("apt", require::program("apt-get").map(drop)) {
        return;
    }
    let architecture = Program::new("dpkg").option("--print-architecture").run(b"").unwrap().stdout;
    let top = format!("architecture {}\nepoch 0\n", String::from_utf8_lossy(&architecture).trim());
    let digest = "0".repeat(64);
    let home = recipes(&format!("{top}dash 0.0-nobody-has-it all {digest}\n"), &top);
    let done = images(home.path(), &["--tag", "1", "--sources", "sources.list", "--out", "images.tar"]);
    refused(&done, 1, "could not get 1 packages of the lock: ");
    assert!(done.stderr.contains("--sources") && done.stderr.contains("--relock"), "{}", done.stderr);
    assert!(!home.path().join("images.tar").exists());
}

#[test]
fn an_image_of_somebody_else_is_named_and_left_out() {
    if !require::has("apt", require::program("apt-get").map(drop)) {
        return;
    }
    let architecture = Program::new("dpkg").option("--print-architecture").run(b"").unwrap().stdout;
    let top = format!("architecture {}\nepoch 0\n", String::from_utf8_lossy(&architecture).trim());
    let home = recipes(&top, &top);
    let reference = format!("docker.io/library/postgres:15@sha256:{}", "a".repeat(64));
    let text = format!(
        "suite = 'bookworm'\nexclude = []\nbase = {{ packages = ['dash'] }}\n[[image]]\nname = 'db'\ntitle = ''\nreference = '{reference}'\n"
    );
    std::fs::write(home.path().join("bundle/images.toml"), text).unwrap();
    let done = images(home.path(), &["--tag", "1", "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("image db is not built: it is {reference}")), "{}", done.stderr);
    let shown: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(shown, serde_json::json!({ "images": [] }));
}
