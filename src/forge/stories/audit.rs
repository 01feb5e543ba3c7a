//! The audit log: what is in it, who reads it, and that no record changes or goes without being missed.

use store::Query;

use super::*;
use crate::access::Who;
use crate::audit_queue::{Access, Accessed};
use crate::{AuditFault, AuditFilter, AuditRecord, AuditVerdict, Error, Origin, Protocol, Transport};

pub(super) async fn all(site: &Site) -> Vec<AuditRecord> {
    let mut records: Vec<AuditRecord> = Vec::new();
    loop {
        let more = site.forge.audit_after(records.last().map_or(0, |last| last.number)).await.unwrap();
        assert!(more.iter().all(|record| crate::AUDIT_ACTIONS.contains(&record.action.as_str())), "{more:?}");
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

/// Waits until the queue is empty by closing the forge, and opens it again.
pub(super) async fn settled(site: Site) -> Site {
    let Site { forge, clock, key, directory } = site;
    forge.close().await;
    drop(forge);
    let forge = open(directory.path(), &key, &clock).await.unwrap();
    Site { forge, clock, key, directory }
}

async fn spoil(site: &Site, statement: &'static str) {
    let tx = site.forge.0.store.begin().await.unwrap();
    for unlock in ["DROP TRIGGER events_are_never_changed", "DROP TRIGGER events_are_never_removed"] {
        tx.rows(unlock, Vec::new()).await.unwrap();
    }
    tx.rows(statement, Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn the_log_is_absent_for_all_but_administrators() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    for actor in [Actor::Anonymous, alice] {
        assert!(matches!(site.forge.audit(&actor, &AuditFilter::default()).await, Err(Error::NotFound)));
    }
    let token = site.token(&root, true, None).await;
    let by_token = site.forge.basic("root", &token, HOME).await.unwrap();
    assert!(matches!(site.forge.audit(&by_token, &AuditFilter::default()).await, Err(Error::Denied { .. })));
    assert!(!site.forge.audit(&root, &AuditFilter::default()).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn records_tell_actor_address_and_request_and_filters_find_them() {
    let site = Site::open().await;
    let origin = Origin { address: Some(HOME), request: Some("19aa-1".into()) };
    let signed_in = site.forge.sign_in("root", &secret(PASSWORD), origin.clone()).await.unwrap();
    let root = site.forge.session(&signed_in.token).await.unwrap().unwrap().actor.coming_from(origin);
    site.repo(&root, "notes", Visibility::Private).await;
    site.forge.sign_out(&root).await.unwrap();
    let root = site.sign_in("root").await;
    let filter = AuditFilter { actor: Some("root".into()), action: Some("repo.created".into()), before: None };
    let found = site.forge.audit(&root, &filter).await.unwrap();
    let [record] = found.records.as_slice() else { panic!("{found:?}") };
    assert_eq!((record.actor.as_deref(), record.repo.as_deref()), (Some("root"), Some("root/notes")));
    assert_eq!((record.address.as_deref(), record.request.as_deref()), (Some("10.0.0.1"), Some("19aa-1")));
    let actions: Vec<_> = all(&site).await.into_iter().map(|record| record.action).collect();
    assert_eq!(actions, ["user.created", "sign_in.accepted", "repo.created", "sign_out", "sign_in.accepted"]);
    let nobody = AuditFilter { actor: Some("nobody".into()), ..AuditFilter::default() };
    assert!(site.forge.audit(&root, &nobody).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    for number in 0..60 {
        let what = Accessed::SignInRefused { name: Some(format!("user{number}")), door: "password" };
        site.forge.0.audit.put(Access { at: site.forge.now(), who: Who::default(), what });
    }
    let site = settled(site).await;
    let first = site.forge.audit(&root, &AuditFilter::default()).await.unwrap();
    assert_eq!(first.records.len(), 50);
    let next = AuditFilter { before: first.older, ..AuditFilter::default() };
    let second = site.forge.audit(&root, &next).await.unwrap();
    let numbers: Vec<_> = first.records.iter().chain(&second.records).map(|record| record.number).collect();
    assert_eq!(numbers, (1..=62).rev().collect::<Vec<i64>>());
    assert_eq!(second.older, None);
}

#[tokio::test]
async fn refused_sign_ins_are_recorded_without_what_was_typed() {
    let site = Site::open().await;
    for (name, password) in [("root", "hunter2hunter2"), ("hunter3hunter3", "x")] {
        assert!(site.forge.sign_in(name, &secret(password), HOME).await.is_err());
    }
    assert!(site.forge.basic("x", &secret("ggt_hunter4"), HOME).await.is_err());
    let site = settled(site).await;
    let records = all(&site).await;
    let refused: Vec<_> = records.iter().filter(|record| record.action == "sign_in.refused").collect();
    let told: Vec<_> = refused.iter().map(|record| (record.object.as_str(), record.new.as_deref())).collect();
    assert_eq!(told, [("root", Some("password")), ("", Some("password")), ("", Some("token"))]);
    assert!(refused.iter().all(|record| record.actor.is_none() && record.address.as_deref() == Some("10.0.0.1")));
    assert!(!format!("{records:?}").contains("hunter"));
}

#[tokio::test]
async fn clones_of_what_is_not_public_are_recorded_and_lists_of_refs_are_not() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for (name, visibility) in
        [("open", Visibility::Public), ("inside", Visibility::Internal), ("hidden", Visibility::Private)]
    {
        site.repo(&alice, name, visibility).await;
        let at = path(&format!("alice/{name}"));
        for body in [&b"0014command=ls-refs\n0001000bpeel\n0000"[..], b"0000"] {
            let upload = site.forge.begin_upload(&alice, &at).await.unwrap();
            // An empty repository has nothing to give; the request is what counts.
            let _ = upload.run(Transport::Http, Protocol::V2, body, Vec::new()).await;
        }
        let upload = site.forge.begin_upload(&alice, &at).await.unwrap();
        let _ = upload.run(Transport::Ssh, Protocol::V0, &b"0000"[..], Vec::new()).await;
    }
    let site = settled(site).await;
    let fetched: Vec<_> = all(&site)
        .await
        .into_iter()
        .filter(|record| record.action == "repo.fetched")
        .map(|record| (record.object, record.new))
        .collect();
    let expected = |name: &str, transport: &str| (name.to_owned(), Some(transport.to_owned()));
    assert_eq!(
        fetched,
        [
            expected("alice/inside", "http"),
            expected("alice/inside", "ssh"),
            expected("alice/hidden", "http"),
            expected("alice/hidden", "ssh")
        ]
    );
}

#[tokio::test]
async fn what_finds_no_room_becomes_a_record_of_the_gap() {
    let site = Site::open().await;
    let before = all(&site).await.len();
    // While this is open nothing else is written.
    let holding = site.forge.0.store.begin().await.unwrap();
    for _ in 0..2_000 {
        let what = Accessed::SignInRefused { name: None, door: "password" };
        site.forge.0.audit.put(Access { at: site.forge.now(), who: Who::default(), what });
    }
    holding.commit().await.unwrap();
    let site = settled(site).await;
    let records = all(&site).await.split_off(before);
    let gaps = records.iter().filter(|record| record.action == "audit.gap");
    let lost: usize = gaps.map(|record| record.new.as_ref().unwrap().parse::<usize>().unwrap()).sum();
    let kept = records.iter().filter(|record| record.action == "sign_in.refused").count();
    assert!(lost >= 500, "{lost}");
    assert_eq!(kept + lost, 2_000);
    assert!(matches!(site.forge.verify_audit().await.unwrap(), AuditVerdict::Whole { .. }));
}

#[tokio::test]
async fn a_changed_or_removed_record_is_named() {
    for (statement, number, fault) in [
        ("UPDATE events SET subject = 'mallory' WHERE number = 3", 3, AuditFault::Changed),
        ("UPDATE events SET actor = NULL WHERE number = 2", 2, AuditFault::Changed),
        ("UPDATE events SET number = NULL WHERE number = 2", 2, AuditFault::Missing),
        ("DELETE FROM events WHERE number = 2", 2, AuditFault::Missing),
        ("DELETE FROM events WHERE number >= 4", 4, AuditFault::Missing),
        ("UPDATE audit_head SET number = number - 1", 4, AuditFault::Added),
        ("UPDATE audit_head SET hash = 'x'", 4, AuditFault::Changed),
    ] {
        let site = Site::open().await;
        site.user("alice").await;
        let AuditVerdict::Whole { records: 4, .. } = site.forge.verify_audit().await.unwrap() else { panic!() };
        spoil(&site, statement).await;
        let expected = AuditVerdict::Broken { number, fault };
        assert_eq!(site.forge.verify_audit().await.unwrap(), expected, "{statement}");
    }
}

#[tokio::test]
async fn a_password_reset_ends_sessions_and_is_recorded() {
    let site = Site::open().await;
    site.user("alice").await;
    let session = site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap().token;
    let new = secret("another horse battery");
    assert!(matches!(site.forge.reset_password("nobody", &new).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.reset_password("alice", &secret("short")).await, Err(Error::Field { .. })));
    site.forge.reset_password("Alice", &new).await.unwrap();
    assert!(site.forge.session(&session).await.unwrap().is_none());
    assert!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await.is_err());
    assert!(site.forge.sign_in("alice", &new, HOME).await.is_ok());
    let reset = all(&site).await.into_iter().find(|record| record.action == "password.reset").unwrap();
    assert_eq!((reset.object.as_str(), reset.actor, reset.address), ("alice", None, None));
}
