//! Git's own answers are the measure: the same pack for the same request, and everything unusual left to Git.

use super::*;
use crate::hear::{Heard, hear};
use crate::pktline::BAND_PAYLOAD;
use crate::testing::{Site, WorkTree};

fn request(words: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    pktline::put(&mut out, b"command=fetch");
    pktline::put(&mut out, b"agent=test/1");
    pktline::put(&mut out, b"object-format=sha1");
    out.extend_from_slice(b"0001");
    for word in words {
        pktline::put(&mut out, format!("{word}\n").as_bytes());
    }
    pktline::put_flush(&mut out);
    out
}

/// What the packets of each band hold, behind the line that begins the pack.
fn bands(answer: &[u8]) -> [Vec<u8>; 4] {
    let mut bands: [Vec<u8>; 4] = Default::default();
    let mut rest = answer.strip_prefix(b"000dpackfile\n").expect("a pack");
    loop {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..4]).unwrap(), 16).unwrap();
        if length == 0 {
            assert_eq!(rest, b"0000", "nothing comes behind the end");
            return bands;
        }
        bands[usize::from(rest[4])].extend_from_slice(&rest[5..length]);
        rest = &rest[length..];
    }
}

fn heard(site: &Site, request: &[u8]) -> Option<Vec<u8>> {
    match site.block_on(hear(&site.repo, &mut &request[..])).unwrap() {
        Heard::Everything(asked) => {
            let mut output = Vec::new();
            site.block_on(asked.send(&site.repo, &mut output)).unwrap();
            Some(output)
        }
        Heard::Other(seen) => {
            assert_eq!(seen, request, "Git gets all of it");
            None
        }
        Heard::Refs(_) => panic!("no refs were asked for"),
    }
}

fn git_says(site: &Site, request: &[u8]) -> Vec<u8> {
    let program = environment::server("upload-pack").env("GIT_PROTOCOL", "version=2").option("--strict");
    program.option("--stateless-rpc").operands([site.repo.path()]).run(request).unwrap().stdout
}

/// A repository of three commits, the first of them tagged, with files that do not compress, in packs of their own.
fn filled() -> (Site, WorkTree, String, String) {
    let site = Site::start();
    let tree = site.work_tree("w");
    let first = tree.commit("a", b"1");
    tree.git(&["tag", "--annotate", "--message", "x", "v1", &first]);
    let mut state = 1_u64;
    let mut noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let mut tip = String::new();
    for name in ["noise", "more"] {
        tip = tree.commit(name, &noise.by_ref().take(800_000).collect::<Vec<_>>());
        tree.git(&["push", "--quiet", "origin", "main", "v1"]);
    }
    (site, tree, first, tip)
}

#[test]
fn a_whole_clone_has_the_objects_that_git_itself_would_send() {
    let (site, tree, _, tip) = filled();
    let tag = tree.git(&["rev-parse", "v1"]);
    let wants = [format!("want {tip}"), format!("want {tag}")];
    let options = ["thin-pack", "no-progress", "include-tag", "ofs-delta"];
    for wants in [&wants[..], &wants[..1]] {
        let words: Vec<&str> = options.into_iter().chain(wants.iter().map(String::as_str)).chain(["done"]).collect();
        let asked = request(&words);
        let (ours, gits) = (bands(&heard(&site, &asked).expect("answered here")), bands(&git_says(&site, &asked)));
        assert_eq!(ours[1], gits[1], "the same pack");
        assert!(ours[1].starts_with(b"PACK") && ours[1].len() > 1 << 20, "{}", ours[1].len());
        assert_eq!(ours[2..], gits[2..]);
    }
    let told = bands(&heard(&site, &request(&[&wants[0], "done"])).expect("answered here"));
    assert!(String::from_utf8_lossy(&told[2]).contains("Total 9"), "{}", String::from_utf8_lossy(&told[2]));
}

