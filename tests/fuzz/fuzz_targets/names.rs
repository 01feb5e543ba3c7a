//! Names of owners, repositories, refs, objects and paths.
#![no_main]

#[path = "checks/names.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
