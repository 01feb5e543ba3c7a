//! What stock `minisign` made, taken; what somebody changed in it, refused. The real program's turn is in `tests/it`.

use base::Secret;
use proptest::prelude::*;

use crate::minisign::{KeyId, MinisignError, PublicKey, SecretKey, Signature};

const MESSAGE: &[u8] = b"one line\n";
/// Made by minisign 0.11 with a key that was made for this test.
const PUBLIC: &str = "untrusted comment: minisign public key 3BFEB9523C49868A\n\
    RWSKhkk8Urn+O9vFG9jNduyqb0gYWCanouAlcwiw9sLDaWdO9F+Bwx6I\n";
const HASHED: &str = "untrusted comment: signature from minisign secret key\n\
    RUSKhkk8Urn+O2qoRaH7C3frw71t9l0CgyAfzWNe5ET0cI9Gi5VHq7POKkV4W5Pi2Pm8F5vfqEWu9LygSBB4/kZpjCN+6sa9+Qg=\n\
    trusted comment: bundle=a,seq=7\n\
    Y0ypCT97ZSR8cWQvkNr54bbW7TAx6Ku0Twi2uXONLZps6G94P7JnTfiEeSjVabl+fLNVJg0lXOSATWheVPfkCg==\n";
const PURE: &str = "untrusted comment: signature from minisign secret key\n\
    RWSKhkk8Urn+OzVvT7omciqXSYO/iddiks3vfRfKv9PttRTgBXFxJXHf7lXO7Vpcbv0gzGfb+Fl2DH+F5xU+8Qh9Ei/gYNvM8g0=\n\
    trusted comment: old way\n\
    6dPXRjFY18YhIEriqiziCSfxAKdG81M+cIqWqPLkTXsMVeKqQU8qMmqU41hVvzY5A4YnwVY+TIOF6j/G9M6IAQ==\n";

#[test]
fn both_kinds_of_stock_signatures_are_taken() {
    let key = PublicKey::parse(PUBLIC).unwrap();
    for (text, comment) in [(HASHED, "bundle=a,seq=7"), (PURE, "old way")] {
        let signature = Signature::parse(text).unwrap();
        assert_eq!(key.verify(MESSAGE, &signature), Ok(()), "{comment}");
        assert_eq!(signature.trusted_comment(), comment);
        assert_eq!(signature.to_string(), text, "the same bytes again");
        assert_eq!(key.verify(b"another line\n", &signature), Err(MinisignError::Mismatch(key.id())));
        let carried = text.replace('\n', "\r\n");
        assert_eq!(Signature::parse(&carried).unwrap(), signature, "carried by a mail program");
    }
    assert_eq!(key.file(), PUBLIC);
    assert_eq!(key.id().to_string(), "3BFEB9523C49868A");
    assert_eq!(KeyId::parse("3BFEB9523C49868A"), Some(key.id()));
    assert_eq!(PublicKey::parse(&key.line()).unwrap(), key);
}

/// The untrusted comment alone may say anything.
#[test]
fn a_change_anywhere_that_counts_is_refused() {
    let key = PublicKey::parse(PUBLIC).unwrap();
    for text in [HASHED, PURE] {
        let start = text.find('\n').unwrap();
        for (place, sign) in text.char_indices().filter(|(place, _)| *place > start) {
            let mut changed = text.to_owned();
            let other = if sign == 'A' { "B" } else { "A" };
            changed.replace_range(place..place + sign.len_utf8(), other);
            let is_taken = Signature::parse(&changed).is_ok_and(|made| key.verify(MESSAGE, &made).is_ok());
            assert!(!is_taken, "{place}: {changed}");
        }
    }
}

#[test]
fn a_comment_of_another_signature_is_refused() {
    let key = PublicKey::parse(PUBLIC).unwrap();
    let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
    let (one, two) = (lines(HASHED), lines(PURE));
    let mixed = [one[0], one[1], two[2], two[3]].join("\n");
    assert_eq!(key.verify(MESSAGE, &Signature::parse(&mixed).unwrap()), Err(MinisignError::Comment(key.id())));
    // A pure signature read as a hashed one, and the other way round, signs something else.
    for (from, to) in [("RUSK", "RWSK"), ("RWSK", "RUSK")] {
        let text = if from == "RUSK" { HASHED } else { PURE };
        let signature = Signature::parse(&text.replacen(from, to, 1)).unwrap();
        assert_eq!(key.verify(MESSAGE, &signature), Err(MinisignError::Mismatch(key.id())));
    }
}

