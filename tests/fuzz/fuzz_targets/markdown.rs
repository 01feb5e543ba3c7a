//! Markdown that anybody may have written.
#![no_main]

#[path = "checks/markdown.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
