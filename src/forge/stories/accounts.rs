//! Signing in and out, tokens, keys and administration: who gets in, who does not, and when that ends.

use store::Query;

use super::*;
use crate::{Error, Scope, Scopes};

const DAY: i64 = 24 * 60 * 60;

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_get_the_same_answer() {
    let site = Site::open().await;
    for (name, password) in [("root", "wrong horse battery"), ("nobody", PASSWORD), ("../x", PASSWORD), ("root", "")] {
        let refused = site.forge.sign_in(name, &secret(password), HOME).await;
        assert!(matches!(refused, Err(Error::SignInRefused)), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn ten_failures_hold_the_address_for_a_quarter_of_an_hour_and_lock_nobody_out_elsewhere() {
    let site = Site::open().await;
    for _ in 0..10 {
        assert!(matches!(site.forge.sign_in("root", &secret("x"), HOME).await, Err(Error::SignInRefused)));
    }
    let elsewhere: IpAddr = "10.0.0.2".parse().unwrap();
    for name in ["root", "alice"] {
        let refused = site.forge.sign_in(name, &secret(PASSWORD), HOME).await;
        assert!(matches!(refused, Err(Error::TooManyAttempts { seconds: 890..=901 })), "{name}: {refused:?}");
    }
    assert!(matches!(site.forge.basic("root", &secret(PASSWORD), HOME).await, Err(Error::TooManyAttempts { .. })));
    assert!(site.forge.sign_in("root", &secret(PASSWORD), elsewhere).await.is_ok());
    site.clock.advance(15 * 60);
    assert!(site.forge.sign_in("root", &secret(PASSWORD), HOME).await.is_ok());
}

#[tokio::test]
async fn parallel_guesses_get_no_more_tries_than_those_in_a_row() {
    let site = Site::open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let forge = site.forge.clone();
        tasks.spawn(async move { forge.sign_in("root", &secret("x"), HOME).await });
    }
    let mut refused = 0;
    while let Some(done) = tasks.join_next().await {
        refused += usize::from(matches!(done.unwrap(), Err(Error::SignInRefused)));
    }
    assert_eq!(refused, 10);
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_and_when_told() {
    let site = Site::open().await;
    let first = site.forge.sign_in("root", &secret(PASSWORD), HOME).await.unwrap();
    assert_eq!(first.expires, base::Clock::now(&*site.clock).plus_seconds(30 * DAY));
    let session = site.forge.session(&first.token).await.unwrap().unwrap();
    assert_ne!(session.csrf, first.token);
    assert!(site.forge.session(&secret("unknown")).await.unwrap().is_none());

    site.clock.advance(7 * DAY);
    assert!(site.forge.session(&first.token).await.unwrap().is_none());

    let second = site.forge.sign_in("root", &secret(PASSWORD), HOME).await.unwrap();
    let actor = site.forge.session(&second.token).await.unwrap().unwrap().actor;
    site.forge.sign_out(&actor).await.unwrap();
    assert!(site.forge.session(&second.token).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_in_daily_use_ends_after_thirty_days() {
    let site = Site::open().await;
    let signed_in = site.forge.sign_in("root", &secret(PASSWORD), HOME).await.unwrap();
    for day in 0..30 {
        let session = site.forge.session(&signed_in.token).await.unwrap();
        assert!(session.is_some(), "day {day}");
        let mut tasks = std::mem::take(&mut *site.forge.0.tasks.lock().unwrap());
        while tasks.join_next().await.is_some() {}
        site.clock.advance(DAY);
    }
    assert!(site.forge.session(&signed_in.token).await.unwrap().is_none());
}

#[tokio::test]
async fn a_deactivated_user_is_out_at_once_by_every_door() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let signed_in = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap();
    let token = site.token(&alice, true, None).await;
    let pair = vault::ssh_key::generate("alice").unwrap();
    let key = site.forge.add_ssh_key(&alice, "", &pair.public).await.unwrap();
    assert_eq!(key.title, "alice");
    assert!(site.forge.by_ssh_key(&key.fingerprint).await.unwrap().is_some());

    let root = site.sign_in("root").await;
    site.forge.set_user_active(&root, "ALICE", false).await.unwrap();
    assert!(site.forge.session(&signed_in.token).await.unwrap().is_none());
    assert!(matches!(site.forge.basic("alice", &token, HOME).await, Err(Error::SignInRefused)));
    assert!(matches!(site.forge.basic("alice", &secret(PASSWORD), HOME).await, Err(Error::SignInRefused)));
    assert!(site.forge.by_ssh_key(&key.fingerprint).await.unwrap().is_none());
    assert!(matches!(site.forge.set_user_active(&root, "root", false).await, Err(Error::Denied { .. })));

    site.forge.set_user_active(&root, "alice", true).await.unwrap();
    assert!(site.forge.session(&signed_in.token).await.unwrap().is_none());
    assert!(site.forge.basic("alice", &token, HOME).await.is_ok());
}

/// CVE-2026-58422: being out is sticky; nothing that is done to the account along the way lets it in again.
#[tokio::test]
async fn a_deactivated_user_stays_out_whatever_else_is_done_to_the_account() {
    let site = Site::open().await;
    site.user("alice").await;
    let root = site.sign_in("root").await;
    site.forge.set_user_active(&root, "alice", false).await.unwrap();
    site.forge.reset_password("alice", &secret("another horse battery")).await.unwrap();
    for password in [PASSWORD, "another horse battery"] {
        let refused = site.forge.sign_in("alice", &secret(password), HOME).await;
        assert!(matches!(refused, Err(Error::SignInRefused)), "{refused:?}");
    }
    assert!(site.forge.users(&root).await.unwrap().iter().any(|user| user.name.as_str() == "alice" && !user.is_active));
}

#[tokio::test]
async fn tokens_end_and_carry_their_scope() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let (reads, writes) = (site.token(&alice, false, Some(1)).await, site.token(&alice, true, None).await);
    assert!(reads.expose().starts_with("ggt_") && reads.expose().len() == 47);
    let scope = |actor: Actor| actor.user().unwrap().scope;
    let expected = |text: &str| Scope::Token { scopes: Scopes::parse(text).unwrap(), limited: None };
    assert_eq!(scope(site.forge.basic("x", &reads, HOME).await.unwrap()), expected("read:repository"));
    assert_eq!(scope(site.forge.basic("", &writes, HOME).await.unwrap()), expected("write:repository"));
    assert_eq!(scope(site.forge.basic("alice", &secret(PASSWORD), HOME).await.unwrap()), Scope::Password);
    site.clock.advance(DAY);
    assert!(matches!(site.forge.basic("x", &reads, HOME).await, Err(Error::SignInRefused)));
    assert!(site.forge.basic("x", &writes, HOME).await.is_ok());

    let listed = site.forge.tokens(&alice).await.unwrap();
    assert_eq!(listed.len(), 2);
    for token in listed {
        site.forge.revoke_token(&alice, token.id).await.unwrap();
    }
    assert!(matches!(site.forge.basic("x", &writes, HOME).await, Err(Error::SignInRefused)));
}

#[tokio::test]
async fn guessed_tokens_hold_the_address_but_not_a_token_that_is_right() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let token = site.token(&alice, true, None).await;
    for _ in 0..10 {
        assert!(matches!(site.forge.basic("x", &secret("ggt_x"), HOME).await, Err(Error::SignInRefused)));
    }
    assert!(matches!(site.forge.basic("x", &secret("ggt_x"), HOME).await, Err(Error::TooManyAttempts { .. })));
    assert!(site.forge.basic("x", &token, HOME).await.is_ok());
}

#[tokio::test]
async fn a_token_manages_nothing_that_it_was_not_made_for() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    let token = site.token(&root, false, None).await;
    let actor = site.forge.basic("root", &token, HOME).await.unwrap();
    let user = NewUser { name: "eve".into(), full_name: String::new(), password: secret(PASSWORD), is_admin: true };
    let repo = NewRepo { name: "x".into(), description: String::new(), visibility: Visibility::Public };
    let more = NewToken { name: "x".into(), scopes: Scopes::ALL, repositories: None, days: None };
    let key = vault::ssh_key::generate("x").unwrap().public;
    let forge = &site.forge;
    assert!(matches!(forge.create_user(&actor, user).await, Err(Error::Denied { .. })));
    assert!(matches!(forge.users(&actor).await, Err(Error::Denied { .. })));
    assert!(matches!(forge.create_repo(&actor, repo).await, Err(Error::Denied { .. })));
    assert!(matches!(forge.create_token(&actor, more).await, Err(Error::Denied { .. })));
    assert!(matches!(forge.add_ssh_key(&actor, "x", &key).await, Err(Error::Denied { .. })));
    let changed = forge.change_password(&actor, &secret(PASSWORD), &secret("another password")).await;
    assert!(matches!(changed, Err(Error::Denied { .. })));
}

#[tokio::test]
async fn the_administration_does_not_exist_for_others() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for actor in [&alice, &Actor::Anonymous] {
        assert!(matches!(site.forge.users(actor).await, Err(Error::NotFound)));
        assert!(matches!(site.forge.set_user_active(actor, "root", false).await, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn a_key_of_one_user_cannot_be_added_or_removed_by_another() {
    let site = Site::open().await;
    let (alice, mallory) = (site.user("alice").await, site.user("mallory").await);
    let pair = vault::ssh_key::generate("a").unwrap();
    let key = site.forge.add_ssh_key(&alice, "laptop", &pair.public).await.unwrap();
    let taken = site.forge.add_ssh_key(&mallory, "mine", &pair.public).await;
    assert!(matches!(taken, Err(Error::Field { field: "key", .. })), "{taken:?}");
    assert!(matches!(site.forge.remove_ssh_key(&mallory, key.id).await, Err(Error::NotFound)));
    let owner = site.forge.by_ssh_key(&key.fingerprint).await.unwrap().unwrap();
    assert_eq!(owner.user().unwrap().name.as_str(), "alice");
    assert_eq!(owner.user().unwrap().scope, Scope::Key);
    site.forge.remove_ssh_key(&alice, key.id).await.unwrap();
    assert!(site.forge.by_ssh_key(&key.fingerprint).await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_needs_the_old_one() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let other = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap();
    let mine = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap();
    let actor = site.forge.session(&mine.token).await.unwrap().unwrap().actor;
    let new = secret("another password");
    assert!(matches!(
        site.forge.change_password(&alice, &secret("wrong"), &new).await,
        Err(Error::Field { field: "old", .. })
    ));
    assert!(matches!(
        site.forge.change_password(&actor, &secret(PASSWORD), &secret("short")).await,
        Err(Error::Field { field: "password", .. })
    ));
    let goes_on = site.forge.change_password(&actor, &secret(PASSWORD), &new).await.unwrap();
    assert!(site.forge.session(&goes_on.token).await.unwrap().is_some());
    assert!(site.forge.session(&mine.token).await.unwrap().is_none());
    assert!(site.forge.session(&other.token).await.unwrap().is_none());
    assert!(matches!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await, Err(Error::SignInRefused)));
    assert!(site.forge.sign_in("alice", &new, HOME).await.is_ok());
}

#[tokio::test]
async fn names_are_taken_in_every_case_and_reserved_ones_always() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    let new = |name: &str| NewUser {
        name: name.into(),
        full_name: String::new(),
        password: secret(PASSWORD),
        is_admin: false,
    };
    site.forge.create_user(&root, new("Alice")).await.unwrap();
    assert!(matches!(site.forge.create_user(&root, new("aLICE")).await, Err(Error::NameTaken(_))));
    assert!(matches!(site.forge.create_user(&root, new("admin")).await, Err(Error::Name(_))));
    assert!(matches!(site.forge.create_user(&root, new("../x")).await, Err(Error::Name(_))));
}

#[tokio::test]
async fn nothing_secret_is_in_the_database_in_clear() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let token = site.token(&alice, true, None).await;
    let session = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap().token;
    site.forge.close().await;
    let bytes = std::fs::read(site.directory.path().join("db")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("alice"));
    for hidden in [token.expose().as_str(), session.expose(), PASSWORD] {
        assert!(!holds(hidden));
    }
}

#[tokio::test]
async fn a_restart_forgives_nobody_and_the_end_of_the_window_does() {
    let Site { forge, clock, key, directory } = Site::open().await;
    for _ in 0..10 {
        assert!(matches!(forge.sign_in("root", &secret("x"), HOME).await, Err(Error::SignInRefused)));
    }
    forge.close().await;
    drop(forge);
    let forge = open(directory.path(), &key, &clock).await.unwrap();
    let refused = forge.sign_in("root", &secret(PASSWORD), HOME).await;
    assert!(matches!(refused, Err(Error::TooManyAttempts { .. })), "{refused:?}");
    let elsewhere = IpAddr::from([10, 0, 0, 2]);
    assert!(forge.sign_in("root", &secret(PASSWORD), elsewhere).await.is_ok());
    clock.advance(15 * 60);
    assert!(forge.sign_in("root", &secret(PASSWORD), HOME).await.is_ok());
    let left = forge.0.store.read().rows("SELECT key_hash FROM sign_in_failures", Vec::new()).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

super::on_a_server_too! {
    an_unknown_name_and_a_wrong_password_get_the_same_answer,
    ten_failures_hold_the_address_for_a_quarter_of_an_hour_and_lock_nobody_out_elsewhere,
    parallel_guesses_get_no_more_tries_than_those_in_a_row,
    a_session_ends_when_idle_when_old_and_when_told,
    a_session_in_daily_use_ends_after_thirty_days,
    a_deactivated_user_is_out_at_once_by_every_door,
    tokens_end_and_carry_their_scope,
    guessed_tokens_hold_the_address_but_not_a_token_that_is_right,
    a_token_manages_nothing_that_it_was_not_made_for,
    the_administration_does_not_exist_for_others,
    a_key_of_one_user_cannot_be_added_or_removed_by_another,
    a_new_password_ends_the_other_sessions_and_needs_the_old_one,
    names_are_taken_in_every_case_and_reserved_ones_always,
}
