//! Manifests of bundles.
#![no_main]

#[path = "checks/bundle_manifest.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
