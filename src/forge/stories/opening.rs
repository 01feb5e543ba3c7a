//! How a site opens: the key, the schema, and what a crash left.

use store::Query;

use super::*;

#[tokio::test]
async fn another_key_is_refused_before_anything_is_written() {
    let site = Site::open().await;
    site.forge.close().await;
    let database = site.directory.path().join("db");
    // As a database of an older schema would look: with another key it must not even be migrated.
    let before = std::fs::read(&database).unwrap();
    let refused = open(site.directory.path(), &Key::generate(), &site.clock).await.err();
    assert!(matches!(refused, Some(OpenError::KeyMismatch)), "{refused:?}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
    assert!(open(site.directory.path(), &site.key, &site.clock).await.is_ok());
}

#[tokio::test]
async fn another_key_is_refused_before_an_older_schema_is_migrated() {
    let site = Site::open().await;
    let tx = site.forge.0.store.begin().await.unwrap();
    tx.rows("DELETE FROM schema_migrations", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    site.forge.close().await;
    let before = std::fs::read(site.directory.path().join("db")).unwrap();
    let refused = open(site.directory.path(), &Key::generate(), &site.clock).await.err();
    assert!(matches!(refused, Some(OpenError::KeyMismatch)), "{refused:?}");
    assert_eq!(std::fs::read(site.directory.path().join("db")).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_numbers() {
    let site = Site::open().await;
    let tx = site.forge.0.store.begin().await.unwrap();
    tx.rows("INSERT INTO schema_migrations VALUES (99, 'later', 'x', 1)", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    site.forge.close().await;
    let refused = open(site.directory.path(), &site.key, &site.clock).await.err();
    assert!(matches!(refused, Some(OpenError::NewerSchema { found: 99, known: store::KNOWN_SCHEMA })), "{refused:?}");
}

#[tokio::test]
async fn another_database_is_refused_and_never_silently_left_aside() {
    for url in ["sqlite:///srv/x", "mysql://u:hunter2@db/x", "postgres://u:hunter2@127.0.0.1:1/x?sslmode=allow"] {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&Key::generate());
        settings.database_url = Some(secret(url));
        let options = Options {
            settings,
            database: directory.path().join("db"),
            repositories: directory.path().join("repositories"),
            clock: Arc::new(FixedClock::new(Timestamp(0))),
        };
        let refused = Forge::open(options).await.err();
        assert!(matches!(refused, Some(OpenError::OtherDatabase(_))), "{refused:?}");
        assert!(!format!("{refused:?}").contains("hunter2"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

/// A database made anew would number its repositories from the start, and hand those of the lost one to others.
async fn an_empty_database_beside_repositories_is_refused(site: Site) {
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    site.forge.close().await;
    place_again(site.directory.path());
    let refused = open(site.directory.path(), &site.key, &site.clock).await.err();
    assert!(matches!(refused, Some(OpenError::DatabaseLost)), "{refused:?}");
}

fn place_again(directory: &Path) {
    let url = SERVER.with_borrow(|server| server.as_ref().unwrap().database("another"));
    base::file::write_atomic(&directory.join("url"), url.as_bytes(), 0o600).unwrap();
}

#[test]
fn a_server_is_watched_and_an_empty_database_never_taken_for_the_lost_one() {
    let Some(server) = Server::start() else { return };
    SERVER.set(Some(Rc::new(server)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        an_empty_database_beside_repositories_is_refused(Site::open().await).await;
        let site = Site::open().await;
        let mut server = Rc::into_inner(SERVER.take().unwrap()).unwrap();
        server.stop();
        for _ in 0..2 {
            let gone = site.forge.is_ready().await;
            assert!(matches!(gone, Err(crate::Error::Away(_))), "{gone:?}");
            let gone = site.forge.repo(&Actor::Anonymous, &path("alice/notes")).await.err();
            assert!(matches!(gone, Some(crate::Error::Away(_))), "not found is another answer: {gone:?}");
        }
        server.start_again();
        site.forge.is_ready().await.unwrap();
        site.sign_in("root").await;
    });
}

#[tokio::test]
async fn a_key_that_is_no_fernet_key_is_refused_before_a_database_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::new(Timestamp(0)));
    let refused = open(directory.path(), &secret("short"), &clock).await.err();
    assert!(matches!(refused, Some(OpenError::KeyFormat)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_right_key_passes_its_check_while_another_process_has_the_site_open() {
    let site = Site::open().await;
    let second = open(site.directory.path(), &site.key, &site.clock).await.unwrap();
    second.check_key().await.unwrap();
    second.is_ready().await.unwrap();
    second.close().await;
    site.forge.is_ready().await.unwrap();
}

#[tokio::test]
async fn a_closed_forge_is_not_ready() {
    let site = Site::open().await;
    site.forge.close().await;
    assert!(site.forge.is_ready().await.is_err());
}

#[tokio::test]
async fn a_directory_without_a_repository_is_swept_at_the_next_start() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    // What a crash leaves that came after the directory was made and before the row was written.
    let store = &site.forge.0.store;
    let tx = store.begin().await.unwrap();
    let id = store::loose_directories::take(&tx).await.unwrap();
    tx.commit().await.unwrap();
    let main = base::name::RefName::branch("main").unwrap();
    site.forge.0.repositories.create(id, &main).await.unwrap();

    let Site { forge, clock, key, directory } = site;
    forge.close().await;
    drop(forge);
    let forge = open(directory.path(), &key, &clock).await.unwrap();
    assert!(forge.0.repositories.repo(id).is_err());
    assert!(store::loose_directories::all(&forge.0.store.read()).await.unwrap().is_empty());
    assert!(forge.repo(&alice, &path("alice/notes")).await.is_ok());
}

#[tokio::test]
async fn a_directory_that_is_being_made_is_left_alone_by_a_second_process() {
    let site = Site::open().await;
    let tx = site.forge.0.store.begin().await.unwrap();
    let id = store::loose_directories::take(&tx).await.unwrap();
    tx.commit().await.unwrap();
    let main = base::name::RefName::branch("main").unwrap();
    site.forge.0.repositories.create(id, &main).await.unwrap();
    let second = open(site.directory.path(), &site.key, &site.clock).await.unwrap();
    assert!(second.0.repositories.repo(id).is_ok());
}

#[tokio::test]
async fn there_is_one_first_administrator() {
    let site = Site::open().await;
    assert!(!site.forge.ensure_administrator("other", &secret(PASSWORD)).await.unwrap());
    assert!(site.forge.has_administrator().await.unwrap());
    let root = site.sign_in("root").await;
    assert_eq!(site.forge.users(&root).await.unwrap().len(), 1);
}

super::on_a_server_too! {
    a_newer_schema_is_refused_with_both_numbers,
    the_right_key_passes_its_check_while_another_process_has_the_site_open,
    a_closed_forge_is_not_ready,
    a_directory_without_a_repository_is_swept_at_the_next_start,
    a_directory_that_is_being_made_is_left_alone_by_a_second_process,
    there_is_one_first_administrator,
}
