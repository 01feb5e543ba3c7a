//! Deltas and parts: opening them, and applying what opens.
#![no_main]

#[path = "checks/delta.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