/// The repository's own pack, after everything was joined in one.
fn joined(site: &Site, tree: &WorkTree) -> std::path::PathBuf {
    let path = site.repo.path().display().to_string();
    tree.git(&["--git-dir", &path, "repack", "-a", "-d", "-b", "--quiet"]);
    let entries = std::fs::read_dir(site.repo.path().join("objects/pack")).unwrap().flatten();
    let packs = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "pack"));
    let packs: Vec<_> = packs.collect();
    assert_eq!(packs.len(), 1);
    packs[0].clone()
}

fn verbatim(site: &Site, wants: &[&str]) -> bool {
    let wants: Vec<_> = wants.iter().map(|id| ObjectId::from_hex(id.as_bytes()).unwrap()).collect();
    site.block_on(OnlyPack::answering(&site.repo, &wants)).unwrap().is_some()
}

#[test]
fn the_only_pack_is_the_answer_to_whoever_wants_all_that_is_in_it() {
    let (site, tree, first, tip) = filled();
    let tag = tree.git(&["rev-parse", "v1"]);
    assert!(!verbatim(&site, &[&tip, &tag]), "there are two packs");
    let pack = joined(&site, &tree);
    assert!(verbatim(&site, &[&tip, &tag]));
    assert!(!verbatim(&site, &[&tip]), "the tag is in the pack as well");
    assert!(!verbatim(&site, &[&first, &tag]));
    let asked =
        request(&["thin-pack", "no-progress", "ofs-delta", &format!("want {tip}"), &format!("want {tag}"), "done"]);
    let found = bands(&heard(&site, &asked).expect("answered here"));
    assert_eq!(found[1], std::fs::read(&pack).unwrap());
    // Without the option the deltas in it would not be understood.
    let asked = request(&["no-progress", &format!("want {tip}"), &format!("want {tag}"), "done"]);
    assert_ne!(bands(&heard(&site, &asked).expect("answered here"))[1], found[1]);
    tree.commit("b", b"2");
    tree.git(&["push", "--quiet", "origin", "main"]);
    assert!(!verbatim(&site, &[&tip, &tag]), "a push has come");
}

/// What nobody is told of any more stays in the pack for a while, and must not leave with it.
#[test]
fn a_pack_with_objects_that_no_ref_leads_to_is_not_sent_as_it_is() {
    let (site, tree, first, tip) = filled();
    joined(&site, &tree);
    tree.git(&["push", "--quiet", "--force", "origin", &format!("{first}:refs/heads/main")]);
    let tag = tree.git(&["rev-parse", "v1"]);
    let asked = request(&["no-progress", "ofs-delta", &format!("want {first}"), &format!("want {tag}"), "done"]);
    let found = bands(&heard(&site, &asked).expect("answered here"));
    assert!(found[1].len() < 10_000, "{}", found[1].len());
    assert_eq!(heard(&site, &request(&["ofs-delta", &format!("want {tip}"), "done"])), None, "Git judges that");
}

#[test]
fn a_failure_of_the_short_way_is_left_to_the_long_one() {
    let (site, tree, ..) = filled();
    joined(&site, &tree);
    let absent = ObjectId::from_hex("1".repeat(40).as_bytes()).unwrap();
    assert!(site.block_on(OnlyPack::answering(&site.repo, &[absent])).is_err());
    let asked = Everything { wants: vec![absent], options: vec![OFFSETS] };
    let done = site.block_on(asked.send(&site.repo, Vec::new()));
    assert!(matches!(done, Err(Error::Git { command: "pack-objects", .. })), "{done:?}");
}

