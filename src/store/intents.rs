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
    /// The address that the push came from.
    pub address: Option<String>,
    /// The request that it came with.
    pub request: Option<String>,
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
    /// The address that the push comes from.
    pub address: Option<&'a str>,
    /// The request that it comes with.
    pub request: Option<&'a str>,
}

impl NewIntent<'_> {
    /// The move as it is stored under `id`.
    pub fn noted(&self, id: i64) -> IntentRecord {
        IntentRecord {
            id,
            repo_id: self.repo_id,
            actor_id: self.actor_id,
            actor: self.actor.map(str::to_owned),
            at: self.at,
            ref_name: self.ref_name.into(),
            old_id: self.old_id.into(),
            new_id: self.new_id.into(),
            address: self.address.map(str::to_owned),
            request: self.request.map(str::to_owned),
        }
    }
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
        address: row.get(7)?,
        request: row.get(8)?,
        actor: row.get(9)?,
    })
}

/// Notes a move down.
pub async fn insert(tx: &Tx, new: &NewIntent<'_>) -> Result<i64, StoreError> {
    const SQL: &str =
        "INSERT INTO push_intents (repo_id, actor_id, at, ref_name, old_id, new_id, address, request, actor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
    let NewIntent { repo_id, actor_id, at, ref_name, old_id, new_id, address, request, actor } = *new;
    let values = values![repo_id, actor_id, at, ref_name, old_id, new_id, address, request, actor];
    tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)
}

/// Forgets a move: its event is written, or it did not happen. `false` when somebody else has forgotten it.
pub async fn remove(tx: &Tx, id: i64) -> Result<bool, StoreError> {
    Ok(tx.first("DELETE FROM push_intents WHERE id = $1 RETURNING id", values![id]).await?.is_some())
}

/// All that were noted down, oldest first.
pub async fn all(database: &impl Query) -> Result<Vec<IntentRecord>, StoreError> {
    const SQL: &str = "SELECT id, repo_id, actor_id, at, ref_name, old_id, new_id, address, request, actor
         FROM push_intents ORDER BY id";
    database.rows(SQL, values![]).await?.iter().map(record).collect()
}
