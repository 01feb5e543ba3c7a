//! `.env` files, through both readers and the migration.
#![no_main]

#[path = "checks/env_file.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
