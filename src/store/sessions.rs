//! Sessions, found by the hash of their token; the token itself is nowhere.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// A session and the user it belongs to.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The user.
    pub user_id: i64,
    /// The user's name.
    pub user_name: String,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// Says whether the user may sign in.
    pub is_active: bool,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
}

/// The session whose token hashes to this.
pub async fn by_hash(database: &impl Query, token_hash: &str) -> Result<Option<SessionRecord>, StoreError> {
    const SQL: &str = "SELECT s.user_id, o.name, u.is_admin, u.is_active, s.expires, s.seen
         FROM sessions s JOIN users u ON u.id = s.user_id JOIN owners o ON o.id = s.user_id WHERE s.token_hash = $1";
    let Some(row) = database.first(SQL, values![token_hash]).await? else { return Ok(None) };
    Ok(Some(SessionRecord {
        user_id: row.get(0)?,
        user_name: row.get(1)?,
        is_admin: row.get(2)?,
        is_active: row.get(3)?,
        expires: row.get(4)?,
        seen: row.get(5)?,
    }))
}

/// Stores a session that begins `now`.
pub async fn insert(
    tx: &Tx,
    token_hash: &str,
    user_id: i64,
    now: Timestamp,
    expires: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO sessions (token_hash, user_id, created, expires, seen) VALUES ($1, $2, $3, $4, $3)";
    tx.rows(SQL, values![token_hash, user_id, now, expires]).await.map(drop)
}

/// Notes a use.
pub async fn set_seen(tx: &Tx, token_hash: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE sessions SET seen = $2 WHERE token_hash = $1", values![token_hash, at]).await.map(drop)
}

/// Ends one session.
pub async fn remove(tx: &Tx, token_hash: &str) -> Result<(), StoreError> {
    tx.rows("DELETE FROM sessions WHERE token_hash = $1", values![token_hash]).await.map(drop)
}

/// Ends the sessions of a user, all but the one that is `kept`.
pub async fn remove_of_user(tx: &Tx, user_id: i64, kept: Option<&str>) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2";
    tx.rows(SQL, values![user_id, kept.unwrap_or_default()]).await.map(drop)
}

/// Forgets the sessions that ended before `now`, or were last used before `idle`.
pub async fn remove_ended(tx: &Tx, now: Timestamp, idle: Timestamp) -> Result<(), StoreError> {
    tx.rows("DELETE FROM sessions WHERE expires <= $1 OR seen <= $2", values![now, idle]).await.map(drop)
}
