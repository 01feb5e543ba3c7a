//! Repositories as their readers find them, or do not.

use super::*;
use crate::{Error, Protocol, Transport};

#[tokio::test]
async fn hidden_and_absent_repositories_get_the_same_answer() {
    let site = Site::open().await;
    let (alice, mallory) = (site.user("alice").await, site.user("mallory").await);
    site.repo(&alice, "hidden", Visibility::Private).await;
    site.repo(&alice, "inside", Visibility::Internal).await;
    for (actor, name) in [
        (&mallory, "alice/hidden"),
        (&mallory, "alice/none"),
        (&mallory, "nobody/none"),
        (&Actor::Anonymous, "alice/hidden"),
        (&Actor::Anonymous, "alice/inside"),
        (&Actor::Anonymous, "alice/none"),
    ] {
        let refused = site.forge.repo(actor, &path(name)).await.map(drop);
        assert!(matches!(refused, Err(Error::NotFound)), "{name}: {refused:?}");
        let pushed = site.forge.begin_push(actor, &path(name)).await.map(drop);
        let cloned = site.forge.begin_upload(actor, &path(name)).await.map(drop);
        if actor.user().is_some() {
            assert!(matches!((&pushed, &cloned), (Err(Error::NotFound), Err(Error::NotFound))), "{name}");
        } else {
            assert!(matches!((&pushed, &cloned), (Err(Error::SignInNeeded), Err(Error::SignInNeeded))), "{name}");
        }
    }
    assert!(site.forge.repo(&mallory, &path("ALICE/Inside")).await.is_ok());
}

#[tokio::test]
async fn who_may_read_but_not_push_is_told_so() {
    let site = Site::open().await;
    let (alice, mallory) = (site.user("alice").await, site.user("mallory").await);
    site.repo(&alice, "notes", Visibility::Public).await;
    let denied = site.forge.begin_push(&mallory, &path("alice/notes")).await.map(drop).unwrap_err();
    assert_eq!(denied.to_string(), "you may not push to alice/notes");
    let token = site.token(&alice, false, None).await;
    let reader = site.forge.basic("alice", &token, HOME).await.unwrap();
    assert!(matches!(site.forge.begin_push(&reader, &path("alice/notes")).await, Err(Error::Denied { .. })));
    let token = site.token(&alice, true, None).await;
    let writer = site.forge.basic("alice", &token, HOME).await.unwrap();
    assert!(site.forge.begin_push(&writer, &path("alice/notes")).await.is_ok());
    let pair = vault::ssh_key::generate("alice").unwrap();
    let key = site.forge.add_ssh_key(&alice, "", &pair.public).await.unwrap();
    let by_key = site.forge.by_ssh_key(&key.fingerprint).await.unwrap().unwrap();
    let repo = site.forge.repo(&by_key, &path("alice/notes")).await.unwrap();
    assert!(matches!(repo.for_maintain(), Err(Error::Denied { .. })));
}

#[tokio::test]
async fn lists_show_what_the_actor_may_read_last_pushed_first() {
    let site = Site::open().await;
    let (alice, mallory) = (site.user("alice").await, site.user("mallory").await);
    for (name, visibility) in
        [("open", Visibility::Public), ("inside", Visibility::Internal), ("hidden", Visibility::Private)]
    {
        site.repo(&alice, name, visibility).await;
        site.clock.advance(1);
    }
    let names = async |actor: &Actor| -> Vec<String> {
        site.forge.repos(actor).await.unwrap().iter().map(|repo| repo.path.name.to_string()).collect()
    };
    assert_eq!(names(&Actor::Anonymous).await, ["open"]);
    assert_eq!(names(&mallory).await, ["inside", "open"]);
    assert_eq!(names(&alice).await, ["hidden", "inside", "open"]);
    assert_eq!(names(&site.sign_in("root").await).await, ["hidden", "inside", "open"]);
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_again_after_removal() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let new = |name: &str| NewRepo { name: name.into(), description: String::new(), visibility: Visibility::Private };
    site.forge.create_repo(&alice, new("Notes")).await.unwrap();
    assert!(matches!(site.forge.create_repo(&alice, new("notes")).await, Err(Error::NameTaken(_))));
    for refused in ["", "..", "-x", "a/b", "a.git", "../../etc"] {
        assert!(matches!(site.forge.create_repo(&alice, new(refused)).await, Err(Error::Name(_))), "{refused}");
    }
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    let id = repo.id;
    site.forge.delete_repo(repo.for_admin().unwrap()).await.unwrap();
    site.forge.work_off("worker").await;
    assert!(site.forge.0.repositories.repo(id).is_err());
    assert!(matches!(site.forge.repo(&alice, &path("alice/notes")).await, Err(Error::NotFound)));
    site.forge.create_repo(&alice, new("notes")).await.unwrap();
    assert_ne!(site.forge.repo(&alice, &path("alice/notes")).await.unwrap().id, id);
}

