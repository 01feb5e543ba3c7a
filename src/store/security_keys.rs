//! Security keys and passkeys of users, found by what they call themselves. A counter only grows.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A security key as stored.
#[derive(Clone, Debug)]
pub struct SecurityKeyRecord {
    /// Its number here.
    pub id: i64,
    /// What its user calls it.
    pub name: String,
    /// What it calls itself, in base64.
    pub credential: String,
    /// Its public key, in base64.
    pub public_key: String,
    /// Its counter when it was last used.
    pub counter: i64,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// A security key to store.
#[derive(Debug)]
pub struct NewSecurityKeyRecord<'a> {
    /// The user.
    pub user_id: i64,
    /// What its user calls it.
    pub name: &'a str,
    /// What it calls itself, in base64.
    pub credential: &'a str,
    /// Its public key, in base64.
    pub public_key: &'a str,
    /// Its counter.
    pub counter: i64,
    /// When it is added.
    pub created: Timestamp,
}

fn record(row: &Row) -> Result<SecurityKeyRecord, StoreError> {
    Ok(SecurityKeyRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        credential: row.get(2)?,
        public_key: row.get(3)?,
        counter: row.get(4)?,
        created: row.get(5)?,
        used: row.get(6)?,
    })
}

/// The user's keys, the oldest first.
pub async fn of_user(database: &impl Query, user_id: i64) -> Result<Vec<SecurityKeyRecord>, StoreError> {
    const SQL: &str = "SELECT id, name, credential, public_key, counter, created, used FROM security_keys
         WHERE user_id = $1 ORDER BY id";
    database.rows(SQL, values![user_id]).await?.iter().map(record).collect()
}

/// Stores a key. Fails with [`StoreError::Unique`] on `security_keys.credential`.
pub async fn insert(tx: &Tx, new: &NewSecurityKeyRecord<'_>) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO security_keys (user_id, name, credential, public_key, counter, created)
         VALUES ($1, $2, $3, $4, $5, $6)";
    let values = values![new.user_id, new.name, new.credential, new.public_key, new.counter, new.created];
    tx.rows(SQL, values).await.map(drop)
}

/// Notes a use and the counter that came with it. `false` when the counter has moved since `before`.
pub async fn set_used(tx: &Tx, id: i64, before: i64, counter: i64, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE security_keys SET counter = $3, used = $4
         WHERE id = $1 AND counter = $2 RETURNING id";
    Ok(tx.first(SQL, values![id, before, counter, now]).await?.is_some())
}

/// Calls a user's key something else. `false` when the user has no such key.
pub async fn rename(tx: &Tx, user_id: i64, id: i64, name: &str) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE security_keys SET name = $3 WHERE user_id = $1 AND id = $2 RETURNING id";
    Ok(tx.first(SQL, values![user_id, id, name]).await?.is_some())
}

/// Removes a user's key and gives its name; `None` when the user has no such key.
pub async fn remove(tx: &Tx, user_id: i64, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "DELETE FROM security_keys WHERE user_id = $1 AND id = $2 RETURNING name";
    tx.first(SQL, values![user_id, id]).await?.map(|row| row.get(0)).transpose()
}

/// Removes all keys of a user.
pub async fn remove_of_user(tx: &Tx, user_id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM security_keys WHERE user_id = $1", values![user_id]).await.map(drop)
}

/// Users with a second factor that counts, by name, with what they have: an app, and how many keys.
pub async fn holders(database: &impl Query) -> Result<Vec<(String, bool, i64)>, StoreError> {
    const SQL: &str = "SELECT o.name,
             (SELECT COUNT(*) FROM authenticators a WHERE a.user_id = o.id AND a.is_confirmed = 1),
             (SELECT COUNT(*) FROM security_keys k WHERE k.user_id = o.id)
         FROM owners o WHERE EXISTS (SELECT 1 FROM security_keys k WHERE k.user_id = o.id)
             OR EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = o.id AND a.is_confirmed = 1)
         ORDER BY o.name_key";
    let read = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    database.rows(SQL, values![]).await?.iter().map(read).collect()
}
