//! A database that moves from a file to a server: all of it, or nothing.

use std::path::Path;
use std::sync::Arc;

use base::Secret;

use crate::copy::{self, CopyError, Digest, Digests};
use crate::server_for_tests::Server;
use crate::tests::{Ground, NOW, person};
use crate::users;
use crate::{Address, KNOWN_SCHEMA, Login, Query, Store, Tx, events, facts, loose_directories};

/// FNV-1a, which is enough to see that two tables differ.
struct Sum(u64);

impl Digest for Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(self: Box<Self>) -> String {
        format!("{:016x}", self.0)
    }
}

fn digests() -> Digests {
    Arc::new(|| Box::new(Sum(0xcbf2_9ce4_8422_2325)))
}

fn login(url: &str) -> Login {
    Login::parse(&Secret::new(url.into()), None).unwrap()
}

async fn filled(path: &Path, full_names: &[&str]) -> Store {
    let store = Store::open(&Address::File(path.into()), NOW).await.unwrap();
    let tx = store.begin().await.unwrap();
    for (number, full_name) in full_names.iter().enumerate() {
        let name = format!("user{number}");
        let id = users::insert(&tx, &users::NewUserRecord { full_name, ..person(&name) }).await.unwrap();
        let event = events::EventRecord {
            at: NOW,
            actor_id: Some(id),
            actor: Some(name.clone()),
            kind: "user.created".into(),
            repo_id: None,
            repo: None,
            subject: name,
            old_value: None,
            new_value: Some((*full_name).to_owned()),
            address: None,
            request: None,
        };
        let mut link = events::advance(&tx).await.unwrap();
        link.hash = format!("hash {number}");
        events::append(&tx, &link, &event).await.unwrap();
    }
    facts::put_once(&tx, facts::CANARY, "song").await.unwrap();
    tx.commit().await.unwrap();
    // A number that was given and whose row is gone: it must never be given again.
    let tx = store.begin().await.unwrap();
    for _ in 0..7 {
        let id = take(&tx).await;
        loose_directories::settle(&tx, id).await.unwrap();
    }
    tx.commit().await.unwrap();
    store
}

async fn take(tx: &Tx) -> i64 {
    loose_directories::take(tx).await.unwrap()
}

const AWKWARD: [&str; 8] =
    ["", "a\tb\\N", "\\N", "line\nend\r", "\u{8}\u{b}\u{c}\u{1b}\u{7f}", "ä😀\u{feff}", "'\"$1", "\\."];

#[test]
fn a_copy_holds_what_the_file_holds_and_goes_on_counting() {
    let Some(server) = Server::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        filled(&path, &AWKWARD).await.close().await;
        let before = std::fs::read(&path).unwrap();
        let url = server.database("copy");
        let rehearsed = copy::preview(&path, &login(&url), &digests()).await.unwrap();
        let copied = copy::copy(&path, &login(&url), &digests(), NOW).await.unwrap();
        assert_eq!(rehearsed, copied);
        assert_eq!(std::fs::read(&path).unwrap(), before, "the source was changed");

        let store = Store::open(&Address::Server(login(&url)), NOW).await.unwrap();
        let people = users::people(&store.read()).await.unwrap();
        assert_eq!(people.iter().map(|one| one.full_name.as_str()).collect::<Vec<_>>(), AWKWARD);
        assert_eq!(events::head(&store.read()).await.unwrap().number, 8);
        let tx = store.begin().await.unwrap();
        assert_eq!(take(&tx).await, 8);
        let refused = tx.rows("DELETE FROM events", Vec::new()).await;
        assert!(refused.is_err(), "events can be removed on the copy");
        drop(tx);
        // All that the schema has, whatever it will have: none is forgotten, and none is there twice.
        let all = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
             WHERE table_schema = 'public' AND table_name <> 'schema_migrations' ORDER BY 1";
        let all = store.read().rows(all, Vec::new()).await.unwrap();
        let mut names: Vec<_> = copied.iter().map(|table| table.name.clone()).collect();
        names.sort();
        assert_eq!(names, all.iter().map(|row| row.get::<String>(0).unwrap()).collect::<Vec<_>>());
        assert!(names.len() > 10);
        store.close().await;

        let again = copy::copy(&path, &login(&url), &digests(), NOW).await;
        assert!(matches!(again, Err(CopyError::NotEmpty { .. })), "{again:?}");
        let again = copy::preview(&path, &login(&url), &digests()).await;
        assert!(matches!(again, Err(CopyError::NotEmpty { .. })), "{again:?}");
    });
}

#[test]
fn what_cannot_be_copied_leaves_nothing_behind() {
    let Some(server) = Server::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (directory, url) = (tempfile::tempdir().unwrap(), server.database("copy"));
        let path = directory.path().join("db");
        let absent = copy::copy(&path, &login(&url), &digests(), NOW).await;
        assert!(matches!(absent, Err(CopyError::Absent { .. })), "{absent:?}");
        filled(&path, &["fine", "a\0b"]).await.close().await;
        let nul = copy::copy(&path, &login(&url), &digests(), NOW).await;
        assert!(matches!(&nul, Err(CopyError::Nul { table }) if table == "events" || table == "users"), "{nul:?}");

        let old = directory.path().join("old");
        let store = Store::open(&Address::File(old.clone()), NOW).await.unwrap();
        let tx = store.begin().await.unwrap();
        tx.rows("DELETE FROM schema_migrations WHERE number = $1", vec![i64::from(KNOWN_SCHEMA).into()]).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
        let due = copy::copy(&old, &login(&url), &digests(), NOW).await;
        assert!(matches!(due, Err(CopyError::Schema { .. })), "{due:?}");
        // As empty as before.
        let fine = directory.path().join("fine");
        filled(&fine, &["fine"]).await.close().await;
        copy::copy(&fine, &login(&url), &digests(), NOW).await.unwrap();
    });
}

/// A ground of its own, whose every test says what it stands on.
#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let scratch = Ground::File.open().await;
    let nowhere = login("postgres://u:hunter2@127.0.0.1:1/x");
    let away = copy::copy(&scratch.path(), &nowhere, &digests(), NOW).await.err().unwrap();
    assert!(matches!(away, CopyError::Store(crate::StoreError::Away(_))), "{away:?}");
}
