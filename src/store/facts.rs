//! Facts about the site: written once, such as the canary by which the encryption key is known again, or changed by the
//! administrator, such as the banner.

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// The key of the encryption key's canary.
pub const CANARY: &str = "canary";

/// The fact's value.
pub async fn get(database: &impl Query, key: &str) -> Result<Option<String>, StoreError> {
    database.first("SELECT value FROM site_facts WHERE key = $1", values![key]).await?.map(|row| row.get(0)).transpose()
}

/// Writes a fact that is not there yet, and gives the one that is there now: whoever comes second gets the first's.
pub async fn put_once(tx: &Tx, key: &str, value: &str) -> Result<String, StoreError> {
    const SQL: &str = "INSERT INTO site_facts (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    tx.rows(SQL, values![key, value]).await?;
    get(tx, key).await?.ok_or(StoreError::Shape { column: 0, wanted: "the fact just written" })
}

/// Writes a fact, whatever was there.
pub async fn set(tx: &Tx, key: &str, value: &str) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO site_facts (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.rows(SQL, values![key, value]).await.map(drop)
}

/// The facts whose keys begin with `prefix`, which holds neither `%` nor `_`.
pub async fn beginning_with(database: &impl Query, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
    const SQL: &str = "SELECT key, value FROM site_facts WHERE key LIKE CAST($1 AS TEXT) || '%' ORDER BY key";
    database.rows(SQL, values![prefix]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}
