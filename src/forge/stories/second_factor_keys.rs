//! Security keys, with a key made here that signs as a real one does: added, used, and refused when copied or replayed.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::{Error, KeyAnswer, KeyQuestion, SecondFactor, SignIn, SignedIn, Waiting};

const ORIGIN: &str = "https://forge.acme.internal:8828";

/// A key that lives in the test.
struct SoftKey {
    pair: Ed25519KeyPair,
    id: Vec<u8>,
}

impl SoftKey {
    fn new(id: &[u8]) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self { pair, id: id.to_vec() }
    }

    fn client_data(kind: &str, challenge: &str, origin: &str) -> String {
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#)
    }

    fn head(flags: u8, counter: u32) -> Vec<u8> {
        let site = vault::digest::sha256(b"forge.acme.internal");
        [&site[..], &[flags], &counter.to_be_bytes()].concat()
    }

    /// What a browser sends of a new key, as the form's two fields.
    fn register(&self, question: &KeyQuestion, counter: u32) -> (String, String) {
        let mut data = Self::head(0x41, counter);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20");
        data.extend(self.pair.public_key().as_ref());
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).unwrap());
        attestation.extend(data);
        let client = Self::client_data("webauthn.create", &question.challenge, ORIGIN);
        (URL_SAFE_NO_PAD.encode(client), URL_SAFE_NO_PAD.encode(attestation))
    }

    fn answer(&self, question: &KeyQuestion, origin: &str, counter: u32) -> KeyAnswer {
        let client = Self::client_data("webauthn.get", &question.challenge, origin);
        let data = Self::head(0x01, counter);
        let signed = [&data[..], &vault::digest::sha256(client.as_bytes())].concat();
        KeyAnswer {
            credential: URL_SAFE_NO_PAD.encode(&self.id),
            client_data: URL_SAFE_NO_PAD.encode(client),
            authenticator_data: URL_SAFE_NO_PAD.encode(data),
            signature: URL_SAFE_NO_PAD.encode(self.pair.sign(&signed)),
        }
    }
}

/// Adds the key, and gives the actor's session after that.
async fn add(site: &Site, actor: &Actor, key: &SoftKey, name: &str) -> Actor {
    let asked = site.forge.begin_security_key(actor).await.unwrap();
    let (client, attestation) = key.register(&asked.question, 1);
    let done = site.forge.add_security_key(actor, name, &client, &attestation).await.unwrap();
    site.forge.session(&done.signed_in.token).await.unwrap().unwrap().actor
}

async fn begin(site: &Site) -> (Waiting, KeyQuestion) {
    let SignIn::Waiting(waiting) = site.forge.begin_sign_in("alice", &secret(PASSWORD), HOME, "").await.unwrap() else {
        panic!("signed in with the password alone");
    };
    let question = site.forge.waiting(&waiting.token).await.unwrap().unwrap().keys.unwrap();
    (waiting, question)
}

async fn finish(site: &Site, waiting: &Waiting, answer: &KeyAnswer) -> Result<SignedIn, Error> {
    site.forge.finish_sign_in(&waiting.token, SecondFactor::Key(answer), HOME, "").await
}

#[tokio::test]
async fn a_security_key_signs_in_and_its_answer_is_worth_nothing_after() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let key = SoftKey::new(b"first key");
    add(&site, &alice, &key, "blue").await;
    let (waiting, question) = begin(&site).await;
    assert_eq!((question.site.as_str(), question.known.len()), ("forge.acme.internal", 1));
    let answer = key.answer(&question, ORIGIN, 2);
    assert!(finish(&site, &waiting, &answer).await.is_ok());
    assert!(matches!(finish(&site, &waiting, &answer).await, Err(Error::SignInNeeded)), "the sign-in is over");
    let (next, _) = begin(&site).await;
    assert!(matches!(finish(&site, &next, &answer).await, Err(Error::SignInRefused)), "a replayed answer");
}

#[tokio::test]
async fn answers_of_another_origin_another_key_or_a_copied_key_are_refused() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let (key, others) = (SoftKey::new(b"first key"), SoftKey::new(b"bob's key"));
    add(&site, &alice, &key, "blue").await;
    add(&site, &bob, &others, "red").await;
    let (waiting, question) = begin(&site).await;
    assert!(finish(&site, &waiting, &key.answer(&question, ORIGIN, 7)).await.is_ok());
    let (waiting, question) = begin(&site).await;
    let forged = KeyAnswer { credential: URL_SAFE_NO_PAD.encode(&key.id), ..others.answer(&question, ORIGIN, 9) };
    for (name, answer) in [
        ("origin", key.answer(&question, "https://evil.example", 9)),
        ("another's key", others.answer(&question, ORIGIN, 9)),
        ("another's signature", forged),
        ("a counter that went back", key.answer(&question, ORIGIN, 7)),
    ] {
        assert!(matches!(finish(&site, &waiting, &answer).await, Err(Error::SignInRefused)), "{name}");
    }
    assert!(finish(&site, &waiting, &key.answer(&question, ORIGIN, 8)).await.is_ok());
}

#[tokio::test]
async fn a_new_key_is_taken_once_for_the_session_that_asked() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let key = SoftKey::new(b"first key");
    let asked = site.forge.begin_security_key(&alice).await.unwrap();
    let (client, attestation) = key.register(&asked.question, 0);
    let bob = site.user("bob").await;
    let refused = site.forge.add_security_key(&bob, "x", &client, &attestation).await;
    assert!(matches!(refused, Err(Error::Field { field: "key", .. })), "{refused:?}");
    site.clock.advance(5 * 60);
    let late = site.forge.add_security_key(&alice, "x", &client, &attestation).await;
    assert!(matches!(late, Err(Error::Field { field: "key", .. })), "{late:?}");
    let alice = add(&site, &alice, &key, "blue").await;
    let asked = site.forge.begin_security_key(&alice).await.unwrap();
    let (client, attestation) = key.register(&asked.question, 0);
    let twice = site.forge.add_security_key(&alice, "again", &client, &attestation).await;
    assert!(matches!(twice, Err(Error::Field { field: "key", .. })), "{twice:?}");
    assert_eq!(site.forge.second_factor(&alice).await.unwrap().keys.len(), 1);
}

#[tokio::test]
async fn keys_are_renamed_and_removed_by_their_owner_alone() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let alice = add(&site, &alice, &SoftKey::new(b"first key"), "blue").await;
    let id = site.forge.second_factor(&alice).await.unwrap().keys[0].id;
    assert!(matches!(site.forge.rename_security_key(&bob, id, "mine").await, Err(Error::NotFound)));
    assert!(matches!(site.forge.remove_security_key(&bob, id).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.rename_security_key(&alice, id, " ").await, Err(Error::Field { .. })));
    site.forge.rename_security_key(&alice, id, "green").await.unwrap();
    assert_eq!(site.forge.second_factor(&alice).await.unwrap().keys[0].name, "green");
    site.forge.remove_security_key(&alice, id).await.unwrap();
    assert!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.is_ok());
}

on_a_server_too! {
    a_security_key_signs_in_and_its_answer_is_worth_nothing_after,
    answers_of_another_origin_another_key_or_a_copied_key_are_refused,
    a_new_key_is_taken_once_for_the_session_that_asked,
    keys_are_renamed_and_removed_by_their_owner_alone,
}
