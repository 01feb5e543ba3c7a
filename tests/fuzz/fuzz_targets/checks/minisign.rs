//! What must hold of every text of a key or a signature: it is refused, or it is written again as the same thing. Run by the
//! fuzzer, and over the committed corpus by the ordinary tests.

use vault::minisign::{PublicKey, SecretKey, Signature};

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(signature) = Signature::parse(&text) {
        assert!(!signature.trusted_comment().contains(|sign: char| sign.is_control() && sign != '\t'));
        assert_eq!(Signature::parse(&signature.to_string()).as_ref(), Ok(&signature));
        let other = SecretKey::generate();
        assert!(other.public().verify(bytes, &signature).is_err());
    }
    if let Ok(key) = PublicKey::parse(&text) {
        assert_eq!(PublicKey::parse(&key.file()).as_ref(), Ok(&key));
        assert_eq!(PublicKey::parse(&key.line()).as_ref(), Ok(&key));
    }
    // Without a password: one that is asked for costs seconds, as it should.
    if let Ok(key) = SecretKey::parse(&text, None) {
        let written = key.file(None).map(|text| SecretKey::parse(text.expose(), None).map(|key| key.public().clone()));
        assert_eq!(written, Ok(Ok(key.public().clone())));
    }
}
