//! Digests as they stand in a manifest: 64 lower-case hexadecimal digits, and nothing else.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! digests {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads what [`fmt::Display`] writes.
            pub fn parse(text: &str) -> Option<Self> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 64 lower-case hexadecimal digits"))
            }
        }
    )*};
}

digests! {
    /// A SHA-256: of a file's content, of a layer's tar, of a frame's bytes.
    Digest;
    /// A BLAKE3, beside the SHA-256 of the same frame.
    Blake3;
}

impl Digest {
    /// The digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(vault::digest::sha256(content))
    }

    /// As the OCI and Docker write it: `sha256:` before the digits.
    pub fn named(&self) -> String {
        format!("sha256:{self}")
    }

    /// Reads what [`Self::named`] writes.
    pub fn parse_named(text: &str) -> Option<Self> {
        Self::parse(text.strip_prefix("sha256:")?)
    }
}

impl Blake3 {
    /// The digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(vault::digest::blake3(content))
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digit = |sign: u8| match sign {
        b'0'..=b'9' => Some(sign - b'0'),
        b'a'..=b'f' => Some(sign - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, signs) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = signs else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_it_is_read_and_in_no_other_form() {
        let text = Digest::of(b"abc").to_string();
        assert_eq!(Digest::parse(&text), Some(Digest::of(b"abc")));
        assert_eq!(Digest::parse_named(&Digest::of(b"abc").named()), Some(Digest::of(b"abc")));
        let wrong =
            [text.to_uppercase(), format!("{text}0"), text[1..].into(), format!("+{}", &text[1..]), "é".repeat(32)];
        for wrong in wrong {
            assert_eq!(Digest::parse(&wrong), None, "{wrong}");
        }
    }
}
