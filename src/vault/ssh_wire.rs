//! The SSH wire format: strings with a length before them, and numbers as such strings. Reads strictly and copies
//! nothing; a length that reaches past the end is refused.
//!
//! RFC 4251, section 5.

/// Reads one value after another from a blob.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(blob: &'a [u8]) -> Self {
        Self(blob)
    }

    /// The next string; `None` when the blob ends before it does.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(string)
    }

    /// The next number, which must be positive and written in its one shortest form, without the sign byte.
    pub(crate) fn number(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Some(rest),
            [0, ..] | [] => None,
            [first, ..] if first & 0x80 != 0 => None,
            number => Some(number),
        }
    }

    /// What was not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Says whether everything was read.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a string with its length. A text over 4 GiB is cut; none of ours is.
pub(crate) fn put(blob: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    blob.extend(length.to_be_bytes());
    blob.extend(string.iter().take(length as usize));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_past_the_end_is_refused() {
        for blob in [&b""[..], b"\0\0\0", b"\0\0\0\x05abcd", b"\xff\xff\xff\xffa"] {
            assert_eq!(Reader::new(blob).string(), None, "{blob:?}");
        }
    }

    #[test]
    fn numbers_have_one_form() {
        for blob in [&b"\0\0\0\0"[..], b"\0\0\0\x01\0", b"\0\0\0\x02\0\x7f", b"\0\0\0\x01\x80"] {
            assert_eq!(Reader::new(blob).number(), None, "{blob:?}");
        }
        assert_eq!(Reader::new(b"\0\0\0\x02\0\x80").number(), Some(&b"\x80"[..]));
        assert_eq!(Reader::new(b"\0\0\0\x03\x01\0\x01").number(), Some(&b"\x01\0\x01"[..]));
    }

    #[test]
    fn what_is_put_reads_back() {
        let mut blob = Vec::new();
        put(&mut blob, b"one");
        put(&mut blob, b"");
        let mut reader = Reader::new(&blob);
        assert_eq!((reader.string(), reader.string(), reader.is_at_end()), (Some(&b"one"[..]), Some(&b""[..]), true));
    }
}
