//! The second step of a sign-in: nothing is open before it, no code is good twice, and nobody gets round it by another
//! door.

use vault::totp;

use super::*;
use crate::{Enrolment, Error, SecondFactor, SignIn, SignedIn, Waiting};

const AGENT: &str = "Firefox on Linux";

/// Signs in as far as the password goes.
async fn begin(site: &Site, name: &str) -> Waiting {
    match site.forge.begin_sign_in(name, &secret(PASSWORD), HOME, AGENT).await.unwrap() {
        SignIn::Waiting(waiting) => waiting,
        SignIn::Done(_) => panic!("signed in with the password alone"),
    }
}

async fn finish(site: &Site, waiting: &Waiting, code: &str) -> Result<SignedIn, Error> {
    let code = secret(code);
    site.forge.finish_sign_in(&waiting.token, SecondFactor::Code(&code), HOME, AGENT).await
}

/// The bytes of a secret from the text that a person types.
fn bytes(enrolment: &Enrolment) -> Vec<u8> {
    let signs = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let values = enrolment.text.expose().bytes().map(|sign| signs.iter().position(|known| *known == sign).unwrap());
    let bits: Vec<bool> = values.flat_map(|value| (0..5).rev().map(move |place| value >> place & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
}

fn now(site: &Site) -> i64 {
    totp::step(base::Clock::now(&*site.clock))
}

/// Sets an app up, and gives the actor's fresh session, the secret and the recovery codes.
pub(super) async fn with_app(site: &Site, actor: &Actor) -> (Actor, Vec<u8>, Vec<String>) {
    let key = bytes(&site.forge.begin_authenticator(actor).await.unwrap());
    let done = site.forge.confirm_authenticator(actor, &totp::code(&key, now(site))).await.unwrap();
    let actor = site.forge.session(&done.signed_in.token).await.unwrap().unwrap().actor;
    site.clock.advance(60);
    (actor, key, done.codes.iter().map(|code| code.expose().clone()).collect())
}

/// Public ids of the class: CVE-2019-11576 (signed in with one factor), CVE-2021-45327.
#[tokio::test]
async fn a_password_alone_opens_nothing_once_there_is_a_second_factor() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let token = site.token(&alice, true, None).await;
    let (_, key, _) = with_app(&site, &alice).await;
    let waiting = begin(&site, "alice").await;
    assert!(site.forge.session(&waiting.token).await.unwrap().is_none(), "it is no session");
    assert!(matches!(site.forge.basic("alice", &waiting.token, HOME).await, Err(Error::SignInRefused)));
    assert!(matches!(site.forge.basic("alice", &secret(PASSWORD), HOME).await, Err(Error::TokenNeeded)));
    assert!(matches!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await, Err(Error::TokenNeeded)));
    assert!(matches!(site.forge.basic("alice", &secret("wrong horse"), HOME).await, Err(Error::SignInRefused)));
    assert!(site.forge.basic("alice", &token, HOME).await.is_ok(), "tokens go on");
    let signed_in = finish(&site, &waiting, &totp::code(&key, now(&site))).await.unwrap();
    assert!(site.forge.session(&signed_in.token).await.unwrap().is_some());
    assert!(matches!(finish(&site, &waiting, &totp::code(&key, now(&site) + 1)).await, Err(Error::SignInNeeded)));
}

/// CVE-2021-45331, CVE-2026-20779: a code that was seen is worth nothing, also when two come at once.
#[tokio::test]
async fn a_code_is_taken_once_whoever_comes_first() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let (_, key, _) = with_app(&site, &alice).await;
    let code = totp::code(&key, now(&site));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (waiting, forge, code) = (begin(&site, "alice").await, site.forge.clone(), secret(&code));
        tasks.spawn(async move {
            forge.finish_sign_in(&waiting.token, SecondFactor::Code(&code), HOME, AGENT).await.is_ok()
        });
    }
    let mut taken = 0;
    while let Some(done) = tasks.join_next().await {
        taken += usize::from(done.unwrap());
    }
    assert_eq!(taken, 1);
    // An earlier step is behind the one that was taken.
    let waiting = begin(&site, "alice").await;
    assert!(finish(&site, &waiting, &totp::code(&key, now(&site) - 1)).await.is_err());
    assert!(finish(&site, &waiting, &totp::code(&key, now(&site) + 1)).await.is_ok());
}

