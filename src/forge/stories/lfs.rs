//! Large files as a repository has them, on both databases.

use super::access::owner;
use super::*;
use crate::{Access, Error, LfsCaller, LfsLockFilter, LfsLocked, LfsOid, LfsOperation, LfsPointer, LfsState, RepoRead};

fn pointer(content: &[u8]) -> LfsPointer {
    LfsPointer { oid: LfsOid::from(vault::digest::sha256(content)), size: content.len() as u64 }
}

/// Files on the shelf, uploads under way among them.
fn shelved(site: &Site) -> usize {
    let (mut count, mut open) = (0, vec![site.directory.path().join("lfs")]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            if entry.path().is_dir() { open.push(entry.path()) } else { count += 1 }
        }
    }
    count
}

async fn put(site: &Site, actor: &Actor, name: &str, content: &[u8]) -> Result<RepoRead, Error> {
    let caller = LfsCaller::from(actor.clone());
    let repo = site.forge.lfs_write(&caller, &path(name)).await?;
    site.forge.lfs_take_in(&caller, &repo, pointer(content), content).await?;
    site.forge.lfs_read(&caller, &path(name)).await
}

#[tokio::test]
async fn the_bytes_are_there_once_and_as_long_as_somebody_has_them() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for name in ["one", "two"] {
        site.repo(&alice, name, Visibility::Private).await;
    }
    let one = put(&site, &alice, "alice/one", b"abc").await.unwrap();
    let again = put(&site, &alice, "alice/one", b"abc").await;
    assert!(again.is_ok(), "the same object again is no error");
    let two = site.forge.repo(&alice, &path("alice/two")).await.unwrap();
    assert_eq!(site.forge.lfs_state(&one, &pointer(b"abc")).await.unwrap(), LfsState::Present);
    assert_eq!(site.forge.lfs_state(&two, &pointer(b"abc")).await.unwrap(), LfsState::Absent);
    let other_size = LfsPointer { size: 4, ..pointer(b"abc") };
    assert_eq!(site.forge.lfs_state(&one, &other_size).await.unwrap(), LfsState::OtherSize);
    assert!(matches!(site.forge.lfs_object(&two, &pointer(b"abc").oid).await.map(drop), Err(Error::NotFound)));
    put(&site, &alice, "alice/two", b"abc").await.unwrap();
    put(&site, &alice, "alice/one", b"only here").await.unwrap();
    assert_eq!(shelved(&site), 2);
    let database = site.forge.0.store.read();
    assert_eq!(store::lfs::bytes_of_repo(&database, one.id).await.unwrap(), 12);

    site.forge.delete_repo(one.for_admin().unwrap()).await.unwrap();
    site.forge.sweep_lfs().await.unwrap();
    assert_eq!(shelved(&site), 1);
    let read = site.forge.lfs_object(&two, &pointer(b"abc").oid).await.unwrap();
    assert_eq!(read.size, 3);
    site.forge.delete_repo(two.for_admin().unwrap()).await.unwrap();
    site.forge.sweep_lfs().await.unwrap();
    assert_eq!(shelved(&site), 0);
}

#[tokio::test]
async fn what_is_refused_or_cut_leaves_no_byte() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "one", Visibility::Private).await;
    let repo = || async {
        let caller = LfsCaller::from(alice.clone());
        site.forge.lfs_write(&caller, &path("alice/one")).await.unwrap()
    };
    let caller = LfsCaller::from(alice.clone());
    let short = site.forge.lfs_take_in(&caller, &repo().await, pointer(b"abc"), &b"ab"[..]).await;
    assert!(matches!(short, Err(Error::Field { field: "object", .. })), "{short:?}");
    let endless = site.forge.lfs_take_in(&caller, &repo().await, pointer(b"abc"), tokio::io::repeat(7)).await;
    assert!(matches!(endless, Err(Error::Field { field: "object", .. })), "{endless:?}");
    let huge = LfsPointer { size: u64::MAX, ..pointer(b"abc") };
    let refused = site.forge.lfs_take_in(&caller, &repo().await, huge, tokio::io::repeat(7)).await;
    assert!(matches!(refused, Err(Error::Field { field: "object", .. })), "{refused:?}");
    let writer = repo().await;
    let (mut ours, theirs) = tokio::io::duplex(16);
    let cut = tokio::select! {
        done = site.forge.lfs_take_in(&caller, &writer, pointer(b"abc"), theirs) => done.is_ok(),
        () = async {
            tokio::io::AsyncWriteExt::write_all(&mut ours, b"a").await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        } => false,
    };
    assert!(!cut);
    let begun = std::time::Instant::now();
    while shelved(&site) > 0 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "an upload that was cut is still there");
        tokio::task::yield_now().await;
    }
}

