//! Ref moves that were permitted and whose event is not written yet: the bridge between Git's transaction and ours.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A ref move about to happen. Ids are full; all zeros for "no object".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentRecord {
    /// Its id.
    pub id: i64,
    /// The repository.
    pub repo_id: i64,
    /// Who pushed; `None` for a deploy key.
    pub actor_id: Option<i64>,
    /// The pusher's name, or the deploy key's fingerprint.
    pub actor: Option<String>,
    /// When it was permitted.
    pub at: Timestamp,
    /// The ref's full name.
    pub ref_name: String,
    /// Where it was.
    pub old_id: String,
    /// Where it shall be.
    pub new_id: String,
}

/// A ref move to note down.
#[derive(Clone, Copy, Debug)]
pub struct NewIntent<'a> {
    /// The repository.
    pub repo_id: i64,
    /// Who pushes; `None` for a deploy key.
    pub actor_id: Option<i64>,
    /// The pusher's name, or the deploy key's fingerprint.
    pub actor: Option<&'a str>,
    /// When it was permitted.
    pub at: Timestamp,
    /// The ref's full name.
    pub ref_name: &'a str,
    /// Where it is.
    pub old_id: &'a str,
    /// Where it shall be.
    pub new_id: &'a str,
}

fn record(row: &Row) -> Result<IntentRecord, StoreError> {
    Ok(IntentRecord {
        id: row.get(0)?,
        repo_id: row.get(1)?,
        actor_id: row.get(2)?,
        at: row.get(3)?,
        ref_name: row.get(4)?,
        old_id: row.get(5)?,
        new_id: row.get(6)?,
        actor: row.get(7)?,
    })
}

/// Notes a move down.
pub async fn insert(tx: &Tx, new: &NewIntent<'_>) -> Result<i64, StoreError> {
    const SQL: &str = "INSERT INTO push_intents (repo_id, actor_id, at, ref_name, old_id, new_id, actor)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let values = values![new.repo_id, new.actor_id, new.at, new.ref_name, new.old_id, new.new_id, new.actor];
    tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)
}

/// Forgets a move: its event is written, or it did not happen.
pub async fn remove(tx: &Tx, id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM push_intents WHERE id = $1", values![id]).await.map(drop)
}

/// All that were noted down, oldest first.
pub async fn all(database: &impl Query) -> Result<Vec<IntentRecord>, StoreError> {
    const SQL: &str = "SELECT id, repo_id, actor_id, at, ref_name, old_id, new_id, actor FROM push_intents ORDER BY id";
    database.rows(SQL, values![]).await?.iter().map(record).collect()
}