/// CVE-2025-64175: a recovery code is its own account's, and good once.
#[tokio::test]
async fn a_recovery_code_opens_its_own_account_once() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let (_, _, codes) = with_app(&site, &alice).await;
    let (_, _, others) = with_app(&site, &bob).await;
    assert_eq!((codes.len(), others.len()), (10, 10));
    assert_eq!(codes[0].len(), 19, "{}", codes[0]);
    let waiting = begin(&site, "alice").await;
    assert!(matches!(finish(&site, &waiting, &others[0]).await, Err(Error::SignInRefused)));
    let typed = codes[0].replace('-', " ").to_uppercase();
    let signed_in = finish(&site, &waiting, &typed).await.unwrap();
    let waiting = begin(&site, "alice").await;
    assert!(matches!(finish(&site, &waiting, &codes[0]).await, Err(Error::SignInRefused)));
    let alice = site.forge.session(&signed_in.token).await.unwrap().unwrap().actor;
    assert_eq!(site.forge.second_factor(&alice).await.unwrap().codes, 9);
    let fresh = site.forge.renew_recovery_codes(&alice).await.unwrap();
    assert!(matches!(finish(&site, &waiting, &codes[1]).await, Err(Error::SignInRefused)), "old ones are over");
    assert!(finish(&site, &waiting, fresh[0].expose()).await.is_ok());
}

#[tokio::test]
async fn a_sign_in_waits_five_minutes_and_five_tries() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let (_, key, _) = with_app(&site, &alice).await;
    let late = begin(&site, "alice").await;
    site.clock.advance(5 * 60);
    assert!(site.forge.waiting(&late.token).await.unwrap().is_none());
    assert!(matches!(finish(&site, &late, &totp::code(&key, now(&site))).await, Err(Error::SignInNeeded)));
    let tried = begin(&site, "alice").await;
    for _ in 0..5 {
        assert!(matches!(finish(&site, &tried, "no code").await, Err(Error::SignInRefused)));
    }
    assert!(matches!(finish(&site, &tried, &totp::code(&key, now(&site))).await, Err(Error::SignInNeeded)));
}

/// Whoever knows the password must not get new guesses by giving it again, nor from another address for ever.
#[tokio::test]
async fn guesses_of_codes_are_counted_for_the_account_over_all_its_sign_ins() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let (_, key, _) = with_app(&site, &alice).await;
    let mut refused = 0;
    for number in 0..30_u8 {
        let from: IpAddr = [10, 9, 0, number].into();
        let SignIn::Waiting(waiting) = site.forge.begin_sign_in("alice", &secret(PASSWORD), from, AGENT).await.unwrap()
        else {
            panic!("no second factor was asked for");
        };
        let code = secret("000000");
        match site.forge.finish_sign_in(&waiting.token, SecondFactor::Code(&code), from, AGENT).await {
            Err(Error::SignInRefused) => refused += 1,
            Err(Error::TooManyAttempts { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 25);
    let waiting = begin(&site, "alice").await;
    let held = finish(&site, &waiting, &totp::code(&key, now(&site))).await;
    assert!(matches!(held, Err(Error::TooManyAttempts { .. })), "{held:?}");
}

#[tokio::test]
async fn an_app_counts_once_a_code_of_it_was_given() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let first = bytes(&site.forge.begin_authenticator(&alice).await.unwrap());
    assert!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.is_ok(), "not confirmed, so not asked for");
    let second = bytes(&site.forge.begin_authenticator(&alice).await.unwrap());
    assert_ne!(first, second);
    let shown = site.forge.begun_authenticator(&alice).await.unwrap().unwrap();
    assert_eq!(bytes(&shown), second);
    for wrong in [totp::code(&first, now(&site)), String::new(), "000000".into()] {
        let refused = site.forge.confirm_authenticator(&alice, &wrong).await;
        assert!(matches!(refused, Err(Error::Field { field: "code", .. })), "{refused:?}");
    }
    assert!(site.forge.confirm_authenticator(&alice, &totp::code(&second, now(&site))).await.is_ok());
}

/// A change of a factor or of the password ends every other session and every sign-in that waits, and the session at
/// hand goes on under another token.
#[tokio::test]
async fn a_change_of_password_or_factor_ends_every_other_session() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let other = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap();
    let own = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap();
    let actor = site.forge.session(&own.token).await.unwrap().unwrap().actor;
    let (actor, key, _) = with_app(&site, &actor).await;
    for ended in [&other.token, &own.token] {
        assert!(site.forge.session(ended).await.unwrap().is_none());
    }
    assert!(matches!(site.forge.own_sessions(&alice).await.map(|all| all.len()), Ok(1)));
    let waiting = begin(&site, "alice").await;
    let new = "another horse battery";
    let moved = site.forge.change_password(&actor, &secret(PASSWORD), &secret(new)).await.unwrap();
    assert!(matches!(finish(&site, &waiting, &totp::code(&key, now(&site))).await, Err(Error::SignInNeeded)));
    let session = site.forge.session(&moved.token).await.unwrap().unwrap();
    assert_eq!(session.csrf, moved.csrf());
    assert!(session.actor.user().is_some());
}

