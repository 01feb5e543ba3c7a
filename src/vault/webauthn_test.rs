//! The verifier against the vectors of the specification (Web Authentication level 3, section 16: ES256 without
//! attestation, Ed25519), and against everything that must not pass.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

use super::WebauthnError::{Context, Form, Presence, Signature, Site};
use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

struct Vector {
    create: &'static str,
    attestation: &'static str,
    create_challenge: &'static str,
    get: &'static str,
    data: &'static str,
    signature: &'static str,
    get_challenge: &'static str,
}

const ES256_VECTOR: Vector = Vector {
    create: "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d",
    attestation: "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
    create_challenge: "00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130",
    get: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
    data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
    signature: "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
    get_challenge: "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
};

/// Only what is judged of it: the key, and what it signed.
const ED25519_KEY: &str = "a401010327200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832";
const ED25519_DATA: &str = "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000";
const ED25519_CLIENT: &str = "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c596f7870557439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d";
const ED25519_SIGNATURE: &str = "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b";
const ED25519_CHALLENGE: &str = "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2";

fn at_example(challenge: &[u8]) -> Ceremony<'_> {
    Ceremony { site: "example.org", origin: "https://example.org", challenge }
}

fn registered() -> Credential {
    let challenge = bytes(ES256_VECTOR.create_challenge);
    at_example(&challenge).register(&bytes(ES256_VECTOR.create), &bytes(ES256_VECTOR.attestation)).unwrap()
}

#[test]
fn the_published_registration_and_assertion_of_es256_hold() {
    let credential = registered();
    assert_eq!((credential.id.len(), credential.counter), (32, 0));
    let (client, data) = (bytes(ES256_VECTOR.get), bytes(ES256_VECTOR.data));
    let signature = bytes(ES256_VECTOR.signature);
    let sent = Assertion { client_data: &client, authenticator_data: &data, signature: &signature };
    let challenge = bytes(ES256_VECTOR.get_challenge);
    assert_eq!(at_example(&challenge).assert(&credential.public_key, 0, &sent), Ok(0));
}

#[test]
fn the_published_assertion_of_ed25519_holds() {
    let (key, client) = (bytes(ED25519_KEY), bytes(ED25519_CLIENT));
    let (data, signature) = (bytes(ED25519_DATA), bytes(ED25519_SIGNATURE));
    let challenge = bytes(ED25519_CHALLENGE);
    let sent = Assertion { client_data: &client, authenticator_data: &data, signature: &signature };
    assert_eq!(at_example(&challenge).assert(&key, 0, &sent), Ok(0));
    assert_eq!(at_example(&challenge).assert(&key, 1, &sent), Err(WebauthnError::Counter));
}

#[test]
fn what_was_made_for_another_page_site_or_moment_is_refused() {
    let key = registered().public_key;
    let (client, data) = (bytes(ES256_VECTOR.get), bytes(ES256_VECTOR.data));
    let signature = bytes(ES256_VECTOR.signature);
    let challenge = bytes(ES256_VECTOR.get_challenge);
    let right = at_example(&challenge);
    let sent = Assertion { client_data: &client, authenticator_data: &data, signature: &signature };
    let text = String::from_utf8(client.clone()).unwrap();
    let framed = text.replace("false", "true").into_bytes();
    let created = text.replace("webauthn.get", "webauthn.create").into_bytes();
    let twice = text.replace("{\"type\"", "{\"type\":\"x\",\"type\"").into_bytes();
    let (mut absent, mut attested, mut flipped) = (data.clone(), data.clone(), signature.clone());
    absent[32] &= !PRESENT;
    attested[32] |= ATTESTED;
    flipped[20] ^= 1;
    let longer = [&data[..], b"x"].concat();
    for (name, ceremony, sent, expected) in [
        ("challenge", at_example(b"another"), sent, Context),
        ("no challenge", at_example(b""), sent, Context),
        ("origin", Ceremony { origin: "https://example.org:8443", ..right }, sent, Context),
        ("site", Ceremony { site: "evil.example", ..right }, sent, Site),
        ("frame", right, Assertion { client_data: &framed, ..sent }, Context),
        ("purpose", right, Assertion { client_data: &created, ..sent }, Context),
        ("a name twice", right, Assertion { client_data: &twice, ..sent }, Form),
        ("no json", right, Assertion { client_data: b"{", ..sent }, Form),
        ("presence", right, Assertion { authenticator_data: &absent, ..sent }, Presence),
        ("attested", right, Assertion { authenticator_data: &attested, ..sent }, Form),
        ("longer", right, Assertion { authenticator_data: &longer, ..sent }, Form),
        ("cut", right, Assertion { authenticator_data: &data[..36], ..sent }, Form),
        ("signature", right, Assertion { signature: &flipped, ..sent }, Signature),
        ("no signature", right, Assertion { signature: b"", ..sent }, Signature),
    ] {
        assert_eq!(ceremony.assert(&key, 0, &sent), Err(expected), "{name}");
    }
}

/// RSA keys are rare; the specification's own vector is long, so this one signs for itself. Its counter grows.
#[test]
fn an_rsa_key_signs_and_a_counter_that_does_not_grow_is_refused() {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let parts = pair.public_key();
    let (n, e) =
        (parts.modulus().big_endian_without_leading_zero(), parts.exponent().big_endian_without_leading_zero());
    let mut key = b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00".to_vec();
    key.extend(n);
    key.extend([0x21, 0x40 | u8::try_from(e.len()).unwrap()]);
    key.extend(e);
    let client = bytes(ES256_VECTOR.get);
    let challenge = bytes(ES256_VECTOR.get_challenge);
    let data = [&digest::sha256(b"example.org")[..], &[PRESENT | 4], &7_u32.to_be_bytes()].concat();
    let mut signature = vec![0; pair.public_modulus_len()];
    let message = [&data[..], &digest::sha256(&client)].concat();
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).unwrap();
    let sent = Assertion { client_data: &client, authenticator_data: &data, signature: &signature };
    let ceremony = at_example(&challenge);
    assert_eq!(ceremony.assert(&key, 6, &sent), Ok(7));
    for known in [7, 8, u32::MAX] {
        assert_eq!(ceremony.assert(&key, known, &sent), Err(WebauthnError::Counter), "{known}");
    }
    assert!(pair.as_der().is_ok());
}

#[test]
fn a_registration_that_is_cut_longer_or_of_an_unknown_algorithm_is_refused() {
    let challenge = bytes(ES256_VECTOR.create_challenge);
    let ceremony = at_example(&challenge);
    let (client, whole) = (bytes(ES256_VECTOR.create), bytes(ES256_VECTOR.attestation));
    for length in 0..whole.len() {
        assert!(ceremony.register(&client, &whole[..length]).is_err(), "{length}");
    }
    assert!(ceremony.register(&client, &[&whole[..], b"\0"].concat()).is_err());
    // ES256K in place of ES256.
    let other = ES256_VECTOR.attestation.replace("0102032620", "0102033820");
    assert!(ceremony.register(&client, &bytes(&other)).is_err());
    let asserted = bytes(ES256_VECTOR.get);
    assert_eq!(ceremony.register(&asserted, &whole), Err(WebauthnError::Context));
}
