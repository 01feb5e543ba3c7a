//! Keys, ciphers, passwords, tokens and the site's certificate authority.
//! Holds no state, touches no disk and no socket: bytes in, bytes out. Secrets go in and out as `Secret`.

pub mod authority;
mod cbor;
pub mod digest;
pub mod fernet;
pub mod minisign;
mod minisign_secret;
#[cfg(test)]
mod minisign_test;
pub mod password;
pub mod random;
pub mod ssh_key;
mod ssh_pair;
pub mod ssh_signature;
mod ssh_wire;
pub mod totp;
pub mod webauthn;
