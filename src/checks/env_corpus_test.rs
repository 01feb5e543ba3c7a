//! The fuzzer's corpus of `.env` files, through the same check that the fuzzer makes.

use std::path::Path;

#[path = "../../tests/fuzz/fuzz_targets/checks/env_file.rs"]
mod check;

#[test]
fn no_env_file_breaks_a_reader_or_loses_a_value() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/env_file");
    let texts: Vec<Vec<u8>> =
        std::fs::read_dir(&folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(texts.len() >= 10, "{} files", texts.len());
    for (index, text) in texts.iter().enumerate() {
        check::holds(text);
        for end in 0..text.len().min(400) {
            check::holds(&text[..end]);
            check::holds(&text[end..]);
        }
        check::holds(&[text.as_slice(), &texts[(index + 1) % texts.len()]].concat());
        check::holds(&text.iter().map(|byte| byte ^ 0x20).collect::<Vec<_>>());
    }
}
