//! Parts that somebody wrote by hand: nothing signs a part, so its header can say anything. Each is refused with the id of the
//! reason, takes no memory for what it says to hold, and writes nothing.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle_split::Bench;

const NAME: &str = "gitgrit-1.0.0-amd64.ggb";

/// The header of a part, and what it holds.
fn apart(part: &[u8]) -> (Value, Vec<u8>) {
    let json = part[28..4096].split(|byte| *byte == b'\n').next().unwrap();
    (serde_json::from_slice(json).unwrap(), part[4096..].to_vec())
}

/// A part with this text as the JSON of its header.
fn part(json: &str, content: &[u8]) -> Vec<u8> {
    let size = (28 + json.len() + 1).next_multiple_of(4096);
    let mut made = format!("gitgrit-part 1 {size:012}\n{json}\n").into_bytes();
    made.resize(size, 0);
    made.extend_from_slice(content);
    made
}

/// The header's fields in the order in which they are written.
fn text(header: &Value) -> String {
    let set = &header["set"];
    let fields = ["name", "manifest", "size", "part", "count", "parts", "parity"]
        .map(|name| format!("\"{name}\":{}", set[name]));
    format!("{{\"part\":{},\"sha256\":{},\"set\":{{{}}}}}", header["part"], header["sha256"], fields.join(","))
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a header may say instead of the truth, and in which field.
fn lies(header: &Value) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("no parts", "/set/count", json!(0)),
        ("2^32 - 1 parts", "/set/count", json!(u32::MAX)),
        ("2^32 parts", "/set/count", json!(1_u64 << 32)),
        ("more parts than listed", "/set/count", json!(5)),
        ("no list", "/set/parts", json!([])),
        ("a long list", "/set/parts", json!(vec![header["sha256"].clone(); 900])),
        ("an endless bundle", "/set/size", json!(u64::MAX)),
        ("an empty bundle", "/set/size", json!(0)),
        ("a negative size", "/set/size", json!(-1)),
        ("empty parts", "/set/part", json!(0)),
        ("tiny parts", "/set/part", json!(1)),
        ("endless parts", "/set/part", json!(u64::MAX)),
        ("a way up", "/set/name", json!("../evil.ggb")),
        ("an absolute path", "/set/name", json!("/evil.ggb")),
        ("a hidden file", "/set/name", json!(".evil.ggb")),
        ("a script", "/set/name", json!("evil.sh")),
        ("a terminal's words", "/set/name", json!("\u{1b}[2J.ggb")),
        ("an option", "/set/name", json!("-rf.ggb")),
        ("part 0", "/part", json!(0)),
        ("part 9", "/part", json!(9)),
        ("part 2^32 - 1", "/part", json!(u32::MAX)),
        ("another's hash", "/sha256", header["set"]["parts"][1].clone()),
        ("no hash", "/sha256", json!("")),
        ("a manifest that is none", "/set/manifest", json!("A")),
    ]
}

#[test]
fn parts_whose_headers_lie_are_refused() {
    let bench = Bench::new();
    let line = bench.trust();
    bench.does(&["split", NAME, "--size", "200kB", "--parity", "--out", "parts", "--public-key", &line]);
    let path = bench.path("parts").join(format!("{NAME}.001"));
    let good = std::fs::read(&path).unwrap();
    let (header, content) = apart(&good);
    assert!(part(&text(&header), &content) == good, "what is made here is not what split writes");
    let first = path.display().to_string();
    let before = listed(bench.ground.home());
    let refused = |name: &str, bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        for verb in [&["join", &first, "--out", "out.ggb"][..], &["verify", &first, "--public-key", &line]] {
            let (code, id, said) = bench.refused(verb);
            // A file that does not even begin as a part is a bundle that is none; one that names other hashes is of another
            // bundle, of which nothing else is there.
            let is_other = name.starts_with("a bit of") && id == "GG-BUNDLE-142";
            let is_meant = id == "GG-BUNDLE-140" || is_other || (id == "GG-BUNDLE-003" && verb[0] == "verify");
            assert!(code == 13 && is_meant, "{name}: {code} {id} {said}");
            assert!(!said.contains('\u{1b}') && !said.contains("u001b"), "{said}");
        }
        assert_eq!(listed(bench.ground.home()), before, "{name} left something");
    };
    for (name, place, value) in lies(&header) {
        let mut bent = header.clone();
        *bent.pointer_mut(place).unwrap() = value;
        refused(name, &part(&text(&bent), &content));
    }
    let good_text = text(&header);
    refused("an unknown field", &part(&good_text.replacen('{', "{\"more\":1,", 1), &content));
    refused("a field twice", &part(&good_text.replacen('{', "{\"part\":1,", 1), &content));
    refused("spaces", &part(&good_text.replacen(':', ": ", 1), &content));
    refused("deep", &part(&"[".repeat(3000), &content));
    refused("no text", &part("\u{0}", &content));
    let with = |at: usize, bytes: &[u8]| {
        let mut bent = good.clone();
        bent[at..at + bytes.len()].copy_from_slice(bytes);
        bent
    };
    refused("an endless header", &with(15, b"999999999999"));
    refused("a header of nothing", &with(15, b"000000000000"));
    refused("a header of a sign", &with(15, b"-00000004096"));
    refused("a longer header", &with(15, b"000000008192"));
    refused("something behind the JSON", &with(4095, b"x"));
    refused("cut in the header", &good[..2000]);
    refused("cut behind the header", &good[..4096]);
    refused("a byte more", &[good.as_slice(), b"x"].concat());
    refused("another format", &with(13, b"2"));
    refused("nothing", b"");
    // No bit of a header means nothing.
    for at in 0..4096 / 64 {
        refused(&format!("a bit of byte {}", at * 64), &with(at * 64, &[good[at * 64] ^ 1]));
    }
}

#[test]
fn parts_that_make_another_bundle_than_they_say_are_refused() {
    let bench = Bench::new();
    let line = bench.trust();
    bench.does(&["split", NAME, "--size", "200kB", "--out", "parts", "--public-key", &line]);
    for number in 1..=4 {
        let path = bench.path("parts").join(format!("{NAME}.{number:03}"));
        let (mut header, content) = apart(&std::fs::read(&path).unwrap());
        header["set"]["manifest"] = json!("0".repeat(64));
        std::fs::write(&path, part(&text(&header), &content)).unwrap();
    }
    let (code, id, words) = bench.refused(&["join", "parts", "--out", "out.ggb"]);
    assert_eq!((code, id.as_str()), (13, "GG-BUNDLE-146"), "{words}");
    assert!(!bench.path("out.ggb").exists() && !bench.path("out.ggb.part").exists());
    // Read in place, it is the bundle's own signature that counts.
    bench.does(&["verify", "parts", "--public-key", &line]);
}
