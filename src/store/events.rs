//! What happened, for good. Rows are added and never changed; the database itself refuses the rest. Each row has a
//! number and a hash that the caller computed over it and the hash before it; nothing here computes or judges one.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// When.
    pub at: Timestamp,
    /// Who did it; `None` for the host's own shell.
    pub actor_id: Option<i64>,
    /// The actor's name at that time.
    pub actor: Option<String>,
    /// What, as in `ref.moved`.
    pub kind: String,
    /// In which repository, when in one.
    pub repo_id: Option<i64>,
    /// The repository's path at that time.
    pub repo: Option<String>,
    /// On what: a ref, a name, a fingerprint.
    pub subject: String,
    /// What was before.
    pub old_value: Option<String>,
    /// What is after.
    pub new_value: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
    /// The request that it came with.
    pub request: Option<String>,
}

/// A place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The event's number, from 1.
    pub number: i64,
    /// The event's hash; empty before the first.
    pub hash: String,
}

/// Which events a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Those of this actor alone, by name.
    pub actor: Option<&'a str>,
    /// Those of this kind alone.
    pub kind: Option<&'a str>,
    /// Those with a lower number than this.
    pub before: i64,
    /// How many at most.
    pub limit: i64,
}

macro_rules! columns {
    () => {
        "SELECT number, hash, at, actor_id, actor, kind, repo_id, repo, subject, old_value, new_value, address, request
         FROM events "
    };
}

/// Takes the next place in the chain: its number, and the hash of the place before. Others wait for this transaction.
pub async fn advance(tx: &Tx) -> Result<Link, StoreError> {
    const SQL: &str = "UPDATE audit_head SET number = number + 1 WHERE id = 1 RETURNING number, hash";
    let row = tx.first(SQL, values![]).await?.ok_or(StoreError::Shape { column: 0, wanted: "the end of the chain" })?;
    Ok(Link { number: row.get(0)?, hash: row.get(1)? })
}

/// Adds an event at a place that [`advance`] gave in this transaction, with its hash.
pub async fn append(tx: &Tx, link: &Link, event: &EventRecord) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO events (number, hash, at, actor_id, actor, kind, repo_id, repo, subject, old_value,
         new_value, address, request) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let values = values![
        link.number,
        &link.hash,
        event.at,
        event.actor_id,
        event.actor.as_deref(),
        &event.kind,
        event.repo_id,
        event.repo.as_deref(),
        &event.subject,
        event.old_value.as_deref(),
        event.new_value.as_deref(),
        event.address.as_deref(),
        event.request.as_deref(),
    ];
    tx.rows(SQL, values).await?;
    tx.rows("UPDATE audit_head SET hash = $1 WHERE id = 1", values![&link.hash]).await.map(drop)
}

/// The end of the chain.
pub async fn head(database: &impl Query) -> Result<Link, StoreError> {
    let row = database.first("SELECT number, hash FROM audit_head WHERE id = 1", values![]).await?;
    let row = row.ok_or(StoreError::Shape { column: 0, wanted: "the end of the chain" })?;
    Ok(Link { number: row.get(0)?, hash: row.get(1)? })
}

/// The events of the chain behind `after`, in their order, at most `limit`.
pub async fn chain(database: &impl Query, after: i64, limit: i64) -> Result<Vec<(Link, EventRecord)>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE number > $1 ORDER BY number LIMIT $2");
    database.rows(SQL, values![after, limit]).await?.iter().map(linked).collect()
}

/// The events that fit `filter`, last first.
pub async fn page(database: &impl Query, filter: &Filter<'_>) -> Result<Vec<(Link, EventRecord)>, StoreError> {
    const ALL: &str = concat!(columns!(), "WHERE number < $1 ORDER BY number DESC LIMIT $2");
    const OF_ACTOR: &str = concat!(columns!(), "WHERE number < $1 AND actor = $3 ORDER BY number DESC LIMIT $2");
    const OF_KIND: &str = concat!(columns!(), "WHERE number < $1 AND kind = $3 ORDER BY number DESC LIMIT $2");
    const OF_BOTH: &str =
        concat!(columns!(), "WHERE number < $1 AND actor = $3 AND kind = $4 ORDER BY number DESC LIMIT $2");
    let Filter { actor, kind, before, limit } = *filter;
    let rows = match (actor, kind) {
        (None, None) => database.rows(ALL, values![before, limit]).await?,
        (Some(actor), None) => database.rows(OF_ACTOR, values![before, limit, actor]).await?,
        (None, Some(kind)) => database.rows(OF_KIND, values![before, limit, kind]).await?,
        (Some(actor), Some(kind)) => database.rows(OF_BOTH, values![before, limit, actor, kind]).await?,
    };
    rows.iter().map(linked).collect()
}

/// How many events are older than the chain.
pub async fn unchained(database: &impl Query) -> Result<i64, StoreError> {
    let row = database.first("SELECT COUNT(*) FROM events WHERE number IS NULL", values![]).await?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// What happened in a repository, oldest first.
pub async fn of_repo(database: &impl Query, repo_id: i64) -> Result<Vec<EventRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE repo_id = $1 ORDER BY id");
    database.rows(SQL, values![repo_id]).await?.iter().map(record).collect()
}

/// The last `limit` events of this kind about `subject` since then, oldest first: when, from what, to what.
pub async fn changes_of(
    database: &impl Query,
    (repo_id, kind, subject): (i64, &str, &str),
    since: Timestamp,
    limit: i64,
) -> Result<Vec<(Timestamp, String, String)>, StoreError> {
    const SQL: &str = "SELECT at, old_value, new_value FROM events
         WHERE repo_id = $1 AND kind = $2 AND subject = $3 AND at >= $4 ORDER BY id DESC LIMIT $5";
    let rows = database.rows(SQL, values![repo_id, kind, subject, since, limit]).await?;
    let read = |row: &Row| {
        let (old, new): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, old.unwrap_or_default(), new.unwrap_or_default()))
    };
    rows.iter().rev().map(read).collect()
}

fn linked(row: &Row) -> Result<(Link, EventRecord), StoreError> {
    let hash: Option<String> = row.get(1)?;
    Ok((Link { number: row.get(0)?, hash: hash.unwrap_or_default() }, record(row)?))
}

fn record(row: &Row) -> Result<EventRecord, StoreError> {
    Ok(EventRecord {
        at: row.get(2)?,
        actor_id: row.get(3)?,
        actor: row.get(4)?,
        kind: row.get(5)?,
        repo_id: row.get(6)?,
        repo: row.get(7)?,
        subject: row.get(8)?,
        old_value: row.get(9)?,
        new_value: row.get(10)?,
        address: row.get(11)?,
        request: row.get(12)?,
    })
}
