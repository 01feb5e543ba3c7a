//! The store as its callers see it: what lasts, what is undone, and what another process may do meanwhile.

use base::clock::Timestamp;
use base::process::Program;

use crate::users::{self, NewUserRecord, OwnerKind};
use crate::{Look, Query, Store, StoreError, events, facts, loose_directories, repos, sessions};

const NOW: Timestamp = Timestamp(1_000_000);

fn person(name: &str) -> NewUserRecord<'_> {
    NewUserRecord {
        kind: OwnerKind::User,
        name,
        name_key: name,
        full_name: "",
        password_hash: None,
        is_admin: false,
        created: NOW,
    }
}

struct Scratch {
    store: Store,
    directory: tempfile::TempDir,
}

impl Scratch {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("db"), NOW).await.unwrap();
        Self { store, directory }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("db")
    }
}

#[tokio::test]
async fn a_transaction_dropped_before_its_commit_never_happened() {
    let scratch = Scratch::open().await;
    let tx = scratch.store.begin().await.unwrap();
    users::insert(&tx, &person("alice")).await.unwrap();
    assert!(users::by_key(&tx, "alice").await.unwrap().is_some());
    assert!(users::by_key(&scratch.store.read(), "alice").await.unwrap().is_none());
    drop(tx);
    let tx = scratch.store.begin().await.unwrap();
    assert!(users::by_key(&tx, "alice").await.unwrap().is_none());
}

