//! The file that crosses the gap: who may have signed it, and what is in it. Opens no socket.

pub mod trust;
pub mod trust_file;
#[cfg(test)]
mod trust_test;
