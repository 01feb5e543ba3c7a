//! The fuzzer's corpora of what Git clients send, through the checks that the fuzzer makes.

use std::path::Path;

#[path = "../../../tests/fuzz/fuzz_targets/checks/fetch_request.rs"]
mod fetch_request;
#[path = "../../../tests/fuzz/fuzz_targets/checks/push_request.rs"]
mod push_request;

#[test]
fn no_push_request_names_what_is_no_ref() {
    walk("push_request", push_request::holds);
}

#[test]
fn no_fetch_is_answered_here_that_is_not_whole() {
    walk("fetch_request", fetch_request::holds);
    let clone = std::fs::read(folder("fetch_request").join("clone")).unwrap();
    assert_eq!(git::upload::understood(&clone), Some(clone.len()), "the corpus holds none that is answered");
}

/// Runs `check` over every text of a corpus, cut anywhere, and followed by any other.
fn walk(corpus: &str, check: fn(&[u8])) {
    let files = std::fs::read_dir(folder(corpus)).unwrap().flatten();
    let texts: Vec<_> = files.map(|entry| std::fs::read(entry.path()).unwrap()).collect();
    assert!(texts.len() >= 10, "{corpus}: {}", texts.len());
    for text in &texts {
        for end in 0..=text.len() {
            check(&text[..end]);
        }
        for other in &texts {
            check(&[text.as_slice(), other].concat());
        }
    }
}

fn folder(corpus: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(corpus)
}
