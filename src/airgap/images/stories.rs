//! Layers and images of small file systems, without Debian, mmdebstrap or an engine.

use std::collections::BTreeMap;
use std::path::Path;

use super::layer::{additions, difference, stacked, write};
use super::recipe::{File, Folder, Link, Recipe, Run};
use super::tree::{Kind, Node, Tree};
use super::{Built, Stamp, config::config, write_archive};

fn tree(nodes: &[(&str, &str)]) -> BTreeMap<String, Node> {
    let node = |text: &str| match text {
        "/" => Node::folder(),
        text => Node::file(text.into(), 0o644),
    };
    nodes.iter().map(|(path, text)| ((*path).to_owned(), node(text))).collect()
}

fn whole(nodes: &[(&str, &str)]) -> Tree {
    Tree { source: "/dev/null".into(), nodes: tree(nodes) }
}

fn recipe() -> Recipe {
    Recipe {
        name: "app".into(),
        title: "Tried".into(),
        reference: None,
        parent: None,
        packages: Vec::new(),
        exclude: Vec::new(),
        users: Vec::new(),
        groups: Vec::new(),
        program: Some("/usr/local/bin/tool".into()),
        files: vec![File { path: "/etc/tool.conf".into(), source: "tool.conf".into(), is_program: false }],
        folders: vec![Folder { path: "/data".into(), owner: 8828, mode: Some("0700".into()) }],
        links: vec![Link { path: "/usr/local/bin/other".into(), to: "tool".into() }],
        run: Run { user: Some("8828".into()), ..Run::default() },
    }
}

#[test]
fn a_layer_holds_what_is_new_and_where_it_stands_and_marks_what_is_gone() {
    let below = tree(&[("a", "/"), ("a/old", "1"), ("a/same", "2"), ("b", "/"), ("b/c", "/"), ("b/c/d", "3")]);
    let now = whole(&[("a", "/"), ("a/new", "4"), ("a/same", "2"), ("b", "/")]);
    let found = difference(&now, &below);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "a/.wh.old", "a/new", "b", "b/.wh.c"]);
    let below = Tree { source: "/dev/null".into(), nodes: below };
    let seen = stacked(&[below, Tree { source: "/dev/null".into(), nodes: found }]);
    assert_eq!(seen.keys().collect::<Vec<_>>(), now.nodes.keys().collect::<Vec<_>>());
}

#[test]
fn a_layer_of_a_recipe_reads_back_as_it_was_written_and_is_always_the_same() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("app")).unwrap();
    std::fs::write(home.path().join("app/tool.conf"), "on\n").unwrap();
    let program = home.path().join("program");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    let nodes = additions(&recipe(), home.path(), &program).unwrap();
    let one = write(&nodes, Path::new("/dev/null"), 7, &home.path().join("one.tar")).unwrap();
    let two = write(&nodes, Path::new("/dev/null"), 7, &home.path().join("two.tar")).unwrap();
    assert_eq!((&one.digest, one.size), (&two.digest, two.size));
    assert_eq!(one.digest, super::packages::digest(&one.path).unwrap());
    let read = Tree::of_layer(&one.path, "app").unwrap().nodes;
    let expected = [
        "data",
        "etc",
        "etc/tool.conf",
        "usr",
        "usr/local",
        "usr/local/bin",
        "usr/local/bin/other",
        "usr/local/bin/tool",
    ];
    assert_eq!(read.keys().collect::<Vec<_>>(), expected);
    assert!(nodes.iter().all(|(path, node)| read[path].is_same(node)));
    assert_eq!((read["data"].mode, read["data"].user), (0o700, 8828));
    assert!(matches!(&read["usr/local/bin/other"].kind, Kind::Link(to) if to == "tool"));
}

/// GNU tar is what the far side has; names beyond what a header holds must arrive whole.
#[test]
fn the_second_name_of_a_file_and_a_long_name_arrive_as_they_were() {
    let home = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(180));
    let mut nodes = tree(&[("b", "both"), (&"d".repeat(120), "/"), (&long, "far")]);
    let Kind::File(content) = &mut nodes.get_mut("b").unwrap().kind else { panic!("b is a file") };
    content.twin = Some("z".into());
    nodes.insert("a".into(), nodes["b"].clone());
    let blob = write(&nodes, Path::new("/dev/null"), 7, &home.path().join("layer.tar")).unwrap();
    let read = Tree::of_layer(&blob.path, "app").unwrap().nodes;
    assert!(nodes.iter().all(|(path, node)| read[path].is_same(node)));
    let done = base::process::Program::new("tar").options(["-tvf"]).option(&blob.path).run(b"").unwrap();
    let listed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(listed.contains("b link to a") && listed.contains(&long), "{listed}");
}

#[test]
fn an_image_says_its_stamp_whatever_its_recipe_says() {
    let stamp = Stamp { tag: "1.2".into(), commit: "abc".into(), git_tag: "v1.2".into(), epoch: 86_400 };
    let mut recipe = recipe();
    recipe.run.env = BTreeMap::from([("A".into(), "1".into())]);
    let config: serde_json::Value = serde_json::from_slice(&config(&recipe, &[], &stamp, "amd64")).unwrap();
    assert_eq!(config["config"]["Env"], serde_json::json!(["A=1", "GIT_SHA=abc", "GIT_TAG=v1.2"]));
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], "abc");
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "1.2");
    assert_eq!((&config["config"]["User"], &config["created"]), (&"8828".into(), &"1970-01-02T00:00:00Z".into()));
}

#[test]
fn an_archive_has_a_layer_of_two_images_once() {
    let home = tempfile::tempdir().unwrap();
    let layer = write(&tree(&[("a", "1")]), Path::new("/dev/null"), 7, &home.path().join("layer.tar")).unwrap();
    let image = |name: &str| Built {
        name: name.into(),
        reference: super::reference(name, "1.2"),
        id: vault::digest::sha256_hex(name.as_bytes()),
        config: name.into(),
        layers: vec![layer.clone()],
    };
    let out = home.path().join("images.tar");
    let left = home.path().join("images.tar.part");
    std::fs::write(&left, "of a run that was killed").unwrap();
    let images = [image("one"), image("two")];
    write_archive(&images, 7, &out).unwrap();
    assert!(!left.exists(), "what a killed run left stays");
    let mut sent = Vec::new();
    std::io::Read::read_to_end(&mut super::archive(&images, 7).unwrap(), &mut sent).unwrap();
    assert!(sent == std::fs::read(&out).unwrap(), "an engine gets something else than a file");
    let names: Vec<_> = Tree::of_layer(&out, "").unwrap().nodes.into_keys().collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&format!("blobs/sha256/{}", layer.digest)));
}
