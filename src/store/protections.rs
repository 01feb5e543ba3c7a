//! Protected branches and tags of repositories, as rows. What a row means for a push is decided by the caller.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A protection as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionRecord {
    /// Its id.
    pub id: i64,
    /// What is set.
    pub set: ProtectionSet,
    /// When it was made.
    pub created: Timestamp,
}

/// What a protection says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionSet {
    /// `branch` or `tag`.
    pub kind: String,
    /// The pattern that names are held against.
    pub pattern: String,
    /// `nobody`, `write`, `maintain` or `admin`: who may push.
    pub push_level: String,
    /// Says whether they may make a ref of such a name.
    pub may_create: bool,
    /// Says whether they may move it to where it does not follow from.
    pub may_force: bool,
    /// Says whether they may delete it.
    pub may_delete: bool,
    /// Says whether what comes in must be signed.
    pub require_signed: bool,
    /// Accounts that may push besides those of the level.
    pub user_ids: Vec<i64>,
}

fn record(row: &Row) -> Result<ProtectionRecord, StoreError> {
    let set = ProtectionSet {
        kind: row.get(1)?,
        pattern: row.get(2)?,
        push_level: row.get(3)?,
        may_create: row.get(4)?,
        may_force: row.get(5)?,
        may_delete: row.get(6)?,
        require_signed: row.get(7)?,
        user_ids: Vec::new(),
    };
    Ok(ProtectionRecord { id: row.get(0)?, set, created: row.get(8)? })
}

/// A repository's protections, oldest first.
pub async fn of_repo(database: &impl Query, repo_id: i64) -> Result<Vec<ProtectionRecord>, StoreError> {
    const SQL: &str = "SELECT id, kind, pattern, push_level, may_create, may_force, may_delete, require_signed, created
         FROM protections WHERE repo_id = $1 ORDER BY id";
    const USERS: &str = "SELECT u.protection_id, u.user_id FROM protection_users u
         JOIN protections p ON p.id = u.protection_id WHERE p.repo_id = $1 ORDER BY u.protection_id, u.user_id";
    let rows = database.rows(SQL, values![repo_id]).await?;
    let mut found = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Ok(found);
    }
    for row in database.rows(USERS, values![repo_id]).await? {
        let (id, user_id): (i64, i64) = (row.get(0)?, row.get(1)?);
        if let Some(protection) = found.iter_mut().find(|protection| protection.id == id) {
            protection.set.user_ids.push(user_id);
        }
    }
    Ok(found)
}

/// Stores a protection. Fails with [`StoreError::Unique`] on `protections.pattern`.
pub async fn insert(tx: &Tx, repo_id: i64, new: &ProtectionSet, created: Timestamp) -> Result<i64, StoreError> {
    const SQL: &str = "INSERT INTO protections
         (repo_id, kind, pattern, push_level, may_create, may_force, may_delete, require_signed, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
    let values = values![
        repo_id,
        &new.kind,
        &new.pattern,
        &new.push_level,
        new.may_create,
        new.may_force,
        new.may_delete,
        new.require_signed,
        created
    ];
    let row = tx.first(SQL, values).await?;
    let id = row.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)?;
    put_users(tx, id, &new.user_ids).await?;
    Ok(id)
}

/// Replaces what a protection of the repository says; `false` when there is no such one.
pub async fn update(tx: &Tx, repo_id: i64, id: i64, new: &ProtectionSet) -> Result<bool, StoreError> {
    const SQL: &str =
        "UPDATE protections SET kind = $3, pattern = $4, push_level = $5, may_create = $6, may_force = $7,
         may_delete = $8, require_signed = $9 WHERE repo_id = $1 AND id = $2 RETURNING id";
    let values = values![
        repo_id,
        id,
        &new.kind,
        &new.pattern,
        &new.push_level,
        new.may_create,
        new.may_force,
        new.may_delete,
        new.require_signed
    ];
    if tx.first(SQL, values).await?.is_none() {
        return Ok(false);
    }
    tx.rows("DELETE FROM protection_users WHERE protection_id = $1", values![id]).await?;
    put_users(tx, id, &new.user_ids).await?;
    Ok(true)
}

/// Removes a protection of the repository: its kind and pattern, or `None` when there is no such one.
pub async fn remove(tx: &Tx, repo_id: i64, id: i64) -> Result<Option<(String, String)>, StoreError> {
    const SQL: &str = "DELETE FROM protections WHERE repo_id = $1 AND id = $2 RETURNING kind, pattern";
    tx.first(SQL, values![repo_id, id]).await?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

async fn put_users(tx: &Tx, id: i64, user_ids: &[i64]) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO protection_users (protection_id, user_id) VALUES ($1, $2)";
    for user_id in user_ids {
        tx.rows(SQL, values![id, *user_id]).await?;
    }
    Ok(())
}
