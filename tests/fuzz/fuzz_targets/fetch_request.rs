//! What a fetch or a look at refs sends over HTTP.
#![no_main]

#[path = "checks/fetch_request.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
