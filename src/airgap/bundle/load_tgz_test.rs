//! Archives of images in which an engine would find something else than what was looked at, and media that do not read.

use tar::{Builder, Header};
use vault::digest::sha256_hex;

use super::*;

const LAYER: &[u8] = b"a layer";

/// An entry: its name, flag and content, and what is changed of its header.
struct File(String, u8, Vec<u8>, fn(&mut Header));

fn file(name: &str, content: &[u8]) -> File {
    File(name.into(), b'0', content.into(), |_| ())
}

fn tar(files: &[File]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for File(name, flag, content, change) in files {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[156] = *flag;
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        change(&mut header);
        header.set_cksum();
        builder.append(&header, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn config() -> Vec<u8> {
    format!(r#"{{"rootfs":{{"diff_ids":["sha256:{}"]}}}}"#, sha256_hex(LAYER)).into_bytes()
}

fn path(content: &[u8]) -> String {
    format!("blobs/sha256/{}", sha256_hex(content))
}

/// One image, and `more` in the list of images.
fn good(more: &str) -> Vec<File> {
    let (config_path, layer) = (path(&config()), path(LAYER));
    let list = format!(r#"[{{"Config":"{config_path}","RepoTags":["a:1"],"Layers":["{layer}"]}}{more}]"#);
    vec![file("manifest.json", list.as_bytes()), file(&config_path, &config()), file(&layer, LAYER)]
}

fn looked(files: &[File]) -> Result<Looked, TgzError> {
    look_into(tar(files).as_slice())
}

#[test]
fn an_engine_finds_nothing_else_than_what_was_looked_at() {
    let found = looked(&good("")).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((found.images.len(), found.has_layout), (1, false));
    let with = |more: File| {
        let mut files = good("");
        files.push(more);
        files
    };
    // OCI's list counts for an engine with containerd, and is not read here.
    assert!(looked(&with(file("oci-layout", b"{}"))).is_ok_and(|found| found.has_layout));
    let listed = |config: &str| good(&format!(r#",{{"Config":"{config}","RepoTags":["postgres:15"],"Layers":[]}}"#));
    let nested = tar(&good(""));
    let cases = [
        ("sub/c.json", listed("sub/c.json")),
        ("./x.json", listed("./x.json")),
        ("the same twice", listed(&path(&config()))),
        ("many", good(&r#",{"Config":"a","Layers":[]}"#.repeat(100_000))),
        ("a folder with content", with(File("a/".into(), b'5', nested.clone(), |_| ()))),
        ("a file called as a folder", with(File("a/".into(), b'0', nested.clone(), |_| ()))),
        ("an old folder", with(File("a/".into(), 0, nested, |_| ()))),
        ("a second list", with(file("manifest.json", b"[]"))),
        ("a folder in place of the list", with(File("manifest.json/".into(), b'5', Vec::new(), |_| ()))),
        ("another blob", with(file(&path(b"x"), b"y"))),
        ("a name that goes on", with(File("b".into(), b'0', Vec::new(), |header| header.as_mut_bytes()[345] = b'a'))),
    ];
    for (what, files) in cases {
        let found = looked(&files).err().and_then(|error| error.id());
        assert_eq!(found, Some("GG-BUNDLE-123"), "{what}");
    }
    let mut two = good(&format!(r#",{{"Config":"c.json","RepoTags":["a:1"],"Layers":["{}"]}}"#, path(LAYER)));
    two.push(file("c.json", &[&config()[..], b" "].concat()));
    assert!(looked(&two).is_err(), "one name for two images");
}

#[test]
fn an_engine_that_loaded_more_is_found_out() {
    let image = |tags: &[&str]| TgzImage {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        id: "sha256:a".into(),
        layers: Vec::new(),
    };
    let said = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let images = [image(&["docker.io/library/a:1", "b:2"]), image(&[])];
    assert!(surplus(&images, &said(&["a:1", "b:2", "sha256:a"])).is_ok());
    for more in ["a:2", "sha256:b", "postgres:15"] {
        assert!(matches!(surplus(&images, &said(&["a:1", more])), Err(TgzError::Differs { .. })), "{more}");
    }
}

/// Gives what is in it, and then fails as a disk does.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::from(io::ErrorKind::StorageFull)),
            size => Ok(size),
        }
    }
}

#[test]
fn a_medium_that_does_not_read_is_not_the_senders_fault() {
    let images = tar(&good(""));
    for cut in [100, 600, 1100] {
        let error = look_into(Failing(&images[..cut])).err();
        assert!(matches!(error, Some(TgzError::Read { .. })), "{cut}: {error:?}");
        let outer = tar(&[file("gitgrit-bundle-v1.tar", &images)]);
        let error = look(&mut Failing(&outer[..512 + cut])).err();
        assert!(matches!(error, Some(TgzError::Read { .. })), "{cut}: {error:?}");
    }
}