#[tokio::test]
async fn two_who_take_a_name_at_once_leave_one_repository_and_no_directory_over() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let new = || NewRepo { name: "notes".into(), description: String::new(), visibility: Visibility::Private };
    let (one, two) = tokio::join!(site.forge.create_repo(&alice, new()), site.forge.create_repo(&alice, new()));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    assert!(store::loose_directories::all(&site.forge.0.store.read()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_empty_repository_has_a_frame_and_no_tree() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    let frame = site.forge.frame(&repo).await.unwrap();
    assert_eq!(frame.clone.http, "https://forge.acme.internal:8828/alice/notes.git");
    assert_eq!(frame.clone.ssh, "ssh://git@forge.acme.internal:2424/alice/notes.git");
    assert_eq!(frame.default_branch.as_str(), "refs/heads/main");
    assert!(site.forge.home(&repo).await.unwrap().is_none());
    assert!(matches!(site.forge.history(&repo, b"", 1).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.tree_or_file(&repo, b"main").await, Err(Error::NotFound)));
    let mut out = Vec::new();
    let upload = site.forge.begin_upload(&alice, &path("alice/notes")).await.unwrap();
    upload.advertise(Protocol::V2, &mut out).await.unwrap();
    assert!(String::from_utf8_lossy(&out).contains("version 2"));
    let upload = site.forge.begin_upload(&alice, &path("alice/notes")).await.unwrap();
    upload.run(Transport::Http, Protocol::V2, &b"0014command=ls-refs\n0000"[..], &mut out).await.unwrap();
}

#[tokio::test]
async fn a_probe_is_hidden_works_and_leaves_nothing() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    let pair = vault::ssh_key::generate("probe").unwrap();
    let fingerprint = vault::ssh_key::PublicKey::parse(&pair.public).unwrap().fingerprint;
    let probe = site.forge.begin_probe(&pair.public).await.unwrap();

    let busy = site.forge.begin_probe(&pair.public).await.map(drop);
    assert!(matches!(busy, Err(Error::File(_))), "{busy:?}");
    assert_eq!(site.forge.users(&root).await.unwrap().len(), 1);
    assert!(site.forge.repos(&root).await.unwrap().is_empty());
    let actor = site.forge.basic("x", &probe.token, HOME).await.unwrap();
    assert!(site.forge.begin_push(&actor, &probe.repo).await.is_ok());
    let by_key = site.forge.by_ssh_key(&fingerprint).await.unwrap().unwrap();
    assert!(site.forge.begin_push(&by_key, &probe.repo).await.is_ok());
    assert!(matches!(site.forge.sign_in(probe.user.as_str(), &secret(""), HOME).await, Err(Error::SignInRefused)));

    // A crashed run ends nothing; the lock goes with its process.
    let (repo, token) = (probe.repo.clone(), probe.token.clone());
    drop(probe);
    let probe = site.forge.begin_probe(&pair.public).await.unwrap();
    assert!(matches!(site.forge.basic("x", &token, HOME).await, Err(Error::SignInRefused)));
    assert!(matches!(site.forge.repo(&root, &repo).await, Err(Error::NotFound)));
    site.clock.advance(10 * 60);
    assert!(matches!(site.forge.basic("x", &probe.token, HOME).await, Err(Error::SignInRefused)));
    site.forge.end_probe(probe).await.unwrap();
    assert!(site.forge.by_ssh_key(&fingerprint).await.unwrap().is_none());
    assert!(store::users::service_accounts(&site.forge.0.store.read()).await.unwrap().is_empty());
}

super::on_a_server_too! {
    hidden_and_absent_repositories_get_the_same_answer,
    who_may_read_but_not_push_is_told_so,
    lists_show_what_the_actor_may_read_last_pushed_first,
    a_name_is_taken_once_and_free_again_after_removal,
    two_who_take_a_name_at_once_leave_one_repository_and_no_directory_over,
    an_empty_repository_has_a_frame_and_no_tree,
    a_probe_is_hidden_works_and_leaves_nothing,
}