#[test]
fn what_is_no_signature_is_refused_with_a_reason() {
    let four = HASHED.lines().collect::<Vec<_>>();
    let without = |line: usize| [&four[..line], &four[line + 1..]].concat().join("\n");
    let long = format!("{HASHED}{}", "A".repeat(1 << 20));
    let cases = [
        String::new(),
        "\n\n\n\n".into(),
        without(0),
        without(3),
        format!("{HASHED}\n"),
        format!("{HASHED}more\n"),
        HASHED.replace("untrusted", "trusted"),
        HASHED.replace("\ntrusted comment: ", "\n"),
        HASHED.replace("RUSK", "RXSK"),
        HASHED.replace("+Qg=", "+Qg"),
        HASHED.replace("+Qg=", "+Qh="),
        HASHED.replace("seq=7", "seq=7\u{1b}[2J"),
        HASHED.replace("seq=7", "seq=7\rseq=8"),
        long,
    ];
    for case in cases {
        let error = Signature::parse(&case).expect_err(&case);
        assert!(matches!(error, MinisignError::Signature(_)), "{case}: {error}");
    }
    for case in ["", "RW", PUBLIC.trim_start_matches("untrusted"), HASHED, &PUBLIC.replace("RWSK", "RUSK")] {
        assert!(matches!(PublicKey::parse(case), Err(MinisignError::PublicKey(_))), "{case}");
    }
}

#[test]
fn a_signature_of_another_key_is_named_as_such() {
    let (one, other) = (SecretKey::generate(), SecretKey::generate());
    let signature = one.sign(MESSAGE, "").unwrap();
    let error = other.public().verify(MESSAGE, &signature).unwrap_err();
    assert_eq!(error, MinisignError::OtherKey { wanted: other.public().id(), found: one.public().id() });
}

#[test]
fn a_comment_of_two_lines_is_not_signed() {
    let key = SecretKey::generate();
    for comment in ["one\ntwo", "\u{1b}[2J", &"a".repeat(8193)] {
        assert_eq!(key.sign(MESSAGE, comment), Err(MinisignError::Sign));
    }
}

#[test]
fn a_key_comes_back_from_its_file_and_only_with_its_password() {
    let key = SecretKey::generate();
    let plain = key.file(None).unwrap();
    assert_eq!(SecretKey::parse(plain.expose(), None).unwrap().public(), key.public());
    let password = Secret::new("correct horse".to_owned());
    let file = key.file(Some(&password)).unwrap();
    assert_eq!(SecretKey::is_encrypted(file.expose()), Ok(true));
    assert_eq!(SecretKey::parse(file.expose(), Some(&password)).unwrap().public(), key.public());
    assert_eq!(SecretKey::parse(file.expose(), None).unwrap_err(), MinisignError::Encrypted);
    let wrong = Secret::new("correct horse ".to_owned());
    assert_eq!(SecretKey::parse(file.expose(), Some(&wrong)).unwrap_err(), MinisignError::Password);
}

/// With the public half of another key, two signatures over one text would give the secret half away.
#[test]
fn a_key_whose_halves_were_mixed_is_refused() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let [one, other] = [SecretKey::generate(), SecretKey::generate()].map(|key| {
        let text = key.file(None).unwrap();
        STANDARD.decode(text.expose().lines().nth(1).unwrap()).unwrap()
    });
    let mixed = [&one[..94], &other[94..126], &one[126..]].concat();
    let text = format!("untrusted comment: x\n{}\n", STANDARD.encode(&mixed));
    let error = SecretKey::parse(&text, None).unwrap_err();
    assert_eq!(error, MinisignError::SecretKey("its two halves do not belong together"));
    for end in [0, 1, 38, 54, 157] {
        let text = format!("untrusted comment: x\n{}\n", STANDARD.encode(&one[..end]));
        assert!(SecretKey::parse(&text, None).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_answer_and_never_a_panic(text: String, bytes: Vec<u8>) {
        let text = format!("{text}{}", String::from_utf8_lossy(&bytes));
        let _ = (PublicKey::parse(&text), SecretKey::parse(&text, None), Signature::parse(&text));
    }

    #[test]
    fn what_is_signed_verifies(message: Vec<u8>, comment in "[ -~é]{0,80}") {
        let key = SecretKey::generate();
        let signature = key.sign(&message, &comment).unwrap();
        let read = Signature::parse(&signature.to_string()).unwrap();
        prop_assert_eq!(key.public().verify(&message, &read), Ok(()));
    }
}
