//! Large files: which repository has which object. The bytes are on disk, once for all repositories; nothing here says
//! that a repository has an object because another one does.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// An object that a repository is about to have.
#[derive(Clone, Copy, Debug)]
pub struct NewLfsObject<'a> {
    /// The repository.
    pub repo_id: i64,
    /// Its SHA-256, 64 hexadecimal digits.
    pub oid: &'a str,
    /// Its size, in bytes.
    pub size: i64,
    /// Who uploaded it; `None` for a deploy key.
    pub actor_id: Option<i64>,
    /// When.
    pub created: Timestamp,
}

/// The size of an object that the repository has.
pub async fn size(database: &impl Query, repo_id: i64, oid: &str) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT size FROM lfs_objects WHERE repo_id = $1 AND oid = $2";
    database.first(SQL, values![repo_id, oid]).await?.map(|row| row.get(0)).transpose()
}

/// Bytes of all objects that the repository has.
pub async fn bytes_of_repo(database: &impl Query, repo_id: i64) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM lfs_objects WHERE repo_id = $1";
    database.first(SQL, values![repo_id]).await?.map_or(Ok(0), |row| row.get(0))
}

/// Says whether any repository has the object.
pub async fn is_held(database: &impl Query, oid: &str) -> Result<bool, StoreError> {
    Ok(database.first("SELECT size FROM lfs_objects WHERE oid = $1 LIMIT 1", values![oid]).await?.is_some())
}

/// Gives the repository an object, whose content is no longer loose. Says `false` when it had it already, which stays as
/// it is.
pub async fn insert(tx: &Tx, new: &NewLfsObject<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO lfs_objects (repo_id, oid, size, actor_id, created)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING size";
    let row = tx.first(SQL, values![new.repo_id, new.oid, new.size, new.actor_id, new.created]).await?;
    settle(tx, new.oid).await?;
    Ok(row.is_some())
}

/// Puts content on the list of what perhaps nobody holds.
pub async fn loosen(tx: &Tx, oid: &str) -> Result<(), StoreError> {
    tx.rows("INSERT INTO lfs_loose (oid) VALUES ($1) ON CONFLICT DO NOTHING", values![oid]).await.map(drop)
}

/// Puts all content of a repository that is being removed on that list.
pub async fn loosen_repo(tx: &Tx, repo_id: i64) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO lfs_loose (oid) SELECT oid FROM lfs_objects WHERE repo_id = $1 ON CONFLICT DO NOTHING";
    tx.rows(SQL, values![repo_id]).await.map(drop)
}

/// Takes content off the list: it is held, or gone.
pub async fn settle(tx: &Tx, oid: &str) -> Result<(), StoreError> {
    tx.rows("DELETE FROM lfs_loose WHERE oid = $1", values![oid]).await.map(drop)
}

/// The first `limit` of the list.
pub async fn loose(database: &impl Query, limit: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT oid FROM lfs_loose ORDER BY oid LIMIT $1";
    database.rows(SQL, values![limit]).await?.iter().map(|row| row.get(0)).collect()
}
