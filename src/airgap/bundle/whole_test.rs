//! Bundles as a whole: written, opened, verified, read again; the same bytes on one thread and on four.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use base64::Engine;

use super::*;

/// Something in the form of a signature, by the key with this number.
pub(crate) fn signature(key: u8) -> Signature {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let blob = encode(&[b"ED".as_slice(), &[key; 8], &[9; 64]].concat());
    Signature::take(&format!("untrusted comment: x\n{blob}\ntrusted comment: y\n{}\n", encode(&[7; 64]))).unwrap()
}

pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Every second byte repeats, so that there is something to pack.
        if state & 1 == 0 { 7 } else { (state >> 11).to_le_bytes()[0] }
    };
    std::iter::repeat_with(&mut next).take(size).collect()
}

fn packed(content: &[u8], threads: usize, folder: &Path) -> Packed {
    let file = folder.join(format!("{}.{threads}", Digest::of(content)));
    Packers::start(Profile::Fast, threads).pack(&mut &content[..], &file).unwrap()
}

/// Threads and buffers that were used before give what new ones give, on any number of threads.
#[test]
fn packers_that_stay_pack_as_new_ones_do() {
    let home = tempfile::tempdir().unwrap();
    let frame = Profile::Release.frame_size();
    let contents = [noise(frame + 1, 11), noise(1024, 12), noise(2 * frame, 13), noise(0, 14)];
    for profile in [Profile::Fast, Profile::Release] {
        let pack = |packers: &mut Packers, content: &[u8]| {
            let file = home.path().join("packed");
            let packed = packers.pack(&mut &content[..], &file).unwrap();
            (packed.digest, packed.frames, std::fs::read(&file).unwrap())
        };
        let expected: Vec<_> = contents.iter().map(|content| pack(&mut Packers::start(profile, 1), content)).collect();
        for threads in [1, 4] {
            let mut packers = Packers::start(profile, threads);
            for index in [2, 1, 0, 3, 2] {
                assert!(pack(&mut packers, &contents[index]) == expected[index], "{profile:?} {threads} {index}");
            }
        }
    }
}

fn assembly(threads: usize, folder: &Path) -> Assembly {
    let layers = [noise(9 << 20, 1), noise(70_000, 2), noise(1024, 3), noise(8 << 20, 4)];
    assembly_of(&layers, &noise(200_000, 6), threads, folder)
}

/// Two images of four layers, and a program.
pub(crate) fn assembly_of(layers: &[Vec<u8>; 4], program: &[u8], threads: usize, folder: &Path) -> Assembly {
    let digests: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let image = |name: &str, layers: &[Digest]| {
        let ids: Vec<_> = layers.iter().map(Digest::named).collect();
        let config =
            serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
        let reference = format!("docker.io/library/gitgrit-{name}:1.2.3");
        SourceImage { name: name.into(), reference, config: config.to_string().into(), layers: layers.to_vec() }
    };
    let path = |path: &str| EntryPath::parse(path).unwrap();
    let mut files = BTreeMap::new();
    files.insert(path("docs/a.md"), (Mode::Plain, Source::Bytes(b"# a".to_vec())));
    files.insert(path("docs/empty.md"), (Mode::Plain, Source::Bytes(Vec::new())));
    files.insert(path("docs/large.md"), (Mode::Plain, Source::Bytes(noise(100_000, 5))));
    files.insert(path("bin/gitgrit-ops"), (Mode::Program, Source::Packed(packed(program, threads, folder))));
    Assembly {
        version: "1.2.3".into(),
        arch: Arch::Amd64,
        sequence: 7,
        epoch: 1_700_000_000,
        commit: Commit { id: "a".repeat(40), is_dirty: false },
        expires: None,
        profile: Profile::Fast,
        program: Some("0.1.0".into()),
        keys: BTreeSet::from(["SITE_URL".into()]),
        migrations: vec!["0001_begin".into()],
        files,
        images: vec![image("app", &[digests[0], digests[1]]), image("db", &[digests[0], digests[2], digests[3]])],
        layers: layers.iter().map(|layer| (Digest::of(layer), packed(layer, threads, folder))).collect(),
    }
}

fn written(threads: usize, folder: &Path) -> std::path::PathBuf {
    let out = folder.join(format!("{threads}.ggb"));
    assembly(threads, folder).write(&out, &mut |_| Ok(vec![signature(9), signature(1), signature(2)])).unwrap();
    out
}

const HOW: Thoroughness = Thoroughness { hashes: Hashes::Blake3, is_full: true, threads: 2 };

