//! Sessions, found by the hash of their token; the token itself is nowhere.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

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
    /// When its holder last gave a password or a second factor.
    pub proved: Timestamp,
}

/// A session to store.
#[derive(Debug)]
pub struct NewSessionRecord<'a> {
    /// The hash of its token.
    pub token_hash: &'a str,
    /// The user.
    pub user_id: i64,
    /// When it begins; a password or a second factor has just been given.
    pub now: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// Where it was begun from.
    pub address: Option<&'a str>,
    /// The kind of program that it was begun with.
    pub agent: &'a str,
}

/// A session in its user's list.
#[derive(Clone, Debug)]
pub struct OwnSessionRecord {
    /// The hash of its token.
    pub token_hash: String,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
    /// Where it was begun from.
    pub address: Option<String>,
    /// The kind of program that it was begun with.
    pub agent: Option<String>,
}

/// The session whose token hashes to this.
pub async fn by_hash(database: &impl Query, token_hash: &str) -> Result<Option<SessionRecord>, StoreError> {
    const SQL: &str = "SELECT s.user_id, o.name, u.is_admin, u.is_active, s.expires, s.seen, s.proved
         FROM sessions s JOIN users u ON u.id = s.user_id JOIN owners o ON o.id = s.user_id WHERE s.token_hash = $1";
    let Some(row) = database.first(SQL, values![token_hash]).await? else { return Ok(None) };
    Ok(Some(SessionRecord {
        user_id: row.get(0)?,
        user_name: row.get(1)?,
        is_admin: row.get(2)?,
        is_active: row.get(3)?,
        expires: row.get(4)?,
        seen: row.get(5)?,
        proved: row.get(6)?,
    }))
}

/// Stores a session.
pub async fn insert(tx: &Tx, new: &NewSessionRecord<'_>) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO sessions (token_hash, user_id, created, expires, seen, proved, address, agent)
         VALUES ($1, $2, $3, $4, $3, $3, $5, $6)";
    let values = values![new.token_hash, new.user_id, new.now, new.expires, new.address, new.agent];
    tx.rows(SQL, values).await.map(drop)
}

/// The sessions of a user that are open `now` and were used since `idle`, the last used first.
pub async fn of_user(
    database: &impl Query,
    user_id: i64,
    now: Timestamp,
    idle: Timestamp,
) -> Result<Vec<OwnSessionRecord>, StoreError> {
    const SQL: &str = "SELECT token_hash, created, seen, address, agent FROM sessions
         WHERE user_id = $1 AND expires > $2 AND seen > $3 ORDER BY seen DESC, token_hash LIMIT 200";
    let read = |row: &Row| {
        Ok(OwnSessionRecord {
            token_hash: row.get(0)?,
            created: row.get(1)?,
            seen: row.get(2)?,
            address: row.get(3)?,
            agent: row.get(4)?,
        })
    };
    database.rows(SQL, values![user_id, now, idle]).await?.iter().map(read).collect()
}

/// Gives a session another token, as its holder has just given a password or a second factor: `None` when it is gone,
/// else when it ends at the latest.
pub async fn renew(tx: &Tx, token_hash: &str, new_hash: &str, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = "UPDATE sessions SET token_hash = $2, proved = $3 WHERE token_hash = $1 RETURNING expires";
    tx.first(SQL, values![token_hash, new_hash, now]).await?.map(|row| row.get(0)).transpose()
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
