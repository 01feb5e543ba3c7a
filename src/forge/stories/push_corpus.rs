//! The fuzzer's corpus of push requests, through the check that the fuzzer makes.

#[path = "../../../tests/fuzz/fuzz_targets/checks/push_request.rs"]
mod push_request;

#[test]
fn no_push_request_names_what_is_no_ref() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/push_request");
    let texts: Vec<_> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| std::fs::read(entry.path()).unwrap()).collect();
    assert!(texts.len() >= 10, "{}", texts.len());
    for text in &texts {
        for end in 0..=text.len() {
            push_request::holds(&text[..end]);
        }
        for other in &texts {
            push_request::holds(&[text.as_slice(), other].concat());
        }
    }
}