#[test]
fn a_bundle_is_the_same_on_one_thread_and_on_four_and_reads_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (one, four) = (written(1, folder.path()), written(4, folder.path()));
    let bytes = std::fs::read(&one).unwrap();
    assert!(bytes == std::fs::read(&four).unwrap());
    let (bundle, ()) = Bundle::open(&one, |_, signatures| {
        assert_eq!(
            signatures.iter().map(Signature::key).collect::<Vec<_>>(),
            ["09".repeat(8), "01".repeat(8), "02".repeat(8)]
        );
        Ok(())
    })
    .unwrap();
    assert_eq!(bundle.size(), bytes.len() as u64);
    let seen = std::sync::atomic::AtomicU64::new(0);
    for how in [HOW, Thoroughness { hashes: Hashes::Sha256, is_full: false, threads: 1 }] {
        bundle.verify(how, &|size| _ = seen.fetch_add(size, std::sync::atomic::Ordering::Relaxed)).unwrap();
    }
    assert_eq!(seen.into_inner(), bundle.manifest().packed_size() * 2);
    let verified = bundle.verify(HOW, &|_| {}).unwrap();
    for (path, content) in
        [("docs/a.md", b"# a".to_vec()), ("docs/empty.md", Vec::new()), ("bin/gitgrit-ops", noise(200_000, 6))]
    {
        let mut read = Vec::new();
        verified.content(path).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == content, "{path}");
    }
    for layer in [noise(9 << 20, 1), noise(1024, 3)] {
        assert!(verified.layer(&Digest::of(&layer)).unwrap().whole().unwrap() == layer);
    }
    assert!(matches!(verified.content("docs/b.md"), Err(BundleError::Absent { .. })));
}

#[test]
fn the_tar_crate_reads_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(written(2, folder.path())).unwrap();
    let archive = zstd::stream::decode_all(bytes.as_slice()).unwrap();
    let (bundle, ()) = Bundle::on(Box::new(bytes), Path::new("x"), |_, _| Ok(())).unwrap();
    let mut listed = bundle.manifest().entries.iter();
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut count = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if path.starts_with(".gitgrit/manifest.json") {
            continue;
        }
        let listed = listed.next().unwrap();
        let header = entry.header();
        assert_eq!((listed.path.as_str(), listed.mode.bits()), (path.as_str(), header.mode().unwrap()));
        assert_eq!((Digest::of(&content), header.mtime().unwrap()), (listed.sha256, 1_700_000_000));
        count += 1;
    }
    assert_eq!((listed.next(), count), (None, bundle.manifest().entries.len()));
}

#[test]
fn other_signatures_leave_the_body_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(2, folder.path());
    let (bundle, ()) = Bundle::open(&path, |_, _| Ok(())).unwrap();
    let out = folder.path().join("other.ggb");
    reseal(&bundle, &[signature(3)], &out).unwrap();
    let (other, ()) = Bundle::open(&out, |_, _| Ok(())).unwrap();
    other.verify(HOW, &|_| {}).unwrap();
    assert_eq!((other.manifest(), other.signatures()), (bundle.manifest(), [signature(3)].as_slice()));
    assert!(!folder.path().join("other.ggb.part").exists());
}

#[test]
fn packed_content_that_changed_or_is_of_another_profile_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("x.ggb");
    let mut changed = assembly(1, folder.path());
    let large =
        changed.layers.values().find(|packed| packed.size > 9 << 20).or(changed.layers.values().next()).unwrap();
    let mut bytes = std::fs::read(&large.file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&large.file, bytes).unwrap();
    let all: Vec<_> = changed.layers.values().map(|packed| packed.file.clone()).collect();
    let fault = changed.clone().write(&out, &mut |_| Ok(vec![signature(1)])).unwrap_err();
    assert!(matches!(&fault, BundleError::Packed { path, .. } if all.contains(path)), "{fault}");
    changed.profile = Profile::Release;
    let fault = changed.write(&out, &mut |_| Ok(vec![signature(1)])).unwrap_err();
    assert!(matches!(fault, BundleError::Frames(_)), "{fault}");
    assert!(!out.exists() && !folder.path().join("x.ggb.part").exists());
}

#[test]
fn packed_content_is_found_again_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let found = packed(&noise(100_000, 1), 1, folder.path());
    assert_eq!(Packed::from_index(&found.index(), &found.file), Some(found.clone()));
    std::fs::OpenOptions::new().write(true).open(&found.file).unwrap().set_len(10).unwrap();
    assert_eq!(Packed::from_index(&found.index(), &found.file), None);
    assert_eq!(Packed::from_index(b"{}", &found.file), None);
}

