//! A signature's file in the one form that it has inside a bundle. Reads its key's name and nothing more: whether it holds
//! is for [`super::trust`] to say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::BundleError;

/// The longest file, in bytes.
pub(crate) const LONGEST: u64 = 4096;
/// How many signatures a bundle may carry.
pub(crate) const MOST: usize = 16;

/// A minisign signature of the manifest. Its untrusted comment, which nothing protects, is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: String,
    text: String,
}

impl Signature {
    /// Takes any `.minisig` file. What its untrusted comment says is dropped, since no signature covers it.
    pub fn take(text: &str) -> Result<Self, BundleError> {
        let refused = BundleError::Signature;
        let text = text.replace("\r\n", "\n");
        let lines: Vec<_> = text.strip_suffix('\n').unwrap_or(&text).split('\n').collect();
        let [untrusted, signature, trusted, last] = lines.as_slice() else {
            return Err(refused("it does not have four lines"));
        };
        if !untrusted.starts_with("untrusted comment: ") || !trusted.starts_with("trusted comment: ") {
            return Err(refused("its comments are not where they belong"));
        }
        if text.len() as u64 > LONGEST || text.contains(|sign: char| sign.is_control() && sign != '\n' && sign != '\t')
        {
            return Err(refused("it is too long, or not plain text"));
        }
        let of_size = |line: &str, size| STANDARD.decode(line).ok().filter(|bytes| bytes.len() == size);
        let blob = of_size(signature, 74).ok_or(refused("its second line is not 74 bytes of base64"))?;
        of_size(last, 64).ok_or(refused("its fourth line is not 64 bytes of base64"))?;
        let id: [u8; 8] = blob.get(2..10).and_then(|id| id.try_into().ok()).ok_or(refused("it names no key"))?;
        let key = format!("{:016X}", u64::from_le_bytes(id));
        let text = format!("untrusted comment: signature by the key {key}\n{signature}\n{trusted}\n{last}\n");
        Ok(Self { key, text })
    }

    /// Takes a file of a bundle, which is in that form already.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let text = std::str::from_utf8(bytes).map_err(|_| BundleError::Signature("it is not plain text"))?;
        let found = Self::take(text)?;
        if found.text == text { Ok(found) } else { Err(BundleError::Signature("it is written in another way")) }
    }

    /// The key that it says to be by: 16 upper-case hexadecimal digits, as `minisign` shows it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The text of its `.minisig` file.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let blob = [b"ED".as_slice(), &[1, 2, 3, 4, 5, 6, 7, 8], &[9; 64]].concat();
        let (blob, last) = (STANDARD.encode(blob), STANDARD.encode([7; 64]));
        format!("untrusted comment: anything at all\n{blob}\ntrusted comment: x\n{last}\n")
    }

    #[test]
    fn the_untrusted_comment_is_dropped_and_the_key_is_named() {
        let taken = Signature::take(&sample()).unwrap();
        assert_eq!(taken.key(), "0807060504030201");
        assert!(!taken.text().contains("anything"));
        assert_eq!(Signature::take(&sample().replace('\n', "\r\n")).unwrap(), taken);
        assert_eq!(Signature::read(taken.text().as_bytes()).unwrap(), taken);
        assert!(Signature::read(sample().as_bytes()).is_err());
    }

    #[test]
    fn any_flipped_bit_of_its_form_is_noticed() {
        let written = Signature::take(&sample()).unwrap();
        let bytes = written.text().as_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            // What stays a signature is another one, and then it is the signature's check that fails.
            assert!(Signature::read(&changed).is_ok_and(|read| read != written) || Signature::read(&changed).is_err());
        }
    }
}
