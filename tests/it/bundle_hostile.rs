//! Bundles that nobody should load: each is shown to the real program, which refuses it with the id of the reason and exit
//! code 13, and leaves everything around it as it was. What the signature would catch first is signed with the trusted key.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;
use vault::minisign::SecretKey;

use crate::bundle_forger::{Draft, Item, frame, header, listed, signature, stored, summed};
use crate::site::{Ground, out};

/// A key that is trusted, one that is not, and a place to work.
pub(crate) struct Judge {
    ground: Ground,
    pub(crate) key: Rc<SecretKey>,
    pub(crate) stranger: Rc<SecretKey>,
    cases: BTreeSet<String>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        let key = || Rc::new(SecretKey::generate());
        Self { ground: Ground::new(), key: key(), stranger: key(), cases: BTreeSet::new() }
    }

    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.ground.home().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                found.push(path.display().to_string());
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// What the program says of `bytes`: its exit code, and the id of the reason.
    pub(crate) fn says(&self, bytes: &[u8], more: &[&str]) -> (Option<i32>, String) {
        let file = self.ground.home().join("x.ggb");
        std::fs::write(&file, bytes).unwrap();
        let before = self.files();
        let key = self.key.public().line();
        let program = self.ground.program().options(["bundle", "verify", "--json", "--public-key", &key]).options(more);
        let done = program.operands([file.to_str().unwrap()]).run(b"").unwrap();
        assert_eq!(self.files(), before, "something was written");
        assert!(!Path::new("/evil").exists() && !self.ground.home().join("../evil").exists());
        let said: Value = serde_json::from_str(&out(&done)).unwrap_or_else(|_| panic!("{}{}", out(&done), done.stderr));
        let shown = said.to_string();
        assert!(!shown.contains('\u{1b}') && !shown.contains("\\u001b"), "{shown}");
        (done.status.code(), said["id"].as_str().unwrap_or_default().to_owned())
    }

    /// `bytes` are refused for the reason with this number.
    pub(crate) fn refuses(&mut self, name: &str, number: u32, bytes: &[u8]) {
        self.refuses_with(name, number, bytes, &[]);
    }

    pub(crate) fn refuses_with(&mut self, name: &str, number: u32, bytes: &[u8], more: &[&str]) {
        assert_eq!(self.says(bytes, more), (Some(13), format!("GG-BUNDLE-{number:03}")), "{name}");
        if matches!(more, [] | ["--full"]) {
            crate::bundle_stream::is_refused(&self.ground, &self.key.public().line(), name, bytes);
        }
        assert!(self.cases.insert(name.to_owned()), "{name} is there twice");
    }

    pub(crate) fn count(&self) -> usize {
        self.cases.len()
    }
}

const SKIPPABLE: &[u8] = &[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];

/// Refusals prove something only when the same made well is taken.
#[test]
fn a_bundle_made_by_hand_as_it_should_be_is_taken() {
    let judge = Judge::new();
    for more in [&[][..], &["--full"], &["--sha256"], &["--not-before", "5"]] {
        assert_eq!(judge.says(&Draft::good().file(&judge.key), more), (Some(0), String::new()));
    }
}

#[test]
fn files_that_are_no_bundle_or_more_or_less_than_one_are_refused() {
    let mut judge = Judge::new();
    let good = Draft::good().packed().sealed(&judge.key);
    let file = good.file();
    let head = good.head();
    let behind = &file[stored(&head).len()..];
    judge.refuses("empty", 3, b"");
    judge.refuses("text", 3, b"not a bundle, but longer than thirteen bytes");
    judge.refuses("a plain archive", 3, &head);
    judge.refuses("a compressed head", 3, &[&frame(&head), behind].concat());
    judge.refuses("a skippable frame first", 3, &[SKIPPABLE, &file].concat());
    judge.refuses("a byte first", 3, &[b"x", file.as_slice()].concat());
    let with = |at: usize, bytes: &[u8]| {
        let mut bent = file.clone();
        bent[at..at + bytes.len()].copy_from_slice(bytes);
        bent
    };
    judge.refuses("a head without end", 7, &with(5, &u64::MAX.to_le_bytes()));
    judge.refuses("a head of one byte more", 6, &with(5, &(head.len() as u64 + 1).to_le_bytes()));
    judge.refuses("an empty head", 6, &with(5, &[0; 8]));
    judge.refuses("a head in a block of another kind", 6, &with(13, &[file[13] | 4]));
    judge.refuses("a head with another checksum", 6, &with(stored(&head).len() - 1, &[!file[stored(&head).len() - 1]]));
    judge.refuses("a byte behind", 5, &[file.as_slice(), b"x"].concat());
    judge.refuses("itself behind", 5, &[file.as_slice(), &file].concat());
    judge.refuses("a skippable frame behind", 5, &[file.as_slice(), SKIPPABLE].concat());
    for (index, edge) in good.edges().iter().enumerate().skip(1) {
        let (before, after) = file.split_at(*edge);
        judge.refuses(&format!("a skippable frame at edge {index}"), 5, &[before, SKIPPABLE, after].concat());
        judge.refuses(&format!("a whole frame at edge {index}"), 5, &[before, &frame(b"more"), after].concat());
        judge.refuses(&format!("cut at edge {index}"), 4, before);
        judge.refuses(&format!("cut before edge {index}"), 4, &file[..*edge - 1]);
        judge.refuses(&format!("cut behind edge {index}"), 4, &file[..=*edge]);
    }
    judge.refuses("cut before the end", 4, &file[..file.len() - 1]);
    assert!(judge.count() >= 30);
}