#[test]
fn a_part_that_a_killed_run_left_is_replaced_and_a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("1.ggb");
    std::fs::write(folder.path().join("1.ggb.part"), vec![1; 100_000_000]).unwrap();
    written(1, folder.path());
    assert!(Bundle::open(&out, |_, _| Ok(())).is_ok());
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "mine").unwrap();
    std::os::unix::fs::symlink(&precious, folder.path().join("1.ggb.part")).unwrap();
    let fault = assembly(1, folder.path()).write(&out, &mut |_| Ok(vec![])).unwrap_err();
    assert!(matches!(fault, BundleError::Write { .. }));
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "mine");
}

/// Who could write where packed content is kept could have it signed.
#[test]
fn packed_content_is_itself_only_when_it_unpacks_to_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let content = noise((8 << 20) + 70_000, 1);
    let kept = packed(&content, 2, folder.path());
    assert!(kept.is_itself().unwrap());
    let other = packed(&noise(90_000, 2), 2, folder.path());
    assert!(!Packed { digest: kept.digest, ..other.clone() }.is_itself().unwrap(), "another's frames");
    let mut frames = kept.frames.clone();
    frames.pop();
    assert!(!Packed { frames, ..kept.clone() }.is_itself().unwrap(), "too few frames");
    let mut frames = kept.frames.clone();
    frames[0].sha256 = Digest::of(b"other");
    assert!(!Packed { frames, ..kept.clone() }.is_itself().unwrap(), "a wrong hash of the packed bytes");
    let mut bytes = std::fs::read(&kept.file).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&kept.file, bytes).unwrap();
    assert!(!kept.is_itself().unwrap(), "a changed byte");
}

/// Its packed bytes are signed, and so is the digest of what they hold: only who unpacks sees that the two disagree.
#[test]
fn a_program_that_is_not_what_the_manifest_says_is_refused_by_who_unpacks_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut assembly = assembly(2, folder.path());
    let place = EntryPath::parse("bin/gitgrit-ops").unwrap();
    let (_, source) = assembly.files.get_mut(&place).unwrap();
    let Source::Packed(program) = source else { panic!("the program was packed") };
    program.digest = Digest::of(b"another program");
    let out = folder.path().join("x.ggb");
    assembly.write(&out, &mut |_| Ok(vec![signature(1)])).unwrap();
    let (bundle, ()) = Bundle::open(&out, |_, _| Ok(())).unwrap();
    let refused = bundle.verify(HOW, &|_| {}).err().unwrap();
    assert_eq!(refused.id(), "GG-BUNDLE-021", "{refused}");
    let verified = bundle.verify(Thoroughness { is_full: false, ..HOW }, &|_| {}).unwrap();
    let refused = verified.content("bin/gitgrit-ops").unwrap().whole().unwrap_err();
    assert_eq!(refused.id(), "GG-BUNDLE-021", "{refused}");
}

#[test]
fn a_bundle_of_so_many_images_that_their_list_is_long_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let mut assembly = assembly(2, folder.path());
    let one = assembly.images[0].clone();
    let more = |number: usize| SourceImage {
        name: format!("more-{number}"),
        reference: format!("docker.io/library/gitgrit-more-{number}:1.2.3"),
        ..one.clone()
    };
    assembly.images.extend((0..400).map(more));
    let out = folder.path().join("x.ggb");
    assembly.write(&out, &mut |_| Ok(vec![signature(1)])).unwrap();
    let (bundle, ()) = Bundle::open(&out, |_, _| Ok(())).unwrap();
    assert!(bundle.manifest().entries[1].size > 64 << 10);
    bundle.verify(HOW, &|_| {}).unwrap();
}

/// A second name of somebody's file would have that file replaced.
#[test]
fn what_lies_where_the_draft_goes_is_left_alone_unless_it_is_a_plain_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (out, part, victim) =
        (folder.path().join("x.ggb"), folder.path().join("x.ggb.part"), folder.path().join("victim"));
    std::fs::write(&victim, "precious").unwrap();
    let write = || assembly(1, folder.path()).write(&out, &mut |_| Ok(vec![signature(1)]));
    std::fs::hard_link(&victim, &part).unwrap();
    assert_eq!(write().unwrap_err().id(), "GG-BUNDLE-002");
    std::fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink(&victim, &part).unwrap();
    assert_eq!(write().unwrap_err().id(), "GG-BUNDLE-002");
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    std::fs::remove_file(&part).unwrap();
    std::fs::write(&part, "left behind").unwrap();
    let held = base::file::Lock::take(&part).unwrap();
    assert_eq!(write().unwrap_err().id(), "GG-BUNDLE-002");
    assert_eq!(std::fs::read(&part).unwrap(), b"left behind");
    drop(held);
    write().unwrap();
    assert!(!part.exists());
}
