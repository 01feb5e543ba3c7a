//! Authenticator apps, one for each user, by their encrypted secrets. No code of a step is taken twice: the last step only
//! grows, in one statement.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// An authenticator app as stored.
#[derive(Clone, Debug)]
pub struct AuthenticatorRecord {
    /// The secret, encrypted.
    pub secret: String,
    /// Says whether a code of it was given, so that it counts.
    pub is_confirmed: bool,
    /// When it was set up.
    pub created: Timestamp,
}

/// The user's authenticator app, confirmed or not.
pub async fn of_user(database: &impl Query, user_id: i64) -> Result<Option<AuthenticatorRecord>, StoreError> {
    const SQL: &str = "SELECT secret, is_confirmed, created FROM authenticators WHERE user_id = $1";
    let Some(row) = database.first(SQL, values![user_id]).await? else { return Ok(None) };
    Ok(Some(AuthenticatorRecord { secret: row.get(0)?, is_confirmed: row.get(1)?, created: row.get(2)? }))
}

/// Stores a secret that is not confirmed yet, in place of one that never was. `false` when a confirmed one is there.
pub async fn put(tx: &Tx, user_id: i64, secret: &str, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO authenticators (user_id, secret, is_confirmed, last_step, created)
         VALUES ($1, $2, 0, 0, $3)
         ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created = excluded.created
         WHERE authenticators.is_confirmed = 0 RETURNING user_id";
    Ok(tx.first(SQL, values![user_id, secret, now]).await?.is_some())
}

/// Takes a step's code, and confirms the app by it. `false` when that step or a later one was taken before.
pub async fn take(tx: &Tx, user_id: i64, step: i64) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE authenticators SET last_step = $2, is_confirmed = 1
         WHERE user_id = $1 AND last_step < $2 RETURNING user_id";
    Ok(tx.first(SQL, values![user_id, step]).await?.is_some())
}

/// Removes the user's app; `false` when there was none that counted.
pub async fn remove(tx: &Tx, user_id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM authenticators WHERE user_id = $1 RETURNING is_confirmed";
    tx.first(SQL, values![user_id]).await?.map_or(Ok(false), |row| row.get(0))
}
