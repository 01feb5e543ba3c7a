//! Layers as engines write them, what stacks of them say, and what somebody could put into one.

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::super::layer_facts::{Inventory, LayerFacts};
use super::*;

fn status(names: &[&str]) -> Vec<u8> {
    let one = |name: &&str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: 1-{name}\nArchitecture: amd64\n\n")
    };
    names.iter().map(one).collect::<String>().into_bytes()
}

/// A layer of these entries.
fn layer(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        if *kind == EntryType::Symlink {
            header.set_size(0);
            builder.append_link(&mut header, path, "elsewhere").unwrap();
        } else {
            builder.append_data(&mut header, path, *content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn file<'c>(path: &'c str, content: &'c [u8]) -> (&'c str, EntryType, &'c [u8]) {
    (path, EntryType::Regular, content)
}

/// What a layer says, taken in pieces of `size` bytes.
fn scanned(layer: &[u8], size: usize) -> Result<LayerFacts, &'static str> {
    let mut scan = Scan::default();
    layer.chunks(size).for_each(|piece| scan.take(piece));
    scan.finish()
}

fn names(layers: &[Vec<u8>]) -> Option<Vec<String>> {
    let facts: Vec<_> = layers.iter().map(|layer| scanned(layer, 1000).unwrap()).collect();
    let found = Inventory::stacked(facts.iter()).unwrap();
    found.packages.map(|all| all.into_iter().map(|package| package.name).collect())
}

#[test]
fn a_later_layer_wins_and_takes_away() {
    let low = layer(&[
        ("./var/lib/dpkg/", EntryType::Directory, b""),
        file("./var/lib/dpkg/status", &status(&["dash", "tar"])),
        file("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
        file("bin/dash", b"x"),
    ]);
    let two = |entries: &[(&str, EntryType, &[u8])]| names(&[low.clone(), layer(entries)]);
    let both = Some(vec!["dash".to_owned(), "tar".to_owned()]);
    assert_eq!(names(std::slice::from_ref(&low)), both);
    assert_eq!(two(&[file("var/lib/dpkg/status", &status(&["git"]))]), Some(vec!["git".into()]));
    assert_eq!(two(&[file("var/lib/dpkg/status-old", b"x"), file("usr/.wh.x", b"")]), both);
    for gone in
        ["var/lib/dpkg/.wh.status", "var/lib/.wh.dpkg", ".wh.var", "var/lib/dpkg/.wh..wh..opq", "var/.wh..wh..opq"]
    {
        assert_eq!(two(&[file(gone, b"")]), None, "{gone}");
    }
    // A mark does not take away what its own layer brings.
    let git = status(&["git"]);
    let own = [file("var/lib/dpkg/.wh..wh..opq", b""), file("var/lib/dpkg/status", &git)];
    assert_eq!(two(&own), Some(vec!["git".into()]));
    // What is no folder takes the place of one.
    assert_eq!(two(&[file("var/lib/dpkg", b"")]), None);
    assert_eq!(two(&[("var/lib/dpkg/status", EntryType::Directory, b"")]), None);
    assert_eq!(two(&[("var/lib/dpkg", EntryType::Directory, b"")]), both);
    let each = layer(&[
        file("var/lib/dpkg/status.d/tzdata", &status(&["tzdata"])),
        file("var/lib/dpkg/status.d/tzdata.md5sums", b"no fields"),
    ]);
    assert_eq!(names(&[low.clone(), each]).map(|all| all.len()), Some(3));
    let facts = scanned(&low, 7).unwrap();
    let found = Inventory::stacked([&facts].into_iter()).unwrap();
    assert_eq!(found.release.map(|release| release.version), Some("12".into()));
}

#[test]
fn a_list_that_is_a_link_is_not_passed_over() {
    for link in ["var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/status", "var/lib/dpkg/status.d"] {
        let facts = scanned(&layer(&[(link, EntryType::Symlink, b"")]), 512).unwrap();
        assert!(Inventory::stacked([&facts].into_iter()).is_err(), "{link}");
    }
    let release = layer(&[
        ("etc/os-release", EntryType::Symlink, b""),
        file("usr/lib/os-release", b"ID=debian\nVERSION_ID=12\n"),
    ]);
    let facts = scanned(&release, 512).unwrap();
    assert_eq!(Inventory::stacked([&facts].into_iter()).unwrap().release.unwrap().id, "debian");
}

#[test]
fn long_names_large_numbers_and_attributes_are_read() {
    let long = format!("{}/x", "a".repeat(150));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(3);
    builder.append_data(&mut header, &long, b"abc".as_slice()).unwrap();
    let text = status(&["dash"]);
    builder.append_pax_extensions([("path", "var/lib/dpkg/status".as_bytes()), ("mtime", b"1.5")]).unwrap();
    let mut header = Header::new_gnu();
    header.set_path("another").unwrap();
    header.set_size(text.len() as u64);
    // As star writes sizes over 8 GiB.
    header.as_mut_bytes()[124..136].copy_from_slice(&{
        let mut field = [0; 12];
        field[0] = 0x80;
        field[4..].copy_from_slice(&(text.len() as u64).to_be_bytes());
        field
    });
    header.set_cksum();
    builder.append(&header, text.as_slice()).unwrap();
    assert_eq!(names(&[builder.into_inner().unwrap()]), Some(vec!["dash".into()]));
}

#[test]
fn a_layer_that_is_no_archive_says_so() {
    assert_eq!(scanned(&[7; 4096], 100), Err("a layer is no archive"));
    let whole = layer(&[file("var/lib/dpkg/status", &status(&["dash"]))]);
    assert_eq!(scanned(&whole[..520], 100), Err("a layer ends too early"));
    assert_eq!(scanned(&[], 1), Ok(LayerFacts::default()));
    // What stands behind the end is nobody's.
    assert!(scanned(&[whole, vec![7; 5000]].concat(), 512).is_ok());
    let wrong = layer(&[file("var/lib/dpkg/status", b"Package: a\nVersion: 1?2\nArchitecture: all\n")]);
    assert!(scanned(&wrong, 512).is_err());
    let mut huge = Header::new_gnu();
    huge.set_path("var/lib/dpkg/status").unwrap();
    huge.set_size(1 << 40);
    huge.set_cksum();
    assert_eq!(scanned(huge.as_bytes(), 512), Err("a list of packages is larger than any"));
}

/// A header of this flag and name, with the field at 124 as it is.
fn header(flag: u8, name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[156] = flag;
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

#[test]
fn what_an_engine_reads_in_another_way_hides_no_packages() {
    let list = layer(&[file("var/lib/dpkg/status", &status(&["dash"]))]);
    let sparse = [header(b'S', "etc/os-release", 0).as_bytes(), &list[..]].concat();
    let up = [header(b'0', "var/lib/x/../dpkg/status", 0).as_bytes(), &list[..]].concat();
    let twice = [header(b'x', "a", 0).as_bytes(), &list[..]].concat();
    assert!(scanned(&twice, 512).is_ok());
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("path", b"b".as_slice())]).unwrap();
    let attributes = builder.get_ref().clone();
    let twice = [&attributes[..], &attributes, &list].concat();
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("GNU.sparse.major", b"1".as_slice())]).unwrap();
    let described = [&builder.get_ref()[..], &list].concat();
    for (what, layer) in [("sparse", sparse), ("up", up), ("twice", twice), ("described as sparse", described)] {
        assert!(scanned(&layer, 512).is_err(), "{what}");
    }
    // A file that an old writer calls as a folder has no content: what follows is the next entry.
    let old = [header(0, "a/", list.len() as u64).as_bytes(), &list[..]].concat();
    assert_eq!(names(&[old]), Some(vec!["dash".into()]));
}

#[test]
fn a_name_again_and_again_costs_no_more_than_it_is() {
    let one = header(b'0', "var/lib/dpkg/status.d/a", 0);
    assert!(scanned(&one.as_bytes().repeat(20_000), 512).is_ok());
    assert!(scanned(&one.as_bytes().repeat(20_001), 512).is_err());
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..3000), at in 0..512_usize, size in 1..700_usize) {
        let mut whole = layer(&[file("var/lib/dpkg/status", &status(&["dash"])), file("etc/os-release", b"ID=x\n")]);
        for (place, byte) in bytes.drain(..).enumerate().take(20) {
            let length = whole.len();
            whole[(at * (place + 1)) % length] ^= byte;
        }
        let found = scanned(&whole, size);
        prop_assert_eq!(found, scanned(&whole, 4096));
    }
}
