//! What is under way between two requests: a sign-in that waits for its second factor, a key about to be added. Each row
//! has one purpose, an end, and a number of tries that only grows.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// What a ceremony is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A password was right; the second factor is to come.
    SignIn,
    /// A security key is to be added.
    NewKey,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::NewKey => "new key",
        }
    }
}

/// A ceremony as stored.
#[derive(Clone, Debug)]
pub struct CeremonyRecord {
    /// The hash of its token.
    pub token_hash: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is.
    pub user_id: i64,
    /// Random bytes in base64, for this ceremony alone.
    pub challenge: String,
    /// When it is over.
    pub ends: Timestamp,
}

/// Stores a ceremony, in place of one with the same token.
pub async fn put(tx: &Tx, new: &CeremonyRecord) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO ceremonies (token_hash, purpose, user_id, challenge, tries, ends)
         VALUES ($1, $2, $3, $4, 0, $5)
         ON CONFLICT (token_hash) DO UPDATE SET challenge = excluded.challenge, tries = 0, ends = excluded.ends";
    let values = values![&new.token_hash, new.purpose.as_str(), new.user_id, &new.challenge, new.ends];
    tx.rows(SQL, values).await.map(drop)
}

/// User and challenge of a ceremony that is under way `now` and has tries left.
pub async fn under_way(
    database: &impl Query,
    token_hash: &str,
    purpose: Purpose,
    now: Timestamp,
    tries: i64,
) -> Result<Option<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT c.user_id, c.challenge FROM ceremonies c JOIN users u ON u.id = c.user_id
         WHERE c.token_hash = $1 AND c.purpose = $2 AND c.ends > $3 AND c.tries < $4 AND u.is_active = 1";
    let found = database.first(SQL, values![token_hash, purpose.as_str(), now, tries]).await?;
    found.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// Removes all but the newest of this purpose that a user has under way.
pub async fn keep_newest(tx: &Tx, user_id: i64, purpose: Purpose, most: i64) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM ceremonies WHERE user_id = $1 AND purpose = $2 AND token_hash NOT IN
         (SELECT token_hash FROM ceremonies WHERE user_id = $1 AND purpose = $2 ORDER BY ends DESC LIMIT $3)";
    tx.rows(SQL, values![user_id, purpose.as_str(), most]).await.map(drop)
}

/// Counts a try.
pub async fn count_try(tx: &Tx, token_hash: &str) -> Result<(), StoreError> {
    tx.rows("UPDATE ceremonies SET tries = tries + 1 WHERE token_hash = $1", values![token_hash]).await.map(drop)
}

/// Ends a ceremony. `false` when somebody else did.
pub async fn end(tx: &Tx, token_hash: &str) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM ceremonies WHERE token_hash = $1 RETURNING user_id";
    Ok(tx.first(SQL, values![token_hash]).await?.is_some())
}

/// Ends all of a user's.
pub async fn end_of_user(tx: &Tx, user_id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM ceremonies WHERE user_id = $1", values![user_id]).await.map(drop)
}

/// Forgets those that are over.
pub async fn remove_ended(tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.rows("DELETE FROM ceremonies WHERE ends <= $1", values![now]).await.map(drop)
}
