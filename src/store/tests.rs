//! The store as its callers see it: what lasts, what is undone, and what another process may do meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use base::Secret;
use base::clock::Timestamp;
use base::process::Program;

use crate::sessions::NewSessionRecord;
use crate::users::{self, NewUserRecord, OwnerKind};
use crate::{Address, Login, Look, Query, Store, StoreError, events, facts, loose_directories, repos, sessions};

pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

pub(crate) fn person(name: &str) -> NewUserRecord<'_> {
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

/// What a test runs on.
pub(crate) enum Ground {
    File,
    Server(crate::server_for_tests::Server),
}

/// An open store in a database of its own.
pub(crate) struct Scratch {
    pub(crate) store: Store,
    place: String,
    pub(crate) directory: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn open(&self) -> Scratch {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let directory = tempfile::tempdir().unwrap();
        let place = match self {
            Self::File => directory.path().join("db").to_str().unwrap().to_owned(),
            Self::Server(server) => server.database(&format!("scratch{}", MADE.fetch_add(1, Ordering::Relaxed))),
        };
        let store = Store::open(&address(&place), NOW).await.unwrap();
        Scratch { store, place, directory }
    }
}

impl Scratch {
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("db")
    }

    pub(crate) fn address(&self) -> Address {
        address(&self.place)
    }
}

fn address(place: &str) -> Address {
    if place.starts_with('/') {
        Address::File(place.into())
    } else {
        Address::Server(Login::parse(&Secret::new(place.into()), None).unwrap())
    }
}

/// Tells each story on a file, as a test of its own, and all of them on one server.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod on_file {
            $(#[tokio::test] async fn $name() { super::$name(&super::Ground::File).await; })*
        }

        #[test]
        fn everything_holds_on_a_server_too() {
            let Some(server) = crate::server_for_tests::Server::start() else { return };
            let ground = Ground::Server(server);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            $(
                eprintln!("on the server: {}", stringify!($name));
                runtime.block_on($name(&ground));
            )*
        }
    };
}

async fn a_transaction_dropped_before_its_commit_never_happened(ground: &Ground) {
    let scratch = ground.open().await;
    let tx = scratch.store.begin().await.unwrap();
    users::insert(&tx, &person("alice")).await.unwrap();
    assert!(users::by_key(&tx, "alice").await.unwrap().is_some());
    assert!(users::by_key(&scratch.store.read(), "alice").await.unwrap().is_none());
    drop(tx);
    let tx = scratch.store.begin().await.unwrap();
    assert!(users::by_key(&tx, "alice").await.unwrap().is_none());
}

async fn a_transaction_whose_statement_failed_can_still_only_be_committed_without_it(ground: &Ground) {
    let scratch = ground.open().await;
    let tx = scratch.store.begin().await.unwrap();
    users::insert(&tx, &person("alice")).await.unwrap();
    let again = users::insert(&tx, &person("alice")).await.unwrap_err();
    assert!(again.is_unique("owners.name_key"), "{again:?}");
    tx.commit().await.unwrap();
    assert_eq!(users::people(&scratch.store.read()).await.unwrap().len(), 1);
}

async fn a_reader_cannot_write(ground: &Ground) {
    let scratch = ground.open().await;
    let refused = scratch.store.read().rows("DELETE FROM owners", Vec::new()).await;
    assert!(matches!(refused, Err(StoreError::Statement(_))), "{refused:?}");
}

