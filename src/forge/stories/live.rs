//! Who hears of a change, and who does not.

use std::time::Duration;

use super::*;
use crate::{Change, Error, MovedRef, Told, Transport, Watch};

const SOON: Duration = Duration::from_secs(20);

async fn next(watch: &mut Watch) -> Option<Told> {
    watch.next(SOON).await
}

async fn push(site: &Site, actor: &Actor, work: &Work, old: &str, new: &str) {
    let mut out = Vec::new();
    let push = site.forge.begin_push(actor, &path("alice/notes")).await.unwrap();
    let body = work.push_body(&[(old, new, "refs/heads/main")], "");
    push.run(Transport::Http, &body[..], &mut out).await.unwrap();
    assert!(String::from_utf8_lossy(&out).contains("ok refs/heads/main"));
}

#[tokio::test]
async fn a_push_is_told_to_those_who_watch_and_may_read() {
    let site = Site::open().await;
    let (alice, mallory) = (site.user("alice").await, site.user("mallory").await);
    site.repo(&alice, "notes", Visibility::Private).await;
    site.repo(&alice, "other", Visibility::Private).await;
    for (actor, name) in [(&mallory, "alice/notes"), (&Actor::Anonymous, "alice/notes"), (&alice, "alice/none")] {
        assert!(matches!(site.forge.watch(actor, &path(name)).await.map(drop), Err(Error::NotFound)), "{name}");
    }
    let mut watch = site.forge.watch(&alice, &path("alice/notes")).await.unwrap();
    let mut other = site.forge.watch(&alice, &path("alice/other")).await.unwrap();
    let work = Work::new();
    let commit = work.commit("README.md", b"# Notes\n");
    push(&site, &alice, &work, ZERO, &commit).await;
    let refs = vec![MovedRef { name: "refs/heads/main".into(), id: Some(commit) }];
    assert_eq!(next(&mut watch).await, Some(Told::Changed(Change { refs })));
    assert_eq!(other.next(Duration::from_millis(50)).await, Some(Told::Nothing));
}

/// Rights end while somebody looks, and then nothing more is told.
#[tokio::test]
async fn a_right_that_ended_hears_nothing_more() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let root = site.sign_in("root").await;
    site.repo(&alice, "notes", Visibility::Internal).await;
    let mut watch = site.forge.watch(&bob, &path("alice/notes")).await.unwrap();
    assert_eq!(watch.next(Duration::ZERO).await, Some(Told::Nothing));
    site.forge.set_user_active(&root, "bob", false).await.unwrap();
    let work = Work::new();
    push(&site, &alice, &work, ZERO, &work.commit("README.md", b"# Notes\n")).await;
    assert_eq!(next(&mut watch).await, None);

    let signed_out = site.sign_in("alice").await;
    let mut watch = site.forge.watch(&signed_out, &path("alice/notes")).await.unwrap();
    site.forge.sign_out(&signed_out).await.unwrap();
    assert_eq!(watch.next(Duration::ZERO).await, None, "the session has ended");

    let mut watch = site.forge.watch(&alice, &path("alice/notes")).await.unwrap();
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap().for_admin().unwrap();
    site.forge.delete_repo(repo).await.unwrap();
    site.repo(&alice, "notes", Visibility::Internal).await;
    assert_eq!(watch.next(Duration::ZERO).await, None, "another repository has taken the name");
}

#[tokio::test]
async fn a_watch_ends_with_the_forge() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Public).await;
    let mut watch = site.forge.watch(&Actor::Anonymous, &path("alice/notes")).await.unwrap();
    let (told, ()) = tokio::join!(watch.next(SOON), site.forge.close());
    assert_eq!(told, None);
}

super::on_a_server_too! {
    a_push_is_told_to_those_who_watch_and_may_read,
    a_right_that_ended_hears_nothing_more,
    a_watch_ends_with_the_forge,
}
