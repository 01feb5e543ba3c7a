//! Numbered migrations: each runs whole or not at all, and is never edited once it was released. Goes forward only.

use rusqlite::{Connection, TransactionBehavior};

use base::clock::Timestamp;

use crate::StoreError;
use crate::error::Cause;

pub(crate) struct Migration {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    sql: &'static str,
    /// What PostgreSQL runs instead; the test in `server_test` holds it to the same tables.
    pub(crate) postgres: &'static str,
}

/// The names of all migrations in their order, as in `0001-first-light`.
pub fn migration_names() -> Vec<String> {
    let name = |one: &Migration| format!("{:04}-{}", one.number, one.name.replace(' ', "-"));
    MIGRATIONS.iter().map(name).collect()
}

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "first light",
        sql: include_str!("migrations/0001_first_light.sql"),
        postgres: include_str!("migrations/0001_first_light.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "audit log",
        sql: include_str!("migrations/0002_audit.sql"),
        postgres: include_str!("migrations/0002_audit.sql"),
    },
    Migration {
        number: 3,
        name: "access",
        sql: include_str!("migrations/0003_access.sql"),
        postgres: include_str!("migrations/0003_access.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "jobs",
        sql: include_str!("migrations/0004_jobs.sql"),
        postgres: include_str!("migrations/0004_jobs.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "push rules",
        sql: include_str!("migrations/0005_push.sql"),
        postgres: include_str!("migrations/0005_push.postgres.sql"),
    },
    Migration {
        number: 6,
        name: "large files",
        sql: include_str!("migrations/0006_lfs.sql"),
        postgres: include_str!("migrations/0006_lfs.postgres.sql"),
    },
    Migration {
        number: 7,
        name: "second factor",
        sql: include_str!("migrations/0007_second_factor.sql"),
        postgres: include_str!("migrations/0007_second_factor.postgres.sql"),
    },
    Migration {
        number: 8,
        name: "commit statuses",
        sql: include_str!("migrations/0008_commit_statuses.sql"),
        postgres: include_str!("migrations/0008_commit_statuses.postgres.sql"),
    },
];

/// The newest schema that this program knows.
pub const KNOWN_SCHEMA: u32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// What opening a database with this schema number would run, number and name.
pub fn pending(schema: u32) -> impl Iterator<Item = (u32, &'static str)> {
    MIGRATIONS
        .iter()
        .filter(move |migration| migration.number > schema)
        .map(|migration| (migration.number, migration.name))
}

/// Brings the database to [`KNOWN_SCHEMA`]. Two processes may run it at once: the second waits and finds the work done.
pub(crate) fn run(connection: &mut Connection, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                 number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL
             )",
        )
        .map_err(StoreError::of_statement)?;
    let found = schema(connection)?;
    if found > KNOWN_SCHEMA {
        return Err(StoreError::NewerSchema { found, known: KNOWN_SCHEMA });
    }
    for migration in MIGRATIONS {
        apply(connection, migration, now)?;
    }
    Ok(())
}

/// The database's schema number; 0 before the first migration.
pub(crate) fn schema(connection: &Connection) -> Result<u32, StoreError> {
    if !has_table(connection, "schema_migrations")? {
        return Ok(0);
    }
    let found: i64 = connection
        .query_row("SELECT COALESCE(MAX(number), 0) FROM schema_migrations", [], |row| row.get(0))
        .map_err(StoreError::of_statement)?;
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}

pub(crate) fn has_table(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    connection
        .prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")
        .and_then(|mut statement| statement.exists([name]))
        .map_err(StoreError::of_statement)
}

