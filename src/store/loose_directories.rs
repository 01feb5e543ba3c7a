//! Repository directories that no row of `repos` owns: about to be filled, or to be removed. What a crash leaves here is
//! swept when the forge opens, so no directory is forgotten and no id is given twice.

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// A fresh id for a directory, on this list until [`settle`] takes it off.
pub async fn take(tx: &Tx) -> Result<i64, StoreError> {
    let row = tx.first("INSERT INTO loose_directories DEFAULT VALUES RETURNING id", values![]).await?;
    row.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)
}

/// Puts the directory of a repository that is being removed on the list.
pub async fn put(tx: &Tx, id: i64) -> Result<(), StoreError> {
    tx.rows("INSERT INTO loose_directories (id) VALUES ($1) ON CONFLICT DO NOTHING", values![id]).await.map(drop)
}

/// Takes a directory off the list: a repository owns it now, or it is gone.
pub async fn settle(tx: &Tx, id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM loose_directories WHERE id = $1", values![id]).await.map(drop)
}

/// The list.
pub async fn all(database: &impl Query) -> Result<Vec<i64>, StoreError> {
    database
        .rows("SELECT id FROM loose_directories ORDER BY id", values![])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}