#[test]
fn bodies_that_are_not_the_signed_one_are_refused() {
    let mut judge = Judge::new();
    let good = Draft::good().packed().sealed(&judge.key);
    let file = good.file();
    let edges = good.edges();
    let table = *edges.last().unwrap();
    let mut swapped = good.clone();
    swapped.frames.swap(0, 1);
    let in_place = |body: Vec<u8>| [&file[..edges[1]], &body, &file[table..]].concat();
    judge.refuses("frames swapped", 17, &in_place(swapped.frames.concat()));
    judge.refuses(
        "a frame of zeros",
        17,
        &in_place([good.frames[0].clone(), vec![0; good.frames[1].len()], good.frames[2].clone()].concat()),
    );
    let mut other = Draft::good();
    other.large().content.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
    let other = other.packed();
    judge.refuses(
        "another bundle's layer",
        17,
        &in_place([good.frames[0].clone(), other.frames[1].clone(), good.frames[2].clone()].concat()),
    );
    let with = |at: usize, byte: u8| {
        let mut bent = file.clone();
        bent[at] = byte;
        bent
    };
    judge.refuses("a seek table that begins otherwise", 22, &with(table, 0x50));
    judge.refuses("a seek table with another size", 22, &with(table + 12, !file[table + 12]));
    judge.refuses("a seek table with checksums", 22, &with(file.len() - 5, 0x80));
    judge.refuses("a seek table of another kind", 22, &with(file.len() - 1, 0));
}

#[test]
fn signatures_that_do_not_count_are_refused() {
    let mut judge = Judge::new();
    let (good, stranger) = (Draft::good().packed().sealed(&judge.key), judge.stranger.clone());
    let signed = |signatures: Vec<(&str, String)>| {
        let mut bent = good.clone();
        bent.signatures = signatures.into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
        bent.file()
    };
    let first = ".gitgrit/manifest.json.minisig";
    let own = signature(&good.bytes, &judge.key);
    judge.refuses("not signed", 102, &signed(vec![]));
    judge.refuses("signed by a stranger", 102, &signed(vec![(first, signature(&good.bytes, &stranger))]));
    let mut older = Draft::good();
    older.sequence = 4;
    let older = older.packed().sealed(&judge.key);
    judge.refuses("an older bundle's signature", 103, &signed(vec![(first, older.signatures[0].1.clone())]));
    judge.refuses_with("an older bundle", 105, &older.file(), &["--not-before", "5"]);
    judge.refuses(
        "another trusted comment",
        103,
        &signed(vec![(first, own.replace("comment: bundle", "comment: bundlf"))]),
    );
    judge.refuses(
        "another untrusted comment",
        23,
        &signed(vec![(first, own.replacen("signature by", "signature from", 1))]),
    );
    judge.refuses("other line ends", 23, &signed(vec![(first, own.replace('\n', "\r\n"))]));
    judge.refuses("a line more", 23, &signed(vec![(first, format!("{own}\n"))]));
    judge.refuses(
        "a signature of 5 kB",
        23,
        &signed(vec![(first, own.replace("comment: bundle", &format!("comment: {}", "x".repeat(5000))))]),
    );
    let second = format!(".gitgrit/manifest.json.{}.minisig", judge.key.public().id());
    judge.refuses("one key twice", 23, &signed(vec![(first, own.clone()), (&second, own.clone())]));
    judge.refuses("a signature under another name", 6, &signed(vec![(".gitgrit/other.minisig", own.clone())]));
    let others: Vec<_> = (0..17).map(|_| SecretKey::generate()).collect();
    let names: Vec<_> =
        others.iter().map(|key| format!(".gitgrit/manifest.json.{}.minisig", key.public().id())).collect();
    let many = others.iter().zip(&names).map(|(key, name)| (name.as_str(), signature(&good.bytes, key)));
    judge.refuses("eighteen signatures", 23, &signed([(first, own.clone())].into_iter().chain(many).collect()));
    let line = stranger.public().line();
    judge.refuses_with("one signature of two", 102, &good.file(), &["--public-key", &line, "--threshold", "2"]);
    let mut changed = good.clone();
    changed.bytes = String::from_utf8(changed.bytes).unwrap().replace("1.0.0", "1.0.1").into();
    judge.refuses("a manifest that changed since", 103, &changed.file());
}

