//! Answers from GITLAB_URL, and values of it.
#![no_main]

#[path = "checks/gitlab.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
