//! What comes back to the isolation probe: DNS, NTP, QUIC and HTTP, from whoever answers.
#![no_main]

#[path = "checks/packets.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
