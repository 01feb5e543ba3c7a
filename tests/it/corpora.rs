//! The fuzzer's corpora, through the same checks that the fuzzer makes: what was once found stays found, on any
//! compiler. The checks of pushes and fetches run in the forge's own tests, beside what they check.

use std::path::Path;

use crate::tidy::root;

#[path = "../fuzz/fuzz_targets/checks/bundle_manifest.rs"]
mod bundle_manifest;
#[path = "../fuzz/fuzz_targets/checks/bundle_reader.rs"]
mod bundle_reader;
#[path = "../fuzz/fuzz_targets/checks/certificates.rs"]
mod certificates;
#[path = "../fuzz/fuzz_targets/checks/delta.rs"]
mod delta;
#[path = "../fuzz/fuzz_targets/checks/gitlab.rs"]
mod gitlab;
#[path = "../fuzz/fuzz_targets/checks/lfs_json.rs"]
mod lfs_json;
#[path = "../fuzz/fuzz_targets/checks/markdown.rs"]
mod markdown;
#[path = "../fuzz/fuzz_targets/checks/minisign.rs"]
mod minisign;
#[path = "../fuzz/fuzz_targets/checks/names.rs"]
mod names;
#[path = "../fuzz/fuzz_targets/checks/packets.rs"]
mod packets;
#[path = "../fuzz/fuzz_targets/checks/ssh_command.rs"]
mod ssh_command;

/// Runs `check` over every file of a corpus, and over what its files become when cut, doubled and joined.
fn walk(corpus: &str, check: fn(&[u8])) {
    let folder = root().join("tests/fuzz/corpus").join(corpus);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let texts: Vec<Vec<u8>> = files.flatten().map(|entry| read(&entry.path())).collect();
    assert!(texts.len() >= 10, "{} has {} files", folder.display(), texts.len());
    for (index, text) in texts.iter().enumerate() {
        check(text);
        check(&text[..text.len() / 2]);
        check(&text[text.len() / 2..]);
        check(&[text.as_slice(), text].concat());
        check(&[text.as_slice(), &texts[(index + 1) % texts.len()]].concat());
        check(&text.iter().map(|byte| byte ^ 0x20).collect::<Vec<_>>());
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn no_name_that_parses_is_an_option_or_a_way_up() {
    walk("names", names::holds);
}

#[test]
fn no_body_of_git_lfs_names_what_is_no_object() {
    walk("lfs_json", lfs_json::holds);
}

#[test]
fn no_markdown_runs_or_takes_for_ever() {
    walk("markdown", markdown::holds);
}

#[test]
fn no_ssh_command_is_more_than_one_of_ours() {
    walk("ssh_command", ssh_command::holds);
}

#[test]
fn no_file_of_certificates_goes_without_a_verdict() {
    walk("certificates", certificates::holds);
}

#[test]
fn no_text_of_a_key_or_a_signature_is_read_two_ways() {
    walk("minisign", minisign::holds);
}

#[test]
fn no_bytes_are_a_bundle_that_does_not_read_back() {
    walk("bundle_reader", bundle_reader::holds);
}

#[test]
fn no_manifest_is_read_that_is_not_written_the_same() {
    walk("bundle_manifest", bundle_manifest::holds);
}

#[test]
fn no_delta_makes_what_its_manifest_does_not_say() {
    walk("delta", delta::holds);
}

#[test]
fn no_packet_is_more_than_the_answer_to_what_was_asked() {
    walk("packets", packets::holds);
}

#[test]
fn nothing_but_a_gitlab_is_one_and_no_password_of_its_address_is_shown() {
    walk("gitlab", gitlab::holds);
}