#[test]
fn heads_that_say_more_than_their_manifest_are_refused() {
    let mut judge = Judge::new();
    let good = Draft::good().packed().sealed(&judge.key);
    let head = good.head();
    let bent = |at: usize, block: Vec<u8>| {
        let mut bent = head.clone();
        bent[at..at + block.len()].copy_from_slice(&block);
        good.with_head(&bent)
    };
    let first = header("oci-layout", 30, b'0');
    for (name, kind) in [
        ("a link", b'2'),
        ("a hard link", b'1'),
        ("a device", b'3'),
        ("a folder", b'5'),
        ("a pax header", b'x'),
        ("a sparse file", b'S'),
        ("an old file", 0),
    ] {
        judge.refuses(&format!("{name} in the head"), 6, &bent(0, header("oci-layout", 30, kind)));
    }
    let with = |at: usize, byte: u8| {
        let mut block = first.clone();
        block[at] = byte;
        summed(block)
    };
    judge.refuses("an owner in the head", 6, &bent(0, with(114, b'7')));
    judge.refuses("an owner's name in the head", 6, &bent(0, with(265, b'r')));
    judge.refuses("a time in the head", 6, &bent(0, with(146, b'7')));
    judge.refuses("a number in base 256 in the head", 6, &bent(0, with(124, 0x80)));
    judge.refuses("padding in the head", 6, &bent(512 + 100, vec![1]));
    judge.refuses("zeros at the end of the head", 6, &good.with_head(&[head.as_slice(), &[0; 1024]].concat()));
    judge.refuses(
        "a file more in the head",
        6,
        &good.with_head(&[head.as_slice(), &header("../evil", 0, b'0')].concat()),
    );
    judge.refuses("a file less in the head", 6, &good.with_head(&head[1024..]));
    for (index, from, to) in [
        (1, "gitgrit-app:1.0.0", "gitgrit-app:9.9.9"),
        (2, "gitgrit-app:1.0.0", "gitgrit-app:9.9.9"),
        (0, "1.0.0", "1.0.1"),
    ] {
        let mut other = good.clone();
        other.derived[index] = String::from_utf8(other.derived[index].clone()).unwrap().replace(from, to).into();
        judge.refuses(&format!("another document {index} in the head"), 6, &other.file());
    }
    let mut huge = good.clone();
    huge.bytes = vec![b' '; (64 << 20) + 1];
    judge.refuses("a manifest of 64 MiB and a byte", 7, &huge.file());
}

#[test]
fn files_that_are_not_what_their_signed_entry_says_are_refused() {
    let mut judge = Judge::new();
    let key = judge.key.clone();
    let mut headed = |name: &str, block: Vec<u8>| {
        let mut draft = Draft::good();
        draft.item("docs/a.md").header = Some(block);
        judge.refuses(name, 20, &draft.file(&key));
    };
    for (name, kind) in [
        ("a symbolic link", b'2'),
        ("a hard link", b'1'),
        ("a character device", b'3'),
        ("a block device", b'4'),
        ("a folder", b'5'),
        ("a pipe", b'6'),
        ("a pax header", b'x'),
        ("a global pax header", b'g'),
        ("a long name", b'L'),
        ("a sparse file", b'S'),
    ] {
        headed(name, header("docs/a.md", 4, kind));
    }
    let plain = header("docs/a.md", 4, b'0');
    let with = |at: usize, bytes: &[u8]| {
        let mut block = plain.clone();
        block[at..at + bytes.len()].copy_from_slice(bytes);
        summed(block)
    };
    headed("a way up", header("../evil.md", 4, b'0'));
    headed("an absolute path", header("/evil", 4, b'0'));
    headed("another size", header("docs/a.md", 8 << 30 >> 1, b'0'));
    headed("a size in base 256", with(124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4]));
    headed("a mode with setuid", with(100, b"0004755"));
    headed("an owner", with(108, b"0000001"));
    headed("a link's target", with(157, b"/etc/passwd"));
    headed("a prefix", with(345, b".."));
    headed("another sum", {
        let mut block = plain.clone();
        block[150] ^= 1;
        block
    });
}

