//! The bodies of Git LFS requests, and their ranges.
#![no_main]

#[path = "checks/lfs_json.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