#[test]
fn a_pack_that_ends_early_cuts_the_answer() {
    let (site, tree, _, tip) = filled();
    let pack = joined(&site, &tree);
    let tag = tree.git(&["rev-parse", "v1"]);
    let wants = [&tip, &tag].map(|id| ObjectId::from_hex(id.as_bytes()).unwrap());
    let found = site.block_on(OnlyPack::answering(&site.repo, &wants)).unwrap().expect("one pack");
    let bytes = std::fs::read(&pack).unwrap();
    std::fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&pack).unwrap().set_len(bytes.len() as u64 / 2).unwrap();
    let mut bands = Bands { output: Vec::new(), has_progress: false, is_begun: false };
    let sent = site.block_on(bands.send_whole(found, &Progress::default()));
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(!bands.output.ends_with(b"0000"));
}

#[test]
fn whoever_has_something_or_wants_less_or_other_things_is_gits() {
    let (site, tree, first, tip) = filled();
    let want = format!("want {tip}");
    let hidden = format!("want {}", tree.git(&["rev-parse", "main^{tree}"]));
    let have = format!("have {first}");
    for words in [
        &[want.as_str(), &have, "done"][..],
        &[&want],
        &["done"],
        &[&want, "deepen 1", "done"],
        &[&want, "filter blob:none", "done"],
        &[&want, "shallow 1111111111111111111111111111111111111111", "done"],
        &[&want, "wait-for-done", "done"],
        &["want 1234", "done"],
        // There, but nothing that clients are told of.
        &[&hidden, "done"],
        &[&format!("want {first}"), "done"],
        &["want 1111111111111111111111111111111111111111", "done"],
    ] {
        assert_eq!(heard(&site, &request(words)), None, "{words:?}");
    }
    let whole = request(&[&want, "done"]);
    for (bytes, why) in [
        (&whole[..whole.len() - 4], "no end"),
        (&whole[..10], "no line"),
        (&[&whole[..21], b"zzzz"].concat(), "no length"),
    ] {
        assert_eq!(heard(&site, bytes), None, "{why}");
    }
}

#[test]
fn a_failure_before_the_first_byte_is_an_error_and_one_behind_it_is_told() {
    let (site, _tree, _, tip) = filled();
    let asked = |options: Vec<&'static str>, tip: &str| {
        let asked = Everything { wants: vec![ObjectId::from_hex(tip.as_bytes()).unwrap()], options };
        let mut output = Vec::new();
        (site.block_on(asked.send(&site.repo, &mut output)), output)
    };
    let (done, output) = asked(vec![], &"1".repeat(40));
    assert!(matches!(done, Err(Error::Git { command: "pack-objects", .. })), "{done:?}");
    assert_eq!(output, b"");
    // A pack that was cut: its index tells of more than is there.
    let packs = site.repo.path().join("objects/pack");
    for entry in std::fs::read_dir(packs).unwrap().flatten().filter(|entry| entry.path().extension().unwrap() == "pack")
    {
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0);
        std::fs::remove_file(entry.path()).unwrap();
        std::fs::write(entry.path(), bytes).unwrap();
    }
    let (done, output) = asked(vec!["--progress"], &tip);
    assert!(matches!(done, Err(Error::Git { .. })), "{done:?}");
    let text = String::from_utf8_lossy(&output);
    assert!(output.is_empty() || text.ends_with("\u{3}the server could not read all objects\n"), "{}", output.len());
    assert!(!output.ends_with(b"0000"));
}

#[test]
fn a_client_that_leaves_ends_it() {
    let (site, _tree, _, tip) = filled();
    let asked = Everything { wants: vec![ObjectId::from_hex(tip.as_bytes()).unwrap()], options: vec![] };
    let (ours, theirs) = tokio::io::duplex(16);
    drop(ours);
    let ended =
        site.block_on(async { tokio::time::timeout(Duration::from_secs(20), asked.send(&site.repo, theirs)).await });
    assert!(matches!(ended.unwrap(), Err(Error::Transfer(_))));
}

#[test]
fn the_length_of_a_packet_counts_its_head() {
    assert_eq!(head(1, 0), *b"0005\x01");
    assert_eq!(head(2, 11), *b"0010\x02");
    assert_eq!(head(1, BAND_PAYLOAD), *b"fff0\x01");
}
