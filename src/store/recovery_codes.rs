//! Recovery codes, found by their hashes, each good for its own user and once.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// How many of the user's codes are left.
pub async fn left(database: &impl Query, user_id: i64) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1 AND used IS NULL";
    database.first(SQL, values![user_id]).await?.map_or(Ok(0), |row| row.get(0))
}

/// Stores a code.
pub async fn insert(tx: &Tx, user_id: i64, code_hash: &str) -> Result<(), StoreError> {
    tx.rows("INSERT INTO recovery_codes (code_hash, user_id) VALUES ($1, $2)", values![code_hash, user_id])
        .await
        .map(drop)
}

/// Uses a code up. `false` when this user has none that is new.
pub async fn take(tx: &Tx, user_id: i64, code_hash: &str, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE recovery_codes SET used = $3
         WHERE user_id = $1 AND code_hash = $2 AND used IS NULL RETURNING user_id";
    Ok(tx.first(SQL, values![user_id, code_hash, now]).await?.is_some())
}

/// Forgets all of a user's codes.
pub async fn remove(tx: &Tx, user_id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM recovery_codes WHERE user_id = $1", values![user_id]).await.map(drop)
}
