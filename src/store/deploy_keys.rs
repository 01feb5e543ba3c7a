//! SSH keys of machines, each bound to one repository; one key may be bound to several. No user is behind them.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A deploy key as stored.
#[derive(Clone, Debug)]
pub struct DeployKeyRecord {
    /// Its id.
    pub id: i64,
    /// The title it was given.
    pub title: String,
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// OpenSSH's one-line form.
    pub line: String,
    /// Says whether it may push.
    pub can_write: bool,
    /// When it was added.
    pub created: Timestamp,
    /// When it last came.
    pub used: Option<Timestamp>,
}

/// A deploy key to store.
#[derive(Debug)]
pub struct NewDeployKeyRecord<'a> {
    /// The repository.
    pub repo_id: i64,
    /// The title it is given.
    pub title: &'a str,
    /// `ssh-ed25519` and the like.
    pub kind: &'a str,
    /// `SHA256:…`.
    pub fingerprint: &'a str,
    /// OpenSSH's one-line form.
    pub line: &'a str,
    /// Says whether it may push.
    pub can_write: bool,
    /// When it is added.
    pub created: Timestamp,
}

fn record(row: &Row) -> Result<DeployKeyRecord, StoreError> {
    Ok(DeployKeyRecord {
        id: row.get(0)?,
        title: row.get(1)?,
        kind: row.get(2)?,
        fingerprint: row.get(3)?,
        line: row.get(4)?,
        can_write: row.get(5)?,
        created: row.get(6)?,
        used: row.get(7)?,
    })
}

/// A repository's deploy keys, newest first.
pub async fn of_repo(database: &impl Query, repo_id: i64) -> Result<Vec<DeployKeyRecord>, StoreError> {
    const SQL: &str = "SELECT id, title, kind, fingerprint, line, can_write, created, used FROM deploy_keys
         WHERE repo_id = $1 ORDER BY id DESC";
    database.rows(SQL, values![repo_id]).await?.iter().map(record).collect()
}

/// Says whether a key opens any repository, and when one of them was last opened with it.
pub async fn find(database: &impl Query, fingerprint: &str) -> Result<Option<Option<Timestamp>>, StoreError> {
    const SQL: &str = "SELECT MAX(used) FROM deploy_keys WHERE fingerprint = $1 HAVING COUNT(*) > 0";
    database.first(SQL, values![fingerprint]).await?.map(|row| row.get(0)).transpose()
}

/// Stores a deploy key. Fails with [`StoreError::Unique`] on `deploy_keys.fingerprint`.
pub async fn insert(tx: &Tx, new: &NewDeployKeyRecord<'_>) -> Result<DeployKeyRecord, StoreError> {
    const SQL: &str = "INSERT INTO deploy_keys (repo_id, title, kind, fingerprint, line, can_write, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, title, kind, fingerprint, line, can_write, created, used";
    let NewDeployKeyRecord { repo_id, title, kind, fingerprint, line, can_write, created } = *new;
    let values = values![repo_id, title, kind, fingerprint, line, can_write, created];
    record(&tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row" })?)
}

/// Removes a deploy key of the repository: its fingerprint, or `None` when it has no such key.
pub async fn remove(tx: &Tx, repo_id: i64, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "DELETE FROM deploy_keys WHERE repo_id = $1 AND id = $2 RETURNING fingerprint";
    tx.first(SQL, values![repo_id, id]).await?.map(|row| row.get(0)).transpose()
}

/// Notes a use.
pub async fn set_used(tx: &Tx, fingerprint: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE deploy_keys SET used = $2 WHERE fingerprint = $1", values![fingerprint, at]).await.map(drop)
}
