//! Access tokens, found by the hash of their secret; the secret itself is nowhere.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A token as stored.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// Its id.
    pub id: i64,
    /// The name the user gave it.
    pub name: String,
    /// The areas it opens, with `,` between them.
    pub scopes: String,
    /// Says whether it is for the repositories of [`repos`] alone.
    pub is_limited: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; never, when `None`.
    pub expires: Option<Timestamp>,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// A token to store.
#[derive(Debug)]
pub struct NewTokenRecord<'a> {
    /// Whose it is.
    pub user_id: i64,
    /// The name the user gave it.
    pub name: &'a str,
    /// The hash of its secret.
    pub token_hash: &'a str,
    /// The areas it opens, with `,` between them.
    pub scopes: &'a str,
    /// Says whether it is for the repositories of [`limit`] alone.
    pub is_limited: bool,
    /// When it is made.
    pub created: Timestamp,
    /// When it ends; never, when `None`.
    pub expires: Option<Timestamp>,
}

/// The user of a token.
#[derive(Clone, Debug)]
pub struct TokenOwner {
    /// The token.
    pub token: TokenRecord,
    /// The user.
    pub user_id: i64,
    /// The user's name.
    pub user_name: String,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// Says whether the user may sign in.
    pub is_active: bool,
}

fn record(row: &Row) -> Result<TokenRecord, StoreError> {
    Ok(TokenRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: row.get(2)?,
        is_limited: row.get(3)?,
        created: row.get(4)?,
        expires: row.get(5)?,
        used: row.get(6)?,
    })
}

/// A user's tokens, newest first.
pub async fn of_user(database: &impl Query, user_id: i64) -> Result<Vec<TokenRecord>, StoreError> {
    const SQL: &str = "SELECT id, name, scopes, is_limited, created, expires, used FROM tokens
         WHERE user_id = $1 ORDER BY id DESC";
    database.rows(SQL, values![user_id]).await?.iter().map(record).collect()
}

/// Whose token this is.
pub async fn owner(database: &impl Query, token_hash: &str) -> Result<Option<TokenOwner>, StoreError> {
    const SQL: &str = "SELECT t.id, t.name, t.scopes, t.is_limited, t.created, t.expires, t.used,
             u.id, o.name, u.is_admin, u.is_active
         FROM tokens t JOIN users u ON u.id = t.user_id JOIN owners o ON o.id = u.id WHERE t.token_hash = $1";
    let Some(row) = database.first(SQL, values![token_hash]).await? else { return Ok(None) };
    Ok(Some(TokenOwner {
        token: record(&row)?,
        user_id: row.get(7)?,
        user_name: row.get(8)?,
        is_admin: row.get(9)?,
        is_active: row.get(10)?,
    }))
}

/// Stores a token.
pub async fn insert(tx: &Tx, new: &NewTokenRecord<'_>) -> Result<TokenRecord, StoreError> {
    const SQL: &str = "INSERT INTO tokens (user_id, name, token_hash, scopes, is_limited, created, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id, name, scopes, is_limited, created, expires, used";
    let NewTokenRecord { user_id, name, token_hash, scopes, is_limited, created, expires } = *new;
    let values = values![user_id, name, token_hash, scopes, is_limited, created, expires];
    record(&tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row" })?)
}

/// Adds a repository to those that a limited token is for.
pub async fn limit(tx: &Tx, token_id: i64, repo_id: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO token_repos (token_id, repo_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.rows(SQL, values![token_id, repo_id]).await.map(drop)
}

/// The repositories that a user's limited tokens are for: token, owner's name, name.
pub async fn repos(database: &impl Query, user_id: i64) -> Result<Vec<(i64, String, String)>, StoreError> {
    const SQL: &str = "SELECT t.id, o.name, r.name FROM tokens t JOIN token_repos l ON l.token_id = t.id
         JOIN repos r ON r.id = l.repo_id JOIN owners o ON o.id = r.owner_id
         WHERE t.user_id = $1 ORDER BY t.id, o.name_key, r.name_key";
    let rows = database.rows(SQL, values![user_id]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

/// Removes a token of the user: its name, or `None` when the user has no such token.
pub async fn remove(tx: &Tx, user_id: i64, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "DELETE FROM tokens WHERE user_id = $1 AND id = $2 RETURNING name";
    tx.first(SQL, values![user_id, id]).await?.map(|row| row.get(0)).transpose()
}

/// Notes a use.
pub async fn set_used(tx: &Tx, id: i64, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE tokens SET used = $2 WHERE id = $1", values![id, at]).await.map(drop)
}
