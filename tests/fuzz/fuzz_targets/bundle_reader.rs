//! Bundles: opening and verifying, and single frames that somebody signed.
#![no_main]

#[path = "checks/bundle_reader.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