#[tokio::test]
async fn changes_of_a_factor_ask_for_the_password_after_ten_minutes() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.clock.advance(10 * 60);
    assert!(matches!(site.forge.begin_authenticator(&alice).await, Err(Error::ProofNeeded)));
    assert!(matches!(site.forge.begin_security_key(&alice).await, Err(Error::ProofNeeded)));
    assert!(!site.forge.second_factor(&alice).await.unwrap().is_fresh);
    let refused = site.forge.prove(&alice, &secret("wrong horse battery")).await;
    assert!(matches!(refused, Err(Error::Field { field: "password", .. })), "{refused:?}");
    let moved = site.forge.prove(&alice, &secret(PASSWORD)).await.unwrap();
    let alice = site.forge.session(&moved.token).await.unwrap().unwrap().actor;
    assert!(site.forge.begin_authenticator(&alice).await.is_ok());
    let token = site.token(&alice, true, None).await;
    let by_token = site.forge.basic("alice", &token, HOME).await.unwrap();
    assert!(matches!(site.forge.begin_authenticator(&by_token).await, Err(Error::Denied { .. })));
}

#[tokio::test]
async fn sessions_are_listed_for_their_owner_and_ended_one_by_one_or_together() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    for number in 0..3_u8 {
        let from: IpAddr = [10, 0, 1, number].into();
        site.forge.begin_sign_in("alice", &secret(PASSWORD), from, AGENT).await.unwrap();
        site.clock.advance(1);
    }
    let all = site.forge.own_sessions(&alice).await.unwrap();
    assert_eq!((all.len(), all.iter().filter(|session| session.is_this).count()), (4, 1));
    assert!(all.iter().any(|session| session.agent == AGENT && session.address == "10.0.1.2"), "{all:?}");
    let other = all.iter().find(|session| !session.is_this).unwrap();
    assert!(matches!(site.forge.end_session(&bob, &other.id).await, Err(Error::NotFound)), "not one's own");
    site.forge.end_session(&alice, &other.id).await.unwrap();
    assert!(matches!(site.forge.end_session(&alice, &other.id).await, Err(Error::NotFound)));
    site.forge.end_other_sessions(&alice).await.unwrap();
    let left = site.forge.own_sessions(&alice).await.unwrap();
    assert!(left.len() == 1 && left[0].is_this, "{left:?}");
    assert!(site.forge.own_sessions(&bob).await.unwrap()[0].is_this);
}

#[tokio::test]
async fn an_administrator_takes_a_lost_factor_away_and_that_is_recorded() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let root = site.sign_in("root").await;
    assert!(matches!(site.forge.reset_second_factor(&root, "alice").await, Err(Error::NotFound)), "none is there");
    let (alice, ..) = with_app(&site, &alice).await;
    let waiting = begin(&site, "alice").await;
    assert!(matches!(site.forge.second_factor_holders(&alice).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.reset_second_factor(&alice, "alice").await, Err(Error::NotFound)));
    let holders = site.forge.second_factor_holders(&root).await.unwrap();
    assert!(holders.len() == 1 && holders[0].name == "alice" && holders[0].has_app, "{holders:?}");
    site.forge.reset_second_factor(&root, "Alice").await.unwrap();
    assert!(site.forge.waiting(&waiting.token).await.unwrap().is_none());
    assert!(matches!(site.forge.own_sessions(&alice).await.map(|all| all.len()), Ok(0)));
    assert!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.is_ok());
    let log = site.forge.audit(&root, &crate::AuditFilter::default()).await.unwrap();
    let told: Vec<_> = log.records.iter().map(|record| record.action.as_str()).collect();
    for action in ["second_factor.added", "second_factor.codes_made", "second_factor.reset"] {
        assert!(told.contains(&action), "{action} is not in {told:?}");
    }
}

#[tokio::test]
async fn without_its_last_factor_an_account_has_no_recovery_codes() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let (alice, ..) = with_app(&site, &alice).await;
    let moved = site.forge.remove_authenticator(&alice).await.unwrap();
    let alice = site.forge.session(&moved.token).await.unwrap().unwrap().actor;
    let factor = site.forge.second_factor(&alice).await.unwrap();
    assert!(factor.app.is_none() && factor.codes == 0, "{factor:?}");
    assert!(matches!(site.forge.renew_recovery_codes(&alice).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.remove_authenticator(&alice).await, Err(Error::NotFound)));
    assert!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.is_ok());
}

on_a_server_too! {
    a_password_alone_opens_nothing_once_there_is_a_second_factor,
    a_code_is_taken_once_whoever_comes_first,
    a_recovery_code_opens_its_own_account_once,
    a_sign_in_waits_five_minutes_and_five_tries,
    a_change_of_password_or_factor_ends_every_other_session,
    sessions_are_listed_for_their_owner_and_ended_one_by_one_or_together,
    an_administrator_takes_a_lost_factor_away_and_that_is_recorded,
    without_its_last_factor_an_account_has_no_recovery_codes,
}
