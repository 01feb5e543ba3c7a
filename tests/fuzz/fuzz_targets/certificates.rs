//! Certificates: PEM, DER, PKCS#7, and the verdicts about them.
#![no_main]

#[path = "checks/certificates.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::holds(bytes));
