//! Digests. SHA-256 alone names a thing, so that it is the same everywhere; BLAKE3 finds damage faster, never alone.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256, digest};

/// SHA-256 of `content`.
pub fn sha256(content: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, content).as_ref());
    bytes
}

/// SHA-256 of `content` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(content: &[u8]) -> String {
    hex(&sha256(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a String has no way to fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of what comes in pieces.
#[derive(Clone)]
pub struct Sha256(Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sha256 {
    /// Takes the next piece in.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces, as [`sha256_hex`] writes it.
    pub fn finish_hex(self) -> String {
        hex(&self.finish())
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }
}

/// BLAKE3 of `content`.
pub fn blake3(content: &[u8]) -> [u8; 32] {
    *blake3::hash(content).as_bytes()
}

/// BLAKE3 of what comes in pieces. Pieces of 128 KiB and more let it use all of the processor's lanes.
#[derive(Clone, Default)]
pub struct Blake3(blake3::Hasher);

impl Blake3 {
    /// Takes the next piece in.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// Compares two byte strings in a time that depends on their lengths alone.
pub fn is_same(one: &[u8], two: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, two).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_the_published_one() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn pieces_give_the_digest_of_the_whole() {
        let mut hash = Sha256::default();
        hash.update(b"a");
        hash.update(b"");
        hash.update(b"bc");
        assert_eq!(hash.finish(), sha256(b"abc"));
    }

    #[test]
    fn blake3_of_nothing_and_of_pieces_is_the_published_one() {
        assert_eq!(hex(&blake3(b"")), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        let mut hash = Blake3::default();
        hash.update(b"a");
        hash.update(b"bc");
        assert_eq!(hash.finish(), blake3(b"abc"));
    }

    #[test]
    fn only_equal_texts_are_the_same() {
        assert!(is_same(b"abc", b"abc"));
        assert!(!is_same(b"abc", b"abd"));
        assert!(!is_same(b"abc", b"ab"));
    }
}