async fn events_are_never_changed_or_removed(ground: &Ground) {
    let scratch = ground.open().await;
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

async fn names_are_unique_without_regard_to_the_id_order(ground: &Ground) {
    let scratch = ground.open().await;
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

async fn a_directory_id_is_never_given_twice(ground: &Ground) {
    let scratch = ground.open().await;
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

async fn removing_an_owner_takes_the_sessions_along(ground: &Ground) {
    let scratch = ground.open().await;
    let tx = scratch.store.begin().await.unwrap();
    let id = users::insert(&tx, &person("alice")).await.unwrap();
    let expires = NOW.plus_seconds(60);
    let new =
        NewSessionRecord { token_hash: "hash", user_id: id, now: NOW, expires, address: Some("10.0.0.1"), agent: "" };
    sessions::insert(&tx, &new).await.unwrap();
    users::remove(&tx, id).await.unwrap();
    assert!(sessions::by_hash(&tx, "hash").await.unwrap().is_none());
}
async fn a_closed_store_says_so(ground: &Ground) {
    let scratch = ground.open().await;
    scratch.store.close().await;
    assert!(matches!(scratch.store.begin().await, Err(StoreError::Closed)));
    assert!(matches!(users::people(&scratch.store.read()).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn closing_leaves_one_whole_file() {
    let scratch = Ground::File.open().await;
    let tx = scratch.store.begin().await.unwrap();
    users::insert(&tx, &person("alice")).await.unwrap();
    tx.commit().await.unwrap();
    scratch.store.close().await;
    assert_eq!(std::fs::read_dir(scratch.directory.path()).unwrap().count(), 1);
    let again = Store::open(&scratch.address(), NOW).await.unwrap();
    assert!(users::by_key(&again.read(), "alice").await.unwrap().is_some());
}

async fn transactions_of_many_tasks_lose_nothing(ground: &Ground) {
    let scratch = ground.open().await;
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
fn another_process(test: &str, place: &str) -> Program {
    Program::new(std::env::current_exe().unwrap().to_str().unwrap())
        .options(["--exact", "--nocapture"])
        .operands([format!("tests::on_file::{test}")])
        .env(VARIABLE, place)
}

const VARIABLE: &str = "GITGRIT_STORE_TEST";

fn place_for_other() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

async fn two_processes_write_in_turns(ground: &Ground) {
    if let Some(place) = place_for_other() {
        let store = Store::open(&address(&place), NOW).await.unwrap();
        for number in 0..25 {
            let tx = store.begin().await.unwrap();
            users::insert(&tx, &person(&format!("other{number}"))).await.unwrap();
            tx.commit().await.unwrap();
        }
        return;
    }
    let scratch = ground.open().await;
    let program = another_process("two_processes_write_in_turns", &scratch.place);
    let other = tokio::task::spawn_blocking(move || program.run(b"").unwrap());
    for number in 0..25 {
        let tx = scratch.store.begin().await.unwrap();
        users::insert(&tx, &person(&format!("own{number}"))).await.unwrap();
        tx.commit().await.unwrap();
    }
    other.await.unwrap();
    assert_eq!(users::people(&scratch.store.read()).await.unwrap().len(), 50);
}

async fn a_process_killed_in_mid_transaction_leaves_no_half(ground: &Ground) {
    if let Some(place) = place_for_other() {
        let store = Store::open(&address(&place), NOW).await.unwrap();
        let tx = store.begin().await.unwrap();
        users::insert(&tx, &person("whole")).await.unwrap();
        tx.commit().await.unwrap();
        let tx = store.begin().await.unwrap();
        users::insert(&tx, &person("half")).await.unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    }
    let scratch = ground.open().await;
    let program = another_process("a_process_killed_in_mid_transaction_leaves_no_half", &scratch.place);
    let ended = tokio::task::spawn_blocking(move || program.run(b"")).await.unwrap();
    assert!(ended.is_err() || !ended.unwrap().status.success());
    let names: Vec<_> = users::people(&scratch.store.read()).await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["whole"]);
    scratch.store.begin().await.unwrap().commit().await.unwrap();
}

async fn a_newer_schema_is_refused(ground: &Ground) {
    let scratch = ground.open().await;
    let tx = scratch.store.begin().await.unwrap();
    tx.rows("INSERT INTO schema_migrations VALUES (99, 'later', 'x', 1)", Vec::new()).await.unwrap();
    tx.rows("DELETE FROM schema_migrations WHERE number = 1", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    scratch.store.close().await;
    let refused = Store::open(&scratch.address(), NOW).await.err();
    assert!(matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
    assert_eq!(Store::look(&scratch.address()).await.unwrap(), Some(Look { schema: 99, canary: None }));
}

async fn an_edited_migration_is_refused(ground: &Ground) {
    let scratch = ground.open().await;
    let tx = scratch.store.begin().await.unwrap();
    tx.rows("UPDATE schema_migrations SET checksum = 'other'", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    let refused = Store::open(&scratch.address(), NOW).await.err();
    assert!(matches!(refused, Some(StoreError::OtherMigration { number: 1 })), "{refused:?}");
}

async fn looking_tells_schema_and_canary(ground: &Ground) {
    let scratch = ground.open().await;
    let tx = scratch.store.begin().await.unwrap();
    assert_eq!(facts::put_once(&tx, facts::CANARY, "first").await.unwrap(), "first");
    assert_eq!(facts::put_once(&tx, facts::CANARY, "second").await.unwrap(), "first");
    tx.commit().await.unwrap();
    let seen = Store::look(&scratch.address()).await.unwrap();
    assert_eq!(seen, Some(Look { schema: crate::KNOWN_SCHEMA, canary: Some("first".into()) }));
}

async fn a_transaction_left_in_the_middle_of_a_statement_is_undone(ground: &Ground) {
    let scratch = ground.open().await;
    for _ in 0..20 {
        let tx = scratch.store.begin().await.unwrap();
        let cut = std::time::Duration::from_micros(50);
        let _ = tokio::time::timeout(cut, users::insert(&tx, &person("alice"))).await;
        drop(tx);
        let _ = tokio::time::timeout(cut, scratch.store.begin()).await;
    }
    let tx = scratch.store.begin().await.unwrap();
    assert!(users::by_key(&tx, "alice").await.unwrap().is_none());
    users::insert(&tx, &person("alice")).await.unwrap();
    tx.commit().await.unwrap();
}

/// A lock that came too late would let both see the same number.
async fn transactions_see_what_the_one_before_them_did(ground: &Ground) {
    let scratch = ground.open().await;
    let other = Store::open(&scratch.address(), NOW).await.unwrap();
    let tx = scratch.store.begin().await.unwrap();
    tx.rows("INSERT INTO site_facts VALUES ('count', '0')", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    let count = async |store: Store| {
        for _ in 0..20 {
            let tx = store.begin().await.unwrap();
            let now: u32 = facts::get(&tx, "count").await.unwrap().unwrap().parse().unwrap();
            let next = vec![crate::Value::Text((now + 1).to_string())];
            tx.rows("UPDATE site_facts SET value = $1 WHERE key = 'count'", next).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    tokio::join!(count(scratch.store.clone()), count(other));
    assert_eq!(facts::get(&scratch.store.read(), "count").await.unwrap().unwrap(), "40");
}

on_both! {
    a_transaction_dropped_before_its_commit_never_happened,
    a_transaction_whose_statement_failed_can_still_only_be_committed_without_it,
    a_reader_cannot_write,
    events_are_never_changed_or_removed,
    names_are_unique_without_regard_to_the_id_order,
    a_directory_id_is_never_given_twice,
    removing_an_owner_takes_the_sessions_along,
    a_closed_store_says_so,
    transactions_of_many_tasks_lose_nothing,
    two_processes_write_in_turns,
    a_process_killed_in_mid_transaction_leaves_no_half,
    a_newer_schema_is_refused,
    an_edited_migration_is_refused,
    looking_tells_schema_and_canary,
    a_transaction_left_in_the_middle_of_a_statement_is_undone,
    transactions_see_what_the_one_before_them_did,
}
