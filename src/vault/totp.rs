//! Codes that an authenticator app shows, by time (RFC 6238: HMAC-SHA-1, six digits, thirty seconds, which is what every
//! app knows). Never says how near a wrong code was, and takes as long for a wrong one as for a right one.

use std::fmt::Write;

use aws_lc_rs::hmac;
use base::Secret;
use base::clock::Timestamp;

use crate::{digest, random};

/// Seconds for which one code is shown (RFC 6238, section 4.1).
const PERIOD: i64 = 30;
/// Codes are below this.
const CODES: u32 = 1_000_000;
/// Steps before and after the present one whose codes are taken: clocks differ.
const SLACK: i64 = 1;
/// RFC 4648, section 6.
const SIGNS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A fresh secret: 160 bits, as RFC 4226 recommends.
pub fn secret() -> [u8; 20] {
    random::bytes()
}

/// The step whose code was typed, when it is one of those around `now`. The caller takes each step once.
pub fn matching_step(secret: &[u8], typed: &str, now: Timestamp) -> Option<i64> {
    let present = now.seconds().div_euclid(PERIOD);
    let mut found = None;
    for step in present - SLACK..=present + SLACK {
        // Every step is compared, so that time tells nothing.
        if digest::is_same(code(secret, step).as_bytes(), typed.as_bytes()) {
            found = Some(step);
        }
    }
    found
}

/// The code of one step, six digits.
pub fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let part = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    format!("{:06}", (u32::from_be_bytes(part) & 0x7fff_ffff) % CODES)
}

/// The step that `now` is in.
pub const fn step(now: Timestamp) -> i64 {
    now.seconds().div_euclid(PERIOD)
}

/// A secret as people type it: base32 without padding.
pub fn as_text(secret: &[u8]) -> Secret<String> {
    let mut text = String::with_capacity(secret.len().div_ceil(5) * 8);
    for group in secret.chunks(5) {
        let mut bits = [0; 8];
        for (place, byte) in bits.iter_mut().skip(3).zip(group) {
            *place = *byte;
        }
        let bits = u64::from_be_bytes(bits);
        for place in 0..(group.len() * 8).div_ceil(5) {
            let sign = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or_default();
            text.extend(SIGNS.get(sign).map(|sign| char::from(*sign)));
        }
    }
    Secret::new(text)
}

/// The address that apps read from a QR code: who shows it (`issuer`), for which account, and the secret.
pub fn address(secret: &[u8], issuer: &str, account: &str) -> Secret<String> {
    let (issuer, account) = (encoded(issuer), encoded(account));
    let secret = as_text(secret);
    Secret::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={PERIOD}",
        secret.expose()
    ))
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String has no way to fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    /// RFC 4226, appendix D.
    #[test]
    fn codes_are_those_of_the_published_counters() {
        let expected =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (step, expected) in (0..).zip(expected) {
            assert_eq!(code(SECRET, step), expected, "{step}");
        }
    }

    /// RFC 6238, appendix B, the last six of eight digits.
    #[test]
    fn codes_are_those_of_the_published_times() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, step(at(seconds))), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_and_late_and_no_further() {
        let present = step(at(1_111_111_109));
        for (away, is_taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let found = matching_step(SECRET, &code(SECRET, present + away), at(1_111_111_109));
            assert_eq!(found, is_taken.then_some(present + away), "{away}");
        }
        for typed in ["", "81804", "0818040", "08180x", "081 804"] {
            assert_eq!(matching_step(SECRET, typed, at(1_111_111_109)), None, "{typed}");
        }
    }

    /// RFC 4648, section 10.
    #[test]
    fn texts_are_base32_as_published() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(as_text(bytes.as_bytes()).expose(), text);
        }
    }

    #[test]
    fn an_address_holds_names_encoded() {
        let address = address(SECRET, "forge.acme", "a b&c");
        assert!(address.expose().starts_with(
            "otpauth://totp/forge.acme:a%20b%26c?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=forge.acme&"
        ));
    }
}
