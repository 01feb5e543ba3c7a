//! Random bytes and texts, all from the one cryptographic generator. Never from a seed that somebody could know.

use base::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What [`text`] draws from. 62 signs, so that a text never needs quoting in a `.env`, a shell or a URL.
const SIGNS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// `N` random bytes.
///
/// # Panics
/// When the generator has no entropy; no key may be made then, and nothing could go on without one.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without entropy no secret may be made, and no caller can do without")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// A token that cannot be guessed: 32 random bytes as 43 characters of URL-safe base64.
pub fn token() -> Secret<String> {
    Secret::new(URL_SAFE_NO_PAD.encode(bytes::<32>()))
}

/// A random text of `length` letters and digits; 5.95 bits of randomness each.
pub fn text(length: usize) -> Secret<String> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 248 is the largest multiple of 62 in a byte; what lies above would make some signs likelier than others.
        let fair = bytes::<64>().into_iter().filter(|byte| *byte < 248);
        let signs = fair.filter_map(|byte| SIGNS.get(usize::from(byte) % SIGNS.len()));
        text.extend(signs.take(length - text.len()).map(|sign| char::from(*sign)));
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_every_sign_occurs() {
        for length in [0, 1, 63, 64, 65, 500] {
            assert_eq!(text(length).expose().len(), length);
        }
        let long = text(20_000);
        for sign in SIGNS {
            let count = long.expose().bytes().filter(|byte| byte == sign).count();
            assert!((200..460).contains(&count), "`{}` occurs {count} times", char::from(*sign));
        }
    }

    #[test]
    fn tokens_are_43_characters_and_differ() {
        let (one, two) = (token(), token());
        assert_eq!(one.expose().len(), 43);
        assert_ne!(one, two);
    }
}