fn apply(connection: &mut Connection, migration: &Migration, now: Timestamp) -> Result<(), StoreError> {
    let failed = |source| StoreError::Migration { number: migration.number, source: Cause::File(source) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let recorded = {
        let mut statement =
            transaction.prepare("SELECT checksum FROM schema_migrations WHERE number = ?1").map_err(failed)?;
        let mut rows = statement.query([migration.number]).map_err(failed)?;
        rows.next().and_then(|row| row.map(|row| row.get::<_, String>(0)).transpose()).map_err(failed)?
    };
    let checksum = checksum(migration.sql);
    match recorded {
        Some(recorded) if recorded == checksum => return Ok(()),
        Some(_) => return Err(StoreError::OtherMigration { number: migration.number }),
        None => {}
    }
    transaction.execute_batch(migration.sql).map_err(failed)?;
    transaction
        .execute(
            "INSERT INTO schema_migrations (number, name, checksum, applied) VALUES (?1, ?2, ?3, ?4)",
            (migration.number, migration.name, checksum, now.0),
        )
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    tracing::info!(migration.number, migration.name, "database migrated");
    Ok(())
}

/// FNV-1a of 64 bits: guards against an edited migration, not against an adversary, who could edit the record as well.
pub(crate) fn checksum(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = memory();
        run(&mut connection, Timestamp(1)).unwrap();
        connection.execute("INSERT INTO schema_migrations VALUES (999, 'later', 'x', 1)", []).unwrap();
        let refused = run(&mut connection, Timestamp(2));
        assert!(matches!(refused, Err(StoreError::NewerSchema { found: 999, known: KNOWN_SCHEMA })));
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let mut connection = memory();
        run(&mut connection, Timestamp(1)).unwrap();
        connection.execute("UPDATE schema_migrations SET checksum = 'other'", []).unwrap();
        assert!(matches!(run(&mut connection, Timestamp(2)), Err(StoreError::OtherMigration { number: 1 })));
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let mut connection = memory();
        run(&mut connection, Timestamp(1)).unwrap();
        let broken = Migration {
            number: KNOWN_SCHEMA + 1,
            name: "broken",
            sql: "CREATE TABLE half (a BIGINT); CREATE TABLE owners (a BIGINT);",
            postgres: "",
        };
        let refused = apply(&mut connection, &broken, Timestamp(2));
        assert!(matches!(refused, Err(StoreError::Migration { number, .. }) if number == KNOWN_SCHEMA + 1));
        assert!(!has_table(&connection, "half").unwrap());
        assert_eq!(schema(&connection).unwrap(), KNOWN_SCHEMA);
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for (migration, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.number, number);
        }
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let mut connection = memory();
        run(&mut connection, Timestamp(1)).unwrap();
        run(&mut connection, Timestamp(2)).unwrap();
        let applied: i64 =
            connection.query_row("SELECT MAX(applied) FROM schema_migrations", [], |row| row.get(0)).unwrap();
        assert_eq!(applied, 1);
    }

    #[test]
    fn tokens_and_pushes_from_before_keep_their_meaning() {
        let connection = memory();
        let place = MIGRATIONS.iter().position(|migration| migration.name == "access").unwrap();
        for migration in &MIGRATIONS[..place] {
            connection.execute_batch(migration.sql).unwrap();
        }
        let before = "INSERT INTO owners (id, kind, name, name_key, created) VALUES (1, 'user', 'a', 'a', 1);
            INSERT INTO users (id, full_name, is_admin, is_active) VALUES (1, '', 0, 1);
            INSERT INTO tokens (id, user_id, name, token_hash, scope, created) VALUES (1, 1, 'r', 'h1', 'read', 1);
            INSERT INTO tokens (id, user_id, name, token_hash, scope, created) VALUES (2, 1, 'w', 'h2', 'write', 1);
            INSERT INTO repos (id, owner_id, name, name_key, visibility, description, created)
                VALUES (1, 1, 'x', 'x', 'private', '', 1);
            INSERT INTO push_intents (repo_id, actor_id, at, ref_name, old_id, new_id) VALUES (1, 1, 1, 'r', '0', '1');";
        connection.execute_batch(before).unwrap();
        connection.execute_batch(MIGRATIONS[place].sql).unwrap();
        let text = "SELECT group_concat(scopes, ' ') || ' ' || SUM(is_limited) || ' '
            || (SELECT actor_id || COALESCE(actor, '-') FROM push_intents) FROM tokens ORDER BY id";
        let kept: String = connection.query_row(text, [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "read:repository write:repository 0 1-");
    }
}
