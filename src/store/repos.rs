//! Repositories. A name is unique under its owner without regard to case; the id, never a name, becomes a directory.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A repository as stored.
#[derive(Clone, Debug)]
pub struct RepoRecord {
    /// Its id, and its directory's.
    pub id: i64,
    /// Its owner.
    pub owner_id: i64,
    /// The owner's name.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// `public`, `internal` or `private`.
    pub visibility: String,
    /// One line, perhaps empty.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// The last push.
    pub pushed: Option<Timestamp>,
}

/// A repository to store.
#[derive(Debug)]
pub struct NewRepoRecord<'a> {
    /// From [`crate::loose_directories::take`].
    pub id: i64,
    /// Its owner.
    pub owner_id: i64,
    /// The name as given.
    pub name: &'a str,
    /// What makes the name unique under its owner.
    pub name_key: &'a str,
    /// `public`, `internal` or `private`.
    pub visibility: &'a str,
    /// One line, perhaps empty.
    pub description: &'a str,
    /// When it is made.
    pub created: Timestamp,
}

/// Which repositories a list may hold. All public ones, and:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Says whether internal ones are listed.
    pub has_internal: bool,
    /// Says whether everything is listed.
    pub has_all: bool,
    /// Whose private ones are listed.
    pub owner_id: Option<i64>,
}

fn record(row: &Row) -> Result<RepoRecord, StoreError> {
    Ok(RepoRecord {
        id: row.get(0)?,
        owner_id: row.get(1)?,
        owner: row.get(2)?,
        name: row.get(3)?,
        visibility: row.get(4)?,
        description: row.get(5)?,
        created: row.get(6)?,
        pushed: row.get(7)?,
    })
}

/// The repository with these keys.
pub async fn by_keys(database: &impl Query, owner_key: &str, name_key: &str) -> Result<Option<RepoRecord>, StoreError> {
    const SQL: &str = "SELECT r.id, r.owner_id, o.name, r.name, r.visibility, r.description, r.created, r.pushed
         FROM owners o JOIN repos r ON r.owner_id = o.id WHERE o.name_key = $1 AND r.name_key = $2";
    database.first(SQL, values![owner_key, name_key]).await?.as_ref().map(record).transpose()
}

/// What `sight` lets through, last pushed (or made) first. The program's own accounts' are left out.
pub async fn visible(database: &impl Query, sight: Sight, limit: i64) -> Result<Vec<RepoRecord>, StoreError> {
    const SQL: &str = "SELECT r.id, r.owner_id, o.name, r.name, r.visibility, r.description, r.created, r.pushed
         FROM repos r JOIN owners o ON o.id = r.owner_id
         WHERE o.kind <> 'service'
           AND (r.visibility = 'public' OR (r.visibility = 'internal' AND $1 = 1) OR r.owner_id = $2 OR $3 = 1)
         ORDER BY COALESCE(r.pushed, r.created) DESC, r.id DESC LIMIT $4";
    let values = values![sight.has_internal, sight.owner_id, sight.has_all, limit];
    database.rows(SQL, values).await?.iter().map(record).collect()
}

/// The ids of an owner's repositories.
pub async fn ids_of_owner(database: &impl Query, owner_id: i64) -> Result<Vec<i64>, StoreError> {
    let rows = database.rows("SELECT id FROM repos WHERE owner_id = $1", values![owner_id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Stores a repository. Fails with [`StoreError::Unique`] on `repos.name_key`.
pub async fn insert(tx: &Tx, new: &NewRepoRecord<'_>) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO repos (id, owner_id, name, name_key, visibility, description, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![new.id, new.owner_id, new.name, new.name_key, new.visibility, new.description, new.created];
    tx.rows(SQL, values).await.map(drop)
}

/// Notes a push.
pub async fn set_pushed(tx: &Tx, id: i64, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE repos SET pushed = $2 WHERE id = $1", values![id, at]).await.map(drop)
}

/// Removes a repository: `false` when it was gone already. Its large files become loose.
pub async fn remove(tx: &Tx, id: i64) -> Result<bool, StoreError> {
    crate::lfs::loosen_repo(tx, id).await?;
    Ok(tx.first("DELETE FROM repos WHERE id = $1 RETURNING id", values![id]).await?.is_some())
}

/// The path of a repository, `owner/name`, by its id.
pub async fn path(database: &impl Query, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT o.name, r.name FROM repos r JOIN owners o ON o.id = r.owner_id WHERE r.id = $1";
    let Some(row) = database.first(SQL, values![id]).await? else { return Ok(None) };
    let (owner, name): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(Some(format!("{owner}/{name}")))
}
