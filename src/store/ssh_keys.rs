//! SSH keys of users. A key, known by its fingerprint, belongs to one user of the whole site.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A key as stored.
#[derive(Clone, Debug)]
pub struct SshKeyRecord {
    /// Its id.
    pub id: i64,
    /// The title the user gave it.
    pub title: String,
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// When it was added.
    pub created: Timestamp,
    /// When it last signed somebody in.
    pub used: Option<Timestamp>,
}

/// A key to store.
#[derive(Debug)]
pub struct NewSshKeyRecord<'a> {
    /// Whose it is.
    pub user_id: i64,
    /// The title the user gave it.
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

/// The user of a key.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    /// The key.
    pub key_id: i64,
    /// When it was last used.
    pub used: Option<Timestamp>,
    /// The user.
    pub user_id: i64,
    /// The user's name.
    pub user_name: String,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// Says whether the user may sign in.
    pub is_active: bool,
}

fn record(row: &Row) -> Result<SshKeyRecord, StoreError> {
    Ok(SshKeyRecord {
        id: row.get(0)?,
        title: row.get(1)?,
        kind: row.get(2)?,
        fingerprint: row.get(3)?,
        created: row.get(4)?,
        used: row.get(5)?,
    })
}

/// A user's keys, newest first.
pub async fn of_user(database: &impl Query, user_id: i64) -> Result<Vec<SshKeyRecord>, StoreError> {
    const SQL: &str =
        "SELECT id, title, kind, fingerprint, created, used FROM ssh_keys WHERE user_id = $1 ORDER BY id DESC";
    database.rows(SQL, values![user_id]).await?.iter().map(record).collect()
}

/// The ids of a user's keys and the lines of each in OpenSSH's form.
pub async fn lines_of_user(database: &impl Query, user_id: i64) -> Result<Vec<(i64, String)>, StoreError> {
    let rows = database.rows("SELECT id, line FROM ssh_keys WHERE user_id = $1", values![user_id]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Whose key this is.
pub async fn owner(database: &impl Query, fingerprint: &str) -> Result<Option<KeyOwner>, StoreError> {
    const SQL: &str = "SELECT k.id, k.used, u.id, o.name, u.is_admin, u.is_active
         FROM ssh_keys k JOIN users u ON u.id = k.user_id JOIN owners o ON o.id = u.id WHERE k.fingerprint = $1";
    let Some(row) = database.first(SQL, values![fingerprint]).await? else { return Ok(None) };
    Ok(Some(KeyOwner {
        key_id: row.get(0)?,
        used: row.get(1)?,
        user_id: row.get(2)?,
        user_name: row.get(3)?,
        is_admin: row.get(4)?,
        is_active: row.get(5)?,
    }))
}

/// Stores a key. Fails with [`StoreError::Unique`] on `ssh_keys.fingerprint`.
pub async fn insert(tx: &Tx, new: &NewSshKeyRecord<'_>) -> Result<SshKeyRecord, StoreError> {
    const SQL: &str = "INSERT INTO ssh_keys (user_id, title, kind, fingerprint, line, created)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, title, kind, fingerprint, created, used";
    let values = values![new.user_id, new.title, new.kind, new.fingerprint, new.line, new.created];
    record(&tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row" })?)
}

/// Removes a key of the user: its fingerprint, or `None` when the user has no such key.
pub async fn remove(tx: &Tx, user_id: i64, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "DELETE FROM ssh_keys WHERE user_id = $1 AND id = $2 RETURNING fingerprint";
    tx.first(SQL, values![user_id, id]).await?.map(|row| row.get(0)).transpose()
}

/// Notes a use.
pub async fn set_used(tx: &Tx, id: i64, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE ssh_keys SET used = $2 WHERE id = $1", values![id, at]).await.map(drop)
}
