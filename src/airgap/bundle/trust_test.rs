//! Enough of the right keys, and nothing older: by table.

use base::clock::Timestamp;
use base64::Engine;
use vault::minisign::{self, SecretKey};

use super::Signature;
use super::trust::{MOST, Trust, TrustError};
use super::trust_file::TrustFile;

const MANIFEST: &[u8] = br#"{"format":1,"sequence":7,"name":"gitgrit"}"#;

fn keys<const N: usize>() -> [SecretKey; N] {
    std::array::from_fn(|_| SecretKey::generate())
}

fn trust(keys: &[&SecretKey], threshold: usize) -> Trust {
    Trust::new(keys.iter().map(|key| key.public().clone()).collect(), threshold).unwrap()
}

/// Signatures as they lie beside a file.
fn beside(bytes: &[u8], keys: &[&SecretKey]) -> Vec<minisign::Signature> {
    keys.iter().map(|key| key.sign(bytes, "seq=7").unwrap()).collect()
}

/// Signatures as they lie in a bundle.
fn signed(bytes: &[u8], keys: &[&SecretKey]) -> Vec<Signature> {
    beside(bytes, keys).iter().map(|signature| Signature::take(&signature.to_string()).unwrap()).collect()
}

#[test]
fn as_many_keys_as_asked_for_must_have_signed() {
    let [a, b, c, stranger] = &keys();
    let two = trust(&[a, b, c], 2);
    let cases: [(&[&SecretKey], Result<usize, &str>); 8] = [
        (&[], Err("GG-BUNDLE-102")),
        (&[a], Err("GG-BUNDLE-102")),
        (&[a, a, a], Err("GG-BUNDLE-102")),
        (&[a, stranger], Err("GG-BUNDLE-102")),
        (&[a, c], Ok(2)),
        (&[c, a, b], Ok(3)),
        (&[stranger, b, c, b], Ok(2)),
        (&[a; MOST + 1], Err("GG-BUNDLE-104")),
    ];
    for (by, expected) in cases {
        let found = two.judge(MANIFEST, &signed(MANIFEST, by));
        let found = found.map(|signed| signed.by.len()).map_err(|error| error.id());
        assert_eq!(found, expected, "{by:?}");
    }
    let found = two.judge(MANIFEST, &signed(MANIFEST, &[stranger, a, b])).unwrap();
    assert_eq!((found.strangers, found.sequence), (vec![stranger.public().id()], 7));
}

/// The name of a key is its holder's to choose: one key under two names would be two of three.
#[test]
fn one_key_under_another_name_does_not_count_again() {
    let [a, b] = &keys();
    let mut blob = base64::engine::general_purpose::STANDARD.decode(a.public().line()).unwrap();
    blob[2] ^= 1;
    let other = minisign::PublicKey::parse(&base64::engine::general_purpose::STANDARD.encode(blob)).unwrap();
    assert!(other != *a.public() && other.is_same_key(a.public()) && !other.is_same_key(b.public()));
    let refused = Trust::new(vec![a.public().clone(), b.public().clone(), other], 2).unwrap_err();
    assert_eq!(refused.id(), "GG-BUNDLE-107", "{refused}");
}

/// A signature that a trusted key should have made and did not is never passed over.
#[test]
fn a_broken_signature_is_refused_even_beside_enough_good_ones() {
    let [a, b] = &keys();
    let mut signatures = signed(MANIFEST, &[a]);
    signatures.extend(signed(b"another", &[b]));
    let error = trust(&[a, b], 1).judge(MANIFEST, &signatures).unwrap_err();
    assert!(matches!(error, TrustError::Broken { key, .. } if key == b.public().id()), "{error}");
}

#[test]
fn an_older_bundle_is_refused_and_the_same_one_is_not() {
    let [a] = &keys();
    let signatures = signed(MANIFEST, &[a]);
    for (least, is_taken) in [(0, true), (7, true), (8, false), (u64::MAX, false)] {
        let found = trust(&[a], 1).not_before(least).judge(MANIFEST, &signatures);
        assert_eq!(found.is_ok(), is_taken, "{least}");
        if let Err(error) = found {
            assert_eq!(error.id(), "GG-BUNDLE-105");
        }
    }
    let without = br#"{"format":1}"#;
    let error = trust(&[a], 1).judge(without, &signed(without, &[a])).unwrap_err();
    assert_eq!(error.id(), "GG-BUNDLE-106");
}

