//! Authorities whose SSH user certificates the site takes. An authority, known by its fingerprint, is there once.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// An authority as stored.
#[derive(Clone, Debug)]
pub struct SshAuthorityRecord {
    /// Its id.
    pub id: i64,
    /// The title that the administrator gave it.
    pub title: String,
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// When it was added.
    pub created: Timestamp,
}

/// An authority to store.
#[derive(Debug)]
pub struct NewSshAuthorityRecord<'a> {
    /// The title that the administrator gave it.
    pub title: &'a str,
    /// `ssh-ed25519` and the like.
    pub kind: &'a str,
    /// `SHA256:…`.
    pub fingerprint: &'a str,
    /// OpenSSH's one-line form.
    pub line: &'a str,
    /// When it is added.
    pub created: Timestamp,
}

fn record(row: &Row) -> Result<SshAuthorityRecord, StoreError> {
    Ok(SshAuthorityRecord {
        id: row.get(0)?,
        title: row.get(1)?,
        kind: row.get(2)?,
        fingerprint: row.get(3)?,
        created: row.get(4)?,
    })
}

/// All authorities, newest first.
pub async fn all(database: &impl Query) -> Result<Vec<SshAuthorityRecord>, StoreError> {
    const SQL: &str = "SELECT id, title, kind, fingerprint, created FROM ssh_authorities ORDER BY id DESC";
    database.rows(SQL, values![]).await?.iter().map(record).collect()
}

/// Says whether there is an authority at all.
pub async fn is_any(database: &impl Query) -> Result<bool, StoreError> {
    Ok(database.first("SELECT 1 FROM ssh_authorities LIMIT 1", values![]).await?.is_some())
}

/// Says whether this is the fingerprint of an authority.
pub async fn is_known(database: &impl Query, fingerprint: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM ssh_authorities WHERE fingerprint = $1";
    Ok(database.first(SQL, values![fingerprint]).await?.is_some())
}

/// Stores an authority. Fails with [`StoreError::Unique`] on `ssh_authorities.fingerprint`.
pub async fn insert(tx: &Tx, new: &NewSshAuthorityRecord<'_>) -> Result<SshAuthorityRecord, StoreError> {
    const SQL: &str = "INSERT INTO ssh_authorities (title, kind, fingerprint, line, created)
         VALUES ($1, $2, $3, $4, $5) RETURNING id, title, kind, fingerprint, created";
    let values = values![new.title, new.kind, new.fingerprint, new.line, new.created];
    record(&tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row" })?)
}

/// Removes an authority: its fingerprint, or `None` when there is no such one.
pub async fn remove(tx: &Tx, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "DELETE FROM ssh_authorities WHERE id = $1 RETURNING fingerprint";
    tx.first(SQL, values![id]).await?.map(|row| row.get(0)).transpose()
}
