//! Keys and signatures as somebody else wrote them.
#![no_main]

#[path = "checks/minisign.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