#[tokio::test]
async fn a_transaction_whose_statement_failed_can_still_only_be_committed_without_it() {
    let scratch = Scratch::open().await;
    let tx = scratch.store.begin().await.unwrap();
    users::insert(&tx, &person("alice")).await.unwrap();
    let again = users::insert(&tx, &person("alice")).await.unwrap_err();
    assert!(again.is_unique("owners.name_key"), "{again:?}");
    tx.commit().await.unwrap();
    assert_eq!(users::people(&scratch.store.read()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let scratch = Scratch::open().await;
    let refused = scratch.store.read().rows("DELETE FROM owners", Vec::new()).await;
    assert!(matches!(refused, Err(StoreError::Statement(_))), "{refused:?}");
}

#[tokio::test]
async fn events_are_never_changed_or_removed() {
    let scratch = Scratch::open().await;
    let event = events::EventRecord {
        at: NOW,
        actor_id: Some(1),
        actor: Some("alice".into()),
        kind: "ref.moved".into(),
        repo_id: Some(7),
        repo: Some("alice/notes".into()),
        subject: "refs/heads/main".into(),
        old_value: None,
        new_value: Some("x".into()),
        address: None,
        request: None,
    };
    let tx = scratch.store.begin().await.unwrap();
    let link = events::Link { hash: "h".into(), ..events::advance(&tx).await.unwrap() };
    events::append(&tx, &link, &event).await.unwrap();
    tx.commit().await.unwrap();
    for statement in ["DELETE FROM events", "UPDATE events SET subject = 'y'"] {
        let tx = scratch.store.begin().await.unwrap();
        assert!(tx.rows(statement, Vec::new()).await.is_err(), "{statement}");
    }
    assert_eq!(events::of_repo(&scratch.store.read(), 7).await.unwrap(), [event]);
}

#[tokio::test]
async fn names_are_unique_without_regard_to_the_id_order() {
    let scratch = Scratch::open().await;
    let tx = scratch.store.begin().await.unwrap();
    let owner_id = users::insert(&tx, &person("alice")).await.unwrap();
    let mut insert = repos::NewRepoRecord {
        id: loose_directories::take(&tx).await.unwrap(),
        owner_id,
        name: "Notes",
        name_key: "notes",
        visibility: "private",
        description: "",
        created: NOW,
    };
    repos::insert(&tx, &insert).await.unwrap();
    insert.id = loose_directories::take(&tx).await.unwrap();
    assert!(repos::insert(&tx, &insert).await.unwrap_err().is_unique("repos.name_key"));
}

#[tokio::test]
async fn a_directory_id_is_never_given_twice() {
    let scratch = Scratch::open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let tx = scratch.store.begin().await.unwrap();
        let id = loose_directories::take(&tx).await.unwrap();
        loose_directories::settle(&tx, id).await.unwrap();
        tx.commit().await.unwrap();
        ids.push(id);
    }
    assert_eq!(ids, [1, 2, 3]);
}

#[tokio::test]
async fn removing_an_owner_takes_the_sessions_along() {
    let scratch = Scratch::open().await;
    let tx = scratch.store.begin().await.unwrap();
    let id = users::insert(&tx, &person("alice")).await.unwrap();
    sessions::insert(&tx, "hash", id, NOW, NOW.plus_seconds(60)).await.unwrap();
    users::remove(&tx, id).await.unwrap();
    assert!(sessions::by_hash(&tx, "hash").await.unwrap().is_none());
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_the_file_left_as_it_was() {
    let scratch = Scratch::open().await;
    let tx = scratch.store.begin().await.unwrap();
    tx.rows("INSERT INTO schema_migrations VALUES (99, 'later', 'x', 1)", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    scratch.store.close().await;
    let before = std::fs::read(scratch.path()).unwrap();
    let refused = Store::open(&scratch.path(), NOW).await.err();
    assert!(matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
    assert_eq!(std::fs::read(scratch.path()).unwrap(), before);
}

#[tokio::test]
async fn looking_tells_schema_and_canary_and_writes_nothing() {
    let scratch = Scratch::open().await;
    assert_eq!(Store::look(&scratch.directory.path().join("none")).await.unwrap(), None);
    let tx = scratch.store.begin().await.unwrap();
    assert_eq!(facts::put_once(&tx, facts::CANARY, "first").await.unwrap(), "first");
    assert_eq!(facts::put_once(&tx, facts::CANARY, "second").await.unwrap(), "first");
    tx.commit().await.unwrap();
    scratch.store.close().await;
    let before = std::fs::read(scratch.path()).unwrap();
    let seen = Store::look(&scratch.path()).await.unwrap();
    assert_eq!(seen, Some(Look { schema: crate::KNOWN_SCHEMA, canary: Some("first".into()) }));
    assert_eq!(std::fs::read(scratch.path()).unwrap(), before);
    assert!(!scratch.directory.path().join("none").exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    base::file::write_atomic(&path, &[b'x'; 4096], 0o600).unwrap();
    assert!(Store::open(&path, NOW).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), [b'x'; 4096]);
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::open().await;
    for entry in std::fs::read_dir(scratch.directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let scratch = Scratch::open().await;
    scratch.store.close().await;
    assert!(matches!(scratch.store.begin().await, Err(StoreError::Closed)));
    assert!(matches!(users::people(&scratch.store.read()).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn closing_leaves_one_whole_file() {
    let scratch = Scratch::open().await;
    let tx = scratch.store.begin().await.unwrap();
    users::insert(&tx, &person("alice")).await.unwrap();
    tx.commit().await.unwrap();
    scratch.store.close().await;
    assert_eq!(std::fs::read_dir(scratch.directory.path()).unwrap().count(), 1);
    let again = Store::open(&scratch.path(), NOW).await.unwrap();
    assert!(users::by_key(&again.read(), "alice").await.unwrap().is_some());
}

#[tokio::test]
async fn transactions_of_many_tasks_lose_nothing() {
    let scratch = Scratch::open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = scratch.store.clone();
        tasks.spawn(async move {
            let tx = store.begin().await.unwrap();
            users::insert(&tx, &person(&format!("user{number}"))).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(users::people(&scratch.store.read()).await.unwrap().len(), 20);
}

/// Runs the named test of this binary as another process, which `VARIABLE` tells what to do.
fn another_process(test: &str, path: &std::path::Path) -> Program {
    Program::new(std::env::current_exe().unwrap().to_str().unwrap())
        .options(["--exact", "--nocapture"])
        .operands([format!("tests::{test}")])
        .env(VARIABLE, path)
}

const VARIABLE: &str = "GITGRIT_STORE_TEST";

fn path_for_other() -> Option<std::path::PathBuf> {
    std::env::var_os(VARIABLE).map(Into::into)
}

#[tokio::test]
async fn two_processes_write_in_turns() {
    if let Some(path) = path_for_other() {
        let store = Store::open(&path, NOW).await.unwrap();
        for number in 0..25 {
            let tx = store.begin().await.unwrap();
            users::insert(&tx, &person(&format!("other{number}"))).await.unwrap();
            tx.commit().await.unwrap();
        }
        return;
    }
    let scratch = Scratch::open().await;
    let program = another_process("two_processes_write_in_turns", &scratch.path());
    let other = tokio::task::spawn_blocking(move || program.run(b"").unwrap());
    for number in 0..25 {
        let tx = scratch.store.begin().await.unwrap();
        users::insert(&tx, &person(&format!("own{number}"))).await.unwrap();
        tx.commit().await.unwrap();
    }
    other.await.unwrap();
    assert_eq!(users::people(&scratch.store.read()).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_process_killed_in_mid_transaction_leaves_no_half() {
    if let Some(path) = path_for_other() {
        let store = Store::open(&path, NOW).await.unwrap();
        let tx = store.begin().await.unwrap();
        users::insert(&tx, &person("whole")).await.unwrap();
        tx.commit().await.unwrap();
        let tx = store.begin().await.unwrap();
        users::insert(&tx, &person("half")).await.unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    }
    let scratch = Scratch::open().await;
    let program = another_process("a_process_killed_in_mid_transaction_leaves_no_half", &scratch.path());
    let ended = tokio::task::spawn_blocking(move || program.run(b"")).await.unwrap();
    assert!(ended.is_err() || !ended.unwrap().status.success());
    let names: Vec<_> = users::people(&scratch.store.read()).await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["whole"]);
    scratch.store.begin().await.unwrap().commit().await.unwrap();
}
