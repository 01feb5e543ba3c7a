//! What is a server's own: it goes away and comes back, and its schema is the file's.

use crate::server_for_tests::Server;
use crate::tests::{Ground, NOW, person};
use crate::{Query, Store, StoreError, users};

#[test]
fn a_server_that_is_gone_is_named_as_such_and_used_again_when_it_is_back() {
    let Some(server) = Server::start() else { return };
    let mut ground = Ground::Server(server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let scratch = ground.open().await;
        let tx = scratch.store.begin().await.unwrap();
        users::insert(&tx, &person("half")).await.unwrap();
        let Ground::Server(server) = &mut ground else { unreachable!() };
        server.stop();
        let cut = users::insert(&tx, &person("more")).await.err();
        assert!(matches!(cut, Some(StoreError::Away(_))), "{cut:?}");
        drop(tx);
        for _ in 0..3 {
            let gone = users::people(&scratch.store.read()).await.err();
            assert!(matches!(gone, Some(StoreError::Away(_))), "{gone:?}");
            let gone = scratch.store.begin().await.err();
            assert!(matches!(gone, Some(StoreError::Away(_))), "{gone:?}");
            let gone = Store::open(&scratch.address(), NOW).await.err();
            assert!(!format!("{gone:?}").contains("hunter2"), "{gone:?}");
        }
        server.start_again();
        assert!(users::people(&scratch.store.read()).await.unwrap().is_empty());
        let tx = scratch.store.begin().await.unwrap();
        users::insert(&tx, &person("whole")).await.unwrap();
        tx.commit().await.unwrap();
    });
}

/// An order that differs between the databases is found out when somebody moves from one to the other.
#[test]
fn what_lists_are_in_the_order_of_is_in_the_order_of_bytes() {
    let Some(server) = Server::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ground = Ground::Server(server);
        let scratch = ground.open().await;
        let rows = scratch.store.read().rows(IN_BYTES, Vec::new()).await.unwrap();
        let columns: Vec<_> = rows.iter().map(|row| row.get::<String>(0).unwrap()).collect();
        let expected =
            ["commit_statuses.context", "lfs_locks.path", "owners.name_key", "repos.name_key", "teams.name_key"];
        for column in expected {
            assert!(columns.iter().any(|found| found == column), "{column} is not among {columns:?}");
        }
    });
}

#[test]
fn a_statement_that_takes_too_long_is_one_to_ask_again() {
    let Some(server) = Server::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ground = Ground::Server(server);
        let scratch = ground.open().await;
        let tx = scratch.store.begin().await.unwrap();
        tx.rows("SET LOCAL statement_timeout = 100", Vec::new()).await.unwrap();
        let late = tx.rows("SELECT 1 FROM pg_sleep(30)", Vec::new()).await.err();
        assert!(matches!(late, Some(StoreError::Busy(_))), "{late:?}");
    });
}

/// Columns of texts that are compared byte by byte.
const IN_BYTES: &str = "SELECT t.relname || '.' || a.attname FROM pg_attribute a
    JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_collation c ON c.oid = a.attcollation
    WHERE n.nspname = 'public' AND t.relkind = 'r' AND c.collname = 'C'";

/// A column that only one of the databases has, or that may be empty on one of them, is found out too late otherwise.
#[test]
fn both_databases_have_the_same_tables_columns_and_unique_keys() {
    let Some(server) = Server::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = async |ground: &Ground, sql: &'static str| {
        let scratch = ground.open().await;
        let rows = scratch.store.read().rows(sql, Vec::new()).await.unwrap();
        rows.iter().map(|row| row.get::<String>(0).unwrap()).collect::<Vec<_>>()
    };
    runtime.block_on(async {
        let server = Ground::Server(server);
        for (on_file, on_server) in [(FILE_COLUMNS, SERVER_COLUMNS), (FILE_KEYS, SERVER_KEYS)] {
            let file = ask(&Ground::File, on_file).await;
            assert!(file.len() > 10, "{file:?}");
            assert_eq!(file, ask(&server, on_server).await);
        }
    });
}

/// Table, column, kind, whether it may be null.
const FILE_COLUMNS: &str = "SELECT m.name || '.' || c.name || ' '
        || CASE WHEN c.type = 'TEXT' THEN 'text' ELSE 'number' END
        || CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN '' ELSE ' null' END AS line
    FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY line";
const SERVER_COLUMNS: &str = "SELECT (table_name || '.' || column_name || ' '
        || CASE WHEN data_type = 'text' THEN 'text' WHEN data_type IN ('bigint', 'smallint') THEN 'number'
           ELSE data_type END
        || CASE WHEN is_nullable = 'NO' THEN '' ELSE ' null' END) COLLATE \"C\" AS line
    FROM information_schema.columns WHERE table_schema = 'public' ORDER BY line";
/// Table and columns of what is unique, then of the other indexes, then foreign keys.
const FILE_KEYS: &str = "SELECT m.name || ' ' || CASE WHEN i.\"unique\" = 1 THEN 'unique' ELSE 'index' END || ' '
        || (SELECT group_concat(x.name, ',') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) x) AS line
    FROM sqlite_master m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT m.name || ' unique ' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND c.pk = 1 AND c.type = 'INTEGER'
    UNION ALL
    SELECT m.name || ' refers ' || f.\"from\" || ' ' || f.\"table\" || ' ' || lower(f.on_delete)
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'
    ORDER BY line";
const SERVER_KEYS: &str = "SELECT (line COLLATE \"C\") AS line FROM (
        SELECT t.relname || ' ' || CASE WHEN i.indisunique THEN 'unique' ELSE 'index' END || ' '
            || (SELECT string_agg(a.attname, ',' ORDER BY k.place)
                FROM unnest(i.indkey) WITH ORDINALITY k (number, place)
                JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) AS line
        FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE n.nspname = 'public'
        UNION ALL
        SELECT t.relname || ' refers ' || a.attname || ' ' || r.relname || ' '
            || CASE c.confdeltype WHEN 'c' THEN 'cascade' ELSE 'no action' END
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'
    ) lines ORDER BY line";
