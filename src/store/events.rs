//! What happened, for good. Rows are added and never changed; the database itself refuses the rest.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// When.
    pub at: Timestamp,
    /// Who did it; `None` for the host's own shell.
    pub actor_id: Option<i64>,
    /// What, as in `ref.moved`.
    pub kind: String,
    /// In which repository, when in one.
    pub repo_id: Option<i64>,
    /// On what: a ref, a name, a fingerprint.
    pub subject: String,
    /// What was before.
    pub old_value: Option<String>,
    /// What is after.
    pub new_value: Option<String>,
}

/// Adds an event.
pub async fn append(tx: &Tx, event: &EventRecord) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO events (at, actor_id, kind, repo_id, subject, old_value, new_value)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![
        event.at,
        event.actor_id,
        &event.kind,
        event.repo_id,
        &event.subject,
        event.old_value.as_deref(),
        event.new_value.as_deref(),
    ];
    tx.rows(SQL, values).await.map(drop)
}

/// What happened in a repository, oldest first.
pub async fn of_repo(database: &impl Query, repo_id: i64) -> Result<Vec<EventRecord>, StoreError> {
    const SQL: &str = "SELECT at, actor_id, kind, repo_id, subject, old_value, new_value FROM events
         WHERE repo_id = $1 ORDER BY id";
    let read = |row: &crate::Row| {
        Ok(EventRecord {
            at: row.get(0)?,
            actor_id: row.get(1)?,
            kind: row.get(2)?,
            repo_id: row.get(3)?,
            subject: row.get(4)?,
            old_value: row.get(5)?,
            new_value: row.get(6)?,
        })
    };
    database.rows(SQL, values![repo_id]).await?.iter().map(read).collect()
}

/// Says whether `subject` was moved on from `value` at `since` or later.
pub async fn has_moved_from(
    database: &impl Query,
    repo_id: i64,
    subject: &str,
    value: &str,
    since: Timestamp,
) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM events
         WHERE repo_id = $1 AND subject = $2 AND old_value = $3 AND at >= $4 LIMIT 1";
    Ok(database.first(SQL, values![repo_id, subject, value, since]).await?.is_some())
}
