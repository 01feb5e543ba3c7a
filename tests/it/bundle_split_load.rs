//! A load out of the parts of a bundle, where they lie and with one of them lost; and a load of what a delta made.

use crate::bundle_travel::{Workshop, said};
use crate::engine::Engine;

#[test]
fn images_are_loaded_out_of_parts_of_which_one_is_lost() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let file = workshop.file("dist").display().to_string();
    workshop.does(&["split", &file, "--size", "5MB", "--parity", "--out", "parts", "--public-key", "release.pub"]);
    let name = workshop.file("dist").file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(workshop.path("parts").join(format!("{name}.002"))).unwrap();
    let before = std::fs::read_dir(workshop.path("parts")).unwrap().count();
    let target = Engine::start("{}", "");
    let load = ["load", "parts", "--public-key", "release.pub", "--state", "state", "--json"];
    let loaded = said(&workshop.bundle(&load).env("DOCKER_HOST", target.address()).run(b"").unwrap());
    assert!(loaded["sent"].as_u64() > Some(12 << 20), "{loaded}");
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
    assert_eq!(std::fs::read_dir(workshop.path("parts")).unwrap().count(), before, "something was written");

    // The next bundle comes as a delta, against the parts. Its images are there already.
    std::fs::write(workshop.path("program"), vec![8; 100_000]).unwrap();
    workshop.built("next", &["--sequence", "9999999999"]);
    let next = workshop.file("next").display().to_string();
    let delta = ["delta", &next, "--base", "parts", "--out", "x.ggd", "--public-key", "release.pub", "--json"];
    let made = said(&workshop.bundle(&delta).run(b"").unwrap());
    assert!(made["size"].as_u64().unwrap() * 100 < made["full"].as_u64().unwrap(), "{made}");
    workshop.does(&["apply", "x.ggd", "--base", "parts", "--out", "made.ggb", "--public-key", "release.pub"]);
    assert!(std::fs::read(workshop.path("made.ggb")).unwrap() == std::fs::read(workshop.file("next")).unwrap());
    let load = ["load", "made.ggb", "--public-key", "release.pub", "--state", "state", "--json"];
    let loaded = said(&workshop.bundle(&load).env("DOCKER_HOST", target.address()).run(b"").unwrap());
    assert_eq!(loaded["sent"].as_u64(), Some(0), "{loaded}");

    // Both in one step: without an engine the new bundle is there all the same, and with one its images are too.
    let apply = ["apply", "x.ggd", "--base", "parts", "--out", "at-once.ggb", "--load", "--public-key", "release.pub"];
    let apply = [&apply[..], &["--state", "other", "--json"]].concat();
    let alone = workshop.bundle(&apply).env("DOCKER_HOST", "unix:///nonexistent.sock").run(b"").unwrap();
    assert_eq!(alone.status.code(), Some(18), "{}", alone.stderr);
    assert!(std::fs::read(workshop.path("at-once.ggb")).unwrap() == std::fs::read(workshop.file("next")).unwrap());
    let target = Engine::start("{}", "");
    let loaded = said(&workshop.bundle(&apply).env("DOCKER_HOST", target.address()).run(b"").unwrap());
    assert!(loaded["sent"].as_u64() > Some(12 << 20), "{loaded}");
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
}