/// Bytes of large files that the repository is held to have.
async fn counted(site: &Site, repo_id: i64) -> i64 {
    store::quotas::usage(&site.forge.0.store.read(), repo_id).await.unwrap().lfs_bytes
}

#[tokio::test]
async fn large_files_are_held_against_the_quota_and_counted_once() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    site.repo(&alice, "one", Visibility::Private).await;
    let admin = site.forge.repo(&alice, &path("alice/one")).await.unwrap().for_admin().unwrap();
    site.forge.set_repo_quota(&root, &admin, "1").await.unwrap();
    let large = vec![7; 2 << 20];
    let refused = put(&site, &alice, "alice/one", &large).await;
    assert!(
        matches!(&refused, Err(error @ Error::Field { field: "object", .. }) if error.to_string().contains("over quota")),
        "{refused:?}"
    );
    for _ in 0..2 {
        put(&site, &alice, "alice/one", &large[..600 << 10]).await.unwrap();
    }
    assert!(put(&site, &alice, "alice/one", &large[..500 << 10]).await.is_err(), "what is there counts");
    let caller = LfsCaller::from(alice.clone());
    let repo = site.forge.lfs_write(&caller, &path("alice/one")).await.unwrap();
    let wrong = site.forge.lfs_take_in(&caller, &repo, pointer(&large[..300 << 10]), &b"short"[..]).await;
    assert!(wrong.is_err());
    let begun = std::time::Instant::now();
    while counted(&site, repo.0.id).await != 600 << 10 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "room for what was refused is given back");
        tokio::task::yield_now().await;
    }
    // What a crash left taken is counted anew.
    site.forge.take_lfs_room(&repo, 1000).await.unwrap().unwrap();
    let tx = site.forge.0.store.begin().await.unwrap();
    store::quotas::recount_lfs(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counted(&site, repo.0.id).await, 600 << 10);
}

/// An upload may take an hour, and whoever sends it may be put out meanwhile.
#[tokio::test]
async fn an_upload_whose_right_ends_on_the_way_is_not_kept() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    site.repo(&alice, "one", Visibility::Private).await;
    let admin = || async { site.forge.repo(&alice, &path("alice/one")).await.unwrap().for_admin().unwrap() };
    site.forge.set_collaborator(&admin().await, &owner("bob"), Access::Write).await.unwrap();
    let caller = LfsCaller::from(bob.clone());
    let repo = site.forge.lfs_write(&caller, &path("alice/one")).await.unwrap();
    let (mut sending, input) = tokio::io::duplex(1);
    let taken = site.forge.lfs_take_in(&caller, &repo, pointer(b"abc"), input);
    let sent = async {
        // The pipe holds one byte: the second goes only once the upload reads.
        tokio::io::AsyncWriteExt::write_all(&mut sending, b"ab").await.unwrap();
        site.forge.remove_collaborator(&admin().await, &owner("bob")).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut sending, b"c").await.unwrap();
        drop(sending);
    };
    let (taken, ()) = tokio::join!(taken, sent);
    assert!(matches!(taken, Err(Error::NotFound)), "{taken:?}");
    assert!(put(&site, &alice, "alice/one", b"other").await.is_ok());
    let read = site.forge.repo(&alice, &path("alice/one")).await.unwrap();
    assert_eq!(site.forge.lfs_state(&read, &pointer(b"abc")).await.unwrap(), LfsState::Absent);
}

#[tokio::test]
async fn a_deploy_key_brings_large_files_and_takes_no_locks() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "one", Visibility::Private).await;
    let admin = site.forge.repo(&alice, &path("alice/one")).await.unwrap().for_admin().unwrap();
    let pair = vault::ssh_key::generate("machine").unwrap();
    let key = site.forge.add_deploy_key(&admin, "", &pair.public, true).await.unwrap();
    let machine = site.forge.by_ssh_key(&key.fingerprint).await.unwrap().unwrap();
    let pass = site.forge.lfs_pass(&machine, &path("alice/one"), LfsOperation::Upload).await.unwrap();
    let caller = site.forge.by_lfs_pass(&pass, HOME).await.unwrap();
    let repo = site.forge.lfs_write(&caller, &path("alice/one")).await.unwrap();
    site.forge.lfs_take_in(&caller, &repo, pointer(b"abc"), &b"abc"[..]).await.unwrap();
    assert!(matches!(site.forge.take_lfs_lock(&repo, "a.psd").await, Err(Error::Denied { .. })));
    let admin = site.forge.repo(&alice, &path("alice/one")).await.unwrap().for_admin().unwrap();
    site.forge.remove_deploy_key(&admin, key.id).await.unwrap();
    assert!(matches!(site.forge.by_lfs_pass(&pass, HOME).await, Err(Error::SignInRefused)));
}

