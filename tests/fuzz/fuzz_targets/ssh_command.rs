//! The command line of an SSH client.
#![no_main]

#[path = "checks/ssh_command.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