#[test]
fn an_expired_bundle_is_told_and_taken() {
    let [a] = &keys();
    let manifest = br#"{"sequence":1,"expires":86400}"#;
    let found = trust(&[a], 1).judge(manifest, &signed(manifest, &[a])).unwrap();
    let at = |days: i64| found.warning(Timestamp(0).plus_seconds(days * 86_400));
    assert_eq!(at(0), None);
    assert!(at(3).unwrap().contains("2 days ago"));
}

#[test]
fn lists_of_keys_are_read_or_refused_with_a_reason() {
    let [a, b] = &keys();
    let (one, two) = (a.public().line(), b.public().line());
    let good = [(one.clone(), 1), (format!("2:{one},{two}"), 2), (format!(" 1: {one} , {two} "), 1)];
    for (list, threshold) in good {
        assert_eq!(Trust::parse_list(&list).unwrap().threshold(), threshold, "{list}");
    }
    let many = vec![one.as_str(); MOST + 1].join(",");
    for list in
        ["", "1:", ":", &format!("0:{one}"), &format!("2:{one}"), &format!("x:{one}"), &format!("{one},{one}"), &many]
    {
        let error = Trust::parse_list(list).unwrap_err();
        assert_eq!(error.id(), "GG-BUNDLE-107", "{list}");
    }
}

fn file(sequence: u64, threshold: usize, keys: &[&SecretKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!(r#"{{"name":"n","key":"{}"}}"#, key.public().line())).collect();
    format!(r#"{{"format":1,"sequence":{sequence},"threshold":{threshold},"keys":[{}]}}"#, keys.join(","))
}

#[test]
fn a_trust_file_is_replaced_only_by_enough_old_and_enough_new_keys() {
    let [a, b, c, d] = &keys();
    let old = TrustFile::parse(file(3, 2, &[a, b, c]).as_bytes()).unwrap();
    let next = file(4, 2, &[c, d]);
    let cases: [(&[&SecretKey], bool); 6] = [
        (&[], false),
        (&[c, d], false),
        (&[a, b], false),
        (&[a, b, d], false),
        (&[a, c, d], true),
        (&[a, b, c, d], true),
    ];
    for (by, is_taken) in cases {
        let found = old.successor(next.as_bytes(), &beside(next.as_bytes(), by));
        assert_eq!(found.is_ok(), is_taken, "{by:?}: {found:?}");
    }
    for sequence in [0, 3] {
        let older = file(sequence, 1, &[a, b]);
        let error = old.successor(older.as_bytes(), &beside(older.as_bytes(), &[a, b])).unwrap_err();
        assert_eq!(error.id(), "GG-BUNDLE-108");
    }
    let by_others = beside(b"another file", &[a, c, d]);
    assert!(old.successor(next.as_bytes(), &by_others).is_err());
}

#[test]
fn what_is_no_trust_file_is_refused() {
    let [a] = &keys();
    let good = file(1, 1, &[a]);
    assert_eq!(TrustFile::parse(good.as_bytes()).unwrap().names().count(), 1);
    let cases = [
        String::new(),
        good.replace("\"format\":1", "\"format\":2"),
        good.replace("\"sequence\":1", "\"sequence\":-1"),
        good.replace("\"sequence\":1,", ""),
        good.replace("\"threshold\":1", "\"threshold\":0"),
        good.replace("\"threshold\":1", "\"threshold\":1,\"more\":1"),
        good.replace("\"n\"", "\"\\u001b[2J\""),
        good.replace("RW", "RX"),
        file(1, 1, &[a, a]),
        file(1, 1, &[]),
    ];
    for case in cases {
        let error = TrustFile::parse(case.as_bytes()).expect_err(&case);
        assert_eq!(error.id(), "GG-BUNDLE-107", "{case}");
    }
}