#[test]
fn contents_that_are_not_what_their_signed_entry_says_are_refused() {
    let mut judge = Judge::new();
    let key = judge.key.clone();
    let mut draft = Draft::good();
    draft.item("docs/a.md").padding = 1;
    judge.refuses("something in the padding", 20, &draft.file(&key));
    let packed = Draft::good().packed();
    let last = packed.frames.len() - 1;
    let mut end = zstd::decode_all(packed.frames[last].as_slice()).unwrap();
    *end.last_mut().unwrap() = 1;
    judge.refuses("something behind the end", 20, &packed.replace(last, frame(&end)).sealed(&key).file());
    let mut draft = Draft::good();
    draft.item("docs/a.md").sha256 = Some(airgap::bundle::Digest::of(b"# B\n"));
    judge.refuses("a small file's other content", 21, &draft.file(&key));
    let mut draft = Draft::good();
    let small = draft.items.len() - 2;
    (draft.items[small].sha256, draft.items[small].content) =
        (Some(airgap::bundle::Digest::of(b"a small layer")), b"a small lager".to_vec());
    judge.refuses("a small layer's other content", 21, &draft.file(&key));
    let mut draft = Draft::good();
    let large = draft.large();
    large.sha256 = Some(airgap::bundle::Digest::of(&large.content));
    large.content.reverse();
    judge.refuses_with("a large layer's other content", 21, &draft.file(&key), &["--full"]);
    let mut draft = Draft::good();
    *draft.item("SHA256SUMS") = Item::new("SHA256SUMS", "nothing\n");
    judge.refuses("another list of digests", 14, &draft.file(&key));
}

#[test]
fn frames_that_are_bombs_or_not_plain_are_refused() {
    let mut judge = Judge::new();
    let key = judge.key.clone();
    let good = Draft::good().packed();
    let layer = crate::bundle_forger::layer();
    let mut put = |name: &str, number: u32, packed: Vec<u8>| {
        judge.refuses(name, number, &good.clone().replace(1, packed).sealed(&key).file());
    };
    let size = layer.len() as u64;
    let bomb = |declared: u64, block: u32, blocks: u32| {
        let mut made = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0xE4], &declared.to_le_bytes()].concat();
        for index in 0..blocks {
            made.extend_from_slice(&(block << 3 | 2 | u32::from(index + 1 == blocks)).to_le_bytes()[..3]);
            made.push(0);
        }
        [made, vec![0; 4]].concat()
    };
    put("a bomb that says 4 GiB", 18, bomb(4 << 30, 128 << 10, 4096));
    put("a bomb that says less", 18, bomb(size, 60 << 10, 1000));
    put("a bomb in many frames", 18, [stored(&layer), frame(&vec![0; 1 << 20])].concat());
    let mut window = frame(&layer);
    window.splice(4..5, [0xC4, 0xFF]);
    put("a window of terabytes", 18, window);
    let described = |bits: u8| {
        let mut made = stored(&layer);
        made[4] = bits;
        made
    };
    put("a dictionary", 18, described(0xE5));
    put("the unused bit", 18, described(0xF4));
    put("the reserved bit", 18, described(0xEC));
    put("no checksum", 18, described(0xE0));
    put("no size", 18, described(0x04));
    put("a skippable frame behind", 18, [stored(&layer), SKIPPABLE.to_vec()].concat());
    put("a skippable frame instead", 18, SKIPPABLE.to_vec());
    put("a cut frame", 18, stored(&layer)[..1000].to_vec());
    put("a byte behind the frame", 18, [stored(&layer), vec![0]].concat());
    // What only unpacking can see.
    let mut headers = zstd::decode_all(good.frames[0].as_slice()).unwrap();
    let mut sum = frame(&headers);
    *sum.last_mut().unwrap() ^= 1;
    judge.refuses("another checksum", 19, &good.clone().replace(0, sum).sealed(&key).file());
    headers.pop();
    let mut short = frame(&headers);
    let at = if short[4] >> 6 == 1 { 5 } else { panic!("{:02x}", short[4]) };
    let real = u16::from_le_bytes([short[at], short[at + 1]]) + 1;
    short[at..at + 2].copy_from_slice(&real.to_le_bytes());
    judge.refuses("a frame of less than it says", 19, &good.clone().replace(0, short).sealed(&key).file());
    let listing = |bend: &dyn Fn(&mut Vec<airgap::bundle::Frame>)| {
        let mut bent = good.clone();
        bend(&mut bent.manifest.frames);
        bent.sealed(&key).file()
    };
    judge.refuses("a frame too many", 16, &listing(&|frames| frames.push(listed(b"x", 1))));
    judge.refuses("a frame too few", 16, &listing(&|frames| _ = frames.pop()));
    judge.refuses("no frames", 16, &listing(&Vec::clear));
    judge.refuses("a frame with another size", 16, &listing(&|frames| frames[1].size += 1));
    judge.refuses("a frame larger than its content", 16, &listing(&|frames| frames[1].packed = 1 << 40));
    judge.refuses("an empty frame", 16, &listing(&|frames| frames[1].packed = 0));
    judge.refuses("frames in another order", 16, &listing(&|frames| frames.swap(0, 1)));
}
