//! What holds for a store in a file alone: whose it is, what it is, and that looking leaves it as it was.

use crate::tests::{Ground, NOW};
use crate::{Address, Look, Query, Store, StoreError, facts};

#[tokio::test]
async fn a_newer_schema_is_refused_and_the_file_left_as_it_was() {
    let scratch = Ground::File.open().await;
    let tx = scratch.store.begin().await.unwrap();
    tx.rows("INSERT INTO schema_migrations VALUES (99, 'later', 'x', 1)", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    scratch.store.close().await;
    let before = std::fs::read(scratch.path()).unwrap();
    let refused = Store::open(&scratch.address(), NOW).await.err();
    assert!(matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
    assert_eq!(std::fs::read(scratch.path()).unwrap(), before);
}

#[tokio::test]
async fn looking_tells_schema_and_canary_and_writes_nothing() {
    let scratch = Ground::File.open().await;
    assert_eq!(Store::look(&Address::File(scratch.directory.path().join("none"))).await.unwrap(), None);
    let tx = scratch.store.begin().await.unwrap();
    assert_eq!(facts::put_once(&tx, facts::CANARY, "first").await.unwrap(), "first");
    assert_eq!(facts::put_once(&tx, facts::CANARY, "second").await.unwrap(), "first");
    tx.commit().await.unwrap();
    scratch.store.close().await;
    let before = std::fs::read(scratch.path()).unwrap();
    let seen = Store::look(&scratch.address()).await.unwrap();
    assert_eq!(seen, Some(Look { schema: crate::KNOWN_SCHEMA, canary: Some("first".into()) }));
    assert_eq!(std::fs::read(scratch.path()).unwrap(), before);
    assert!(!scratch.directory.path().join("none").exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    base::file::write_atomic(&path, &[b'x'; 4096], 0o600).unwrap();
    assert!(Store::open(&Address::File(path.clone()), NOW).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), [b'x'; 4096]);
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Ground::File.open().await;
    for entry in std::fs::read_dir(scratch.directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}
