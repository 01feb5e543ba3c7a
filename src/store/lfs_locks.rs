//! Locks of large files: who asked others not to change which path of which repository. A lock is looked up as one of
//! its repository, never by its id alone.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A lock as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LfsLockRecord {
    /// Its id: random text.
    pub id: String,
    /// The path in the repository.
    pub path: String,
    /// Whose it is.
    pub owner_id: i64,
    /// The owner's name.
    pub owner: String,
    /// When it was taken.
    pub created: Timestamp,
}

/// A lock to store.
#[derive(Clone, Copy, Debug)]
pub struct NewLfsLock<'a> {
    /// Its id: random text.
    pub id: &'a str,
    /// The repository.
    pub repo_id: i64,
    /// The path there.
    pub path: &'a str,
    /// Whose it is.
    pub owner_id: i64,
    /// When it is taken.
    pub created: Timestamp,
}

fn record(row: &Row) -> Result<LfsLockRecord, StoreError> {
    Ok(LfsLockRecord {
        id: row.get(0)?,
        path: row.get(1)?,
        owner_id: row.get(2)?,
        owner: row.get(3)?,
        created: row.get(4)?,
    })
}

/// The lock of this id in the repository.
pub async fn by_id(database: &impl Query, repo_id: i64, id: &str) -> Result<Option<LfsLockRecord>, StoreError> {
    const SQL: &str = "SELECT l.id, l.path, l.owner_id, o.name, l.created
         FROM lfs_locks l JOIN owners o ON o.id = l.owner_id WHERE l.repo_id = $1 AND l.id = $2";
    database.first(SQL, values![repo_id, id]).await?.as_ref().map(record).transpose()
}

/// The lock of a path in the repository.
pub async fn by_path(database: &impl Query, repo_id: i64, path: &str) -> Result<Option<LfsLockRecord>, StoreError> {
    const SQL: &str = "SELECT l.id, l.path, l.owner_id, o.name, l.created
         FROM lfs_locks l JOIN owners o ON o.id = l.owner_id WHERE l.repo_id = $1 AND l.path = $2";
    database.first(SQL, values![repo_id, path]).await?.as_ref().map(record).transpose()
}

/// Locks of the repository by path, `limit` of them behind the path `after`.
pub async fn behind(
    database: &impl Query,
    repo_id: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<LfsLockRecord>, StoreError> {
    const SQL: &str = "SELECT l.id, l.path, l.owner_id, o.name, l.created
         FROM lfs_locks l JOIN owners o ON o.id = l.owner_id
         WHERE l.repo_id = $1 AND l.path > $2 ORDER BY l.path LIMIT $3";
    database.rows(SQL, values![repo_id, after, limit]).await?.iter().map(record).collect()
}

/// Locks of the repository.
pub async fn count(database: &impl Query, repo_id: i64) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM lfs_locks WHERE repo_id = $1";
    database.first(SQL, values![repo_id]).await?.map_or(Ok(0), |row| row.get(0))
}

/// Stores a lock: `false` when the path has one.
pub async fn insert(tx: &Tx, new: &NewLfsLock<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO lfs_locks (id, repo_id, path, owner_id, created)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (repo_id, path) DO NOTHING RETURNING id";
    Ok(tx.first(SQL, values![new.id, new.repo_id, new.path, new.owner_id, new.created]).await?.is_some())
}

/// Removes a lock of the repository: `false` when it has none of this id.
pub async fn remove(tx: &Tx, repo_id: i64, id: &str) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM lfs_locks WHERE repo_id = $1 AND id = $2 RETURNING id";
    Ok(tx.first(SQL, values![repo_id, id]).await?.is_some())
}
