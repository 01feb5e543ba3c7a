//! What others say of commits. Rows are only ever added; the newest row of a context is the one that counts.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A status as stored.
#[derive(Clone, Debug)]
pub struct StatusRecord {
    /// Its id.
    pub id: i64,
    /// What says it, as in `ci/build`.
    pub context: String,
    /// `pending`, `success`, `error`, `failure`, `warning` or `skipped`.
    pub state: String,
    /// One line, perhaps empty.
    pub description: String,
    /// Where to read more, perhaps empty.
    pub target_url: String,
    /// The account that said it; `None` when it is gone.
    pub creator_id: Option<i64>,
    /// When it was said.
    pub created: Timestamp,
}

/// A status to store.
#[derive(Debug)]
pub struct NewStatusRecord<'a> {
    /// The repository.
    pub repo_id: i64,
    /// The commit.
    pub commit_id: &'a str,
    /// What says it.
    pub context: &'a str,
    /// `pending`, `success`, `error`, `failure`, `warning` or `skipped`.
    pub state: &'a str,
    /// One line, perhaps empty.
    pub description: &'a str,
    /// Where to read more, perhaps empty.
    pub target_url: &'a str,
    /// The account that says it.
    pub creator_id: Option<i64>,
    /// When it is said.
    pub created: Timestamp,
}

fn record(row: &Row) -> Result<StatusRecord, StoreError> {
    Ok(StatusRecord {
        id: row.get(0)?,
        context: row.get(1)?,
        state: row.get(2)?,
        description: row.get(3)?,
        target_url: row.get(4)?,
        creator_id: row.get(5)?,
        created: row.get(6)?,
    })
}

/// Stores a status.
pub async fn insert(tx: &Tx, new: &NewStatusRecord<'_>) -> Result<StatusRecord, StoreError> {
    const SQL: &str = "INSERT INTO commit_statuses
             (repo_id, commit_id, context, state, description, target_url, creator_id, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         RETURNING id, context, state, description, target_url, creator_id, created";
    let NewStatusRecord { repo_id, commit_id, context, state, description, target_url, creator_id, created } = *new;
    let values = values![repo_id, commit_id, context, state, description, target_url, creator_id, created];
    record(&tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row" })?)
}

/// How many statuses a commit has in all.
pub async fn count(database: &impl Query, repo_id: i64, commit_id: &str) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM commit_statuses WHERE repo_id = $1 AND commit_id = $2";
    database.first(SQL, values![repo_id, commit_id]).await?.map_or(Ok(0), |row| row.get(0))
}

/// A commit's statuses, newest first.
pub async fn of_commit(
    database: &impl Query,
    repo_id: i64,
    commit_id: &str,
    (limit, offset): (i64, i64),
) -> Result<Vec<StatusRecord>, StoreError> {
    const SQL: &str = "SELECT id, context, state, description, target_url, creator_id, created FROM commit_statuses
         WHERE repo_id = $1 AND commit_id = $2 ORDER BY id DESC LIMIT $3 OFFSET $4";
    database.rows(SQL, values![repo_id, commit_id, limit, offset]).await?.iter().map(record).collect()
}

/// The newest status of each context of a commit, by context.
pub async fn latest(database: &impl Query, repo_id: i64, commit_id: &str) -> Result<Vec<StatusRecord>, StoreError> {
    const SQL: &str = "SELECT id, context, state, description, target_url, creator_id, created FROM commit_statuses
         WHERE id IN (SELECT MAX(id) FROM commit_statuses WHERE repo_id = $1 AND commit_id = $2 GROUP BY context)
         ORDER BY context, id";
    database.rows(SQL, values![repo_id, commit_id]).await?.iter().map(record).collect()
}
