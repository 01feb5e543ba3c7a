//! What a push sends before its pack.
#![no_main]

#[path = "checks/push_request.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
