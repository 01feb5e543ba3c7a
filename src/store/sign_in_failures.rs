//! Failed sign-ins, so that a restart forgives nobody. Keys are hashes: what was tried is not kept, as a password may have
//! been typed for a name.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// How often something failed, and until when that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRecord {
    /// What it counts for, hashed.
    pub key: String,
    /// How often.
    pub failures: i64,
    /// When it ends to count.
    pub until: Timestamp,
}

/// One count that is in force.
pub async fn by_key(database: &impl Query, key: &str, now: Timestamp) -> Result<Option<FailureRecord>, StoreError> {
    const SQL: &str = "SELECT key_hash, failures, ends FROM sign_in_failures WHERE key_hash = $1 AND ends > $2";
    database.first(SQL, values![key, now]).await?.as_ref().map(read).transpose()
}

/// Writes a count, in place of the one that was there.
pub async fn put(tx: &Tx, count: &FailureRecord) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO sign_in_failures (key_hash, failures, ends) VALUES ($1, $2, $3)
         ON CONFLICT (key_hash) DO UPDATE SET failures = excluded.failures, ends = excluded.ends";
    tx.rows(SQL, values![&count.key, count.failures, count.until]).await.map(drop)
}

/// Forgets one count.
pub async fn remove(tx: &Tx, key: &str) -> Result<(), StoreError> {
    tx.rows("DELETE FROM sign_in_failures WHERE key_hash = $1", values![key]).await.map(drop)
}

/// Forgets what has ended to count.
pub async fn remove_ended(tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.rows("DELETE FROM sign_in_failures WHERE ends <= $1", values![now]).await.map(drop)
}

fn read(row: &Row) -> Result<FailureRecord, StoreError> {
    Ok(FailureRecord { key: row.get(0)?, failures: row.get(1)?, until: row.get(2)? })
}