#[tokio::test]
async fn who_maintains_takes_anothers_lock_away_and_who_writes_does_not() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "one", Visibility::Private).await;
    let admin = || async { site.forge.repo(&alice, &path("alice/one")).await.unwrap().for_admin().unwrap() };
    for (name, level, is_enough) in [("wim", Access::Write, false), ("mona", Access::Maintain, true)] {
        let person = site.user(name).await;
        site.forge.set_collaborator(&admin().await, &owner(name), level).await.unwrap();
        // A token that pushes is all that a Git client has.
        let pusher = site.by_token(&person, "write:repository", &[]).await;
        let own = site.forge.lfs_write(&LfsCaller::from(alice.clone()), &path("alice/one")).await.unwrap();
        let locked = site.forge.take_lfs_lock(&own, "a.psd").await.unwrap();
        let (LfsLocked::Taken(lock) | LfsLocked::Held(lock)) = locked;
        let repo = site.forge.lfs_write(&LfsCaller::from(pusher.clone()), &path("alice/one")).await.unwrap();
        let released = site.forge.release_lfs_lock(&repo, &pusher, &lock.id, true).await;
        assert_eq!(released.is_ok(), is_enough, "{name}: {released:?}");
    }
}

#[tokio::test]
async fn locks_are_taken_once_and_found_by_their_repository() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "one", Visibility::Private).await;
    site.repo(&alice, "two", Visibility::Private).await;
    let caller = LfsCaller::from(alice.clone());
    let one = site.forge.lfs_write(&caller, &path("alice/one")).await.unwrap();
    let two = site.forge.lfs_write(&caller, &path("alice/two")).await.unwrap();
    let LfsLocked::Taken(lock) = site.forge.take_lfs_lock(&one, "a/b.psd").await.unwrap() else { panic!("held") };
    assert!(matches!(site.forge.take_lfs_lock(&one, "a/b.psd").await.unwrap(), LfsLocked::Held(held) if held == lock));
    assert!(matches!(site.forge.take_lfs_lock(&two, "a/b.psd").await.unwrap(), LfsLocked::Taken(_)));
    let wrong = site.forge.release_lfs_lock(&two, &alice, &lock.id, true).await;
    assert!(matches!(wrong, Err(Error::NotFound)));
    let read = site.forge.lfs_read(&caller, &path("alice/one")).await.unwrap();
    let found = site.forge.lfs_locks(&read, &LfsLockFilter::default()).await.unwrap();
    assert_eq!(found.locks, std::slice::from_ref(&lock));
    assert_eq!(site.forge.release_lfs_lock(&one, &alice, &lock.id, false).await.unwrap(), lock);
    assert_eq!(site.forge.lfs_locks(&read, &LfsLockFilter::default()).await.unwrap().locks, []);
}

/// Without a key there is nothing that would end a pass before its time.
#[tokio::test]
async fn a_pass_is_given_to_keys_alone() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "one", Visibility::Private).await;
    let refused = site.forge.lfs_pass(&alice, &path("alice/one"), LfsOperation::Download).await;
    assert!(matches!(refused, Err(Error::Denied { .. })));
    // What the key has sealed for another purpose is no pass.
    let other = site.forge.0.key.encrypt(b"gitgrit", site.forge.now()).unwrap();
    assert!(matches!(site.forge.by_lfs_pass(&secret(&other), HOME).await, Err(Error::SignInRefused)));
}

super::on_a_server_too! {
    the_bytes_are_there_once_and_as_long_as_somebody_has_them,
    what_is_refused_or_cut_leaves_no_byte,
    large_files_are_held_against_the_quota_and_counted_once,
    a_deploy_key_brings_large_files_and_takes_no_locks,
    locks_are_taken_once_and_found_by_their_repository,
    a_pass_is_given_to_keys_alone,
}
