//! Archives of both layouts, and what somebody could put into one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use tar::{Builder, EntryType, Header};
use vault::digest::sha256_hex;

use super::save_archive::{ArchiveError, Saved, Shelf, take_apart};

/// Remembers what it was given.
#[derive(Default)]
struct Seen(Vec<(Option<String>, u64)>);

impl Shelf for Seen {
    type Error = ArchiveError;

    fn take(&mut self, name: Option<&str>, size: u64, layer: &mut dyn Read) -> Result<String, ArchiveError> {
        let mut bytes = Vec::new();
        layer.read_to_end(&mut bytes).map_err(|source| ArchiveError::Read { source })?;
        assert_eq!(bytes.len() as u64, size);
        self.0.push((name.map(str::to_owned), size));
        Ok(format!("sha256:{}", sha256_hex(&bytes)))
    }
}

/// A file, a folder or a link of an archive: its name, kind, content or target.
type File = (String, EntryType, Vec<u8>);

fn file(name: &str, content: &[u8]) -> File {
    (name.into(), EntryType::Regular, content.into())
}

fn tar(files: &[File]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in files {
        let mut header = Header::new_gnu();
        // Past the library's own scruples.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        if *kind == EntryType::Symlink || *kind == EntryType::Link {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, &[][..]).unwrap();
        } else {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

const LOW: &[u8] = b"the lower layer";
const HIGH: &[u8] = b"the higher layer";

fn id(content: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(content))
}

fn config() -> Vec<u8> {
    format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{}","{}"]}}}}"#, id(LOW), id(HIGH)).into_bytes()
}

fn older() -> Vec<File> {
    let (one, two, three) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
    let config_name = format!("{}.json", sha256_hex(&config()));
    let list = format!(
        r#"[{{"Config":"{config_name}","RepoTags":["a:1"],"Layers":["{one}/layer.tar","{two}/layer.tar"]}},
            {{"Config":"other.json","RepoTags":null,"Layers":["{three}/layer.tar"]}}]"#
    );
    vec![
        file(&config_name, &config()),
        (format!("{one}/"), EntryType::Directory, Vec::new()),
        file(&format!("{one}/VERSION"), b"1.0"),
        file(&format!("{one}/json"), b"{}"),
        (format!("{one}/layer.tar"), EntryType::Symlink, format!("../{three}/layer.tar").into_bytes()),
        file(&format!("{two}/layer.tar"), HIGH),
        file(&format!("{three}/layer.tar"), LOW),
        file("manifest.json", list.as_bytes()),
        file("repositories", b"{}"),
    ]
}

fn newer() -> Vec<File> {
    let blob = |content: &[u8]| file(&format!("blobs/sha256/{}", sha256_hex(content)), content);
    let path = |content: &[u8]| format!("blobs/sha256/{}", sha256_hex(content));
    let list = format!(
        r#"[{{"Config":"{}","RepoTags":["a:1"],"Layers":["{}","{}"]}}]"#,
        path(&config()),
        path(LOW),
        path(HIGH)
    );
    let mut files = vec![blob(LOW), blob(HIGH), blob(&config()), blob(b"{\"an\":\"OCI manifest\"}")];
    files.extend([file("index.json", b"{}"), file("manifest.json", list.as_bytes()), file("oci-layout", b"{}")]);
    files
}

fn apart(files: &[File]) -> Result<(BTreeMap<String, Saved>, Seen), ArchiveError> {
    let mut seen = Seen::default();
    let layers = BTreeSet::from([id(LOW), id(HIGH)]);
    let found = take_apart(tar(files).as_slice(), &BTreeSet::from([id(&config())]), &layers, &mut seen)?;
    Ok((found, seen))
}

#[test]
fn both_layouts_give_the_same_image_and_each_layer_once() {
    let expected = BTreeMap::from([(id(&config()), Saved { config: config(), layers: vec![id(LOW), id(HIGH)] })]);
    let (found, seen) = apart(&older()).unwrap();
    assert_eq!(found, expected);
    assert_eq!(seen.0, [(None, HIGH.len() as u64), (None, LOW.len() as u64)]);
    let (found, seen) = apart(&newer()).unwrap();
    assert_eq!(found, expected);
    assert_eq!(seen.0, [(Some(id(LOW)), LOW.len() as u64), (Some(id(HIGH)), HIGH.len() as u64)]);
}

#[test]
fn what_no_engine_writes_is_refused() {
    let link = |name: &str, kind, target: &str| (name.to_owned(), kind, target.as_bytes().to_vec());
    let layer = format!("{}/layer.tar", "d".repeat(64));
    let more = [
        file("../manifest.json", b"[]"),
        file("/etc/passwd", b""),
        file("a//b", b""),
        file("a/./b", b""),
        file("a\\b", b""),
        file("a b", b""),
        link(&layer, EntryType::Symlink, "/etc/shadow"),
        link(&layer, EntryType::Symlink, "../../layer.tar"),
        link("manifest", EntryType::Symlink, "../x/layer.tar"),
        link(&layer, EntryType::Link, "manifest.json"),
        link("device", EntryType::Char, ""),
        link("pipe", EntryType::Fifo, ""),
        file(&format!("blobs/sha256/{}", sha256_hex(LOW)), HIGH),
        file("big.json", &vec![b' '; 5 << 20]),
        file(&format!("blobs/sha256/{}", "e".repeat(64)), &vec![0x1f; 5 << 20]),
    ];
    for entry in more {
        let mut files = older();
        let name = entry.0.clone();
        files.insert(0, entry);
        let error = apart(&files).map(drop).expect_err(&name);
        assert!(matches!(error, ArchiveError::Entry { .. }), "{name}: {error}");
    }
}

#[test]
fn an_image_that_is_not_itself_is_refused() {
    let mut swapped = older();
    swapped[6].2 = b"another layer".to_vec();
    let mut without = older();
    without.remove(6);
    let mut unlisted = older();
    unlisted[7].2 = b"[]".to_vec();
    for files in [swapped, without, unlisted] {
        let error = apart(&files).map(drop).unwrap_err();
        assert!(matches!(error, ArchiveError::Image { .. }), "{error}");
    }
    let mut torn = older();
    torn[7].2.truncate(20);
    assert!(matches!(apart(&torn).map(drop), Err(ArchiveError::List { .. })));
}

#[test]
fn an_archive_cut_anywhere_is_an_error_and_never_a_panic() {
    let whole = tar(&older());
    let (ids, layers) = (BTreeSet::from([id(&config())]), BTreeSet::new());
    // Behind the list of images nothing is missed.
    for end in (0..whole.len() - 3 * 1024).step_by(100) {
        let found = take_apart(&whole[..end], &ids, &layers, &mut Seen::default());
        assert!(found.is_err(), "{end}");
    }
}
