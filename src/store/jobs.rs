//! Jobs: what is to be done after the fact, in rows. One is put in the transaction that makes it necessary, worked on
//! under a lease that ends by itself, and kept for a while when it is over. What a job does is not known here.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A job as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Its number.
    pub id: i64,
    /// What is to be done.
    pub kind: String,
    /// To what, in JSON.
    pub payload: String,
    /// What makes it the same as another one.
    pub dedupe_key: String,
    /// `waiting`, `running`, `done` or `dead`.
    pub state: String,
    /// Not before that.
    pub run_after: Timestamp,
    /// How often it was begun.
    pub attempts: i64,
    /// How often it may be begun.
    pub max_attempts: i64,
    /// Who works on it.
    pub leased_by: Option<String>,
    /// Until when that is believed.
    pub leased_until: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was put.
    pub created: Timestamp,
    /// When it was over, one way or the other.
    pub finished: Option<Timestamp>,
}

/// A job to put.
#[derive(Clone, Copy, Debug)]
pub struct NewJobRecord<'a> {
    /// What is to be done.
    pub kind: &'a str,
    /// To what, in JSON.
    pub payload: &'a str,
    /// What makes it the same as another one.
    pub dedupe_key: &'a str,
    /// Not before that.
    pub run_after: Timestamp,
    /// How often it may be begun.
    pub max_attempts: i64,
    /// When it is put.
    pub created: Timestamp,
}

/// How many jobs there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Those that wait.
    pub waiting: i64,
    /// Those that somebody works on.
    pub running: i64,
    /// Those that were given up.
    pub dead: i64,
}

macro_rules! columns {
    () => {
        "id, kind, payload, dedupe_key, state, run_after, attempts, max_attempts, leased_by, leased_until, last_error,
         created, finished "
    };
}

/// Which job is next: due, or left by who held it; never one whose twin is being worked on.
macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, leased_by = $1, leased_until = $2
             WHERE id = (
                 SELECT j.id FROM jobs j
                 WHERE (j.state = 'running' AND j.leased_until <= $3)
                    OR (j.state = 'waiting' AND j.run_after <= $3 AND NOT EXISTS (
                            SELECT 1 FROM jobs r WHERE r.state = 'running' AND r.dedupe_key = j.dedupe_key))
                 ORDER BY j.run_after, j.id LIMIT 1 ",
            $lock,
            ") RETURNING ",
            columns!()
        )
    };
}

/// Puts a job, unless one like it waits already: then it says `false`.
pub async fn put(tx: &Tx, new: &NewJobRecord<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO jobs (kind, payload, dedupe_key, state, run_after, attempts, max_attempts, created)
         VALUES ($1, $2, $3, 'waiting', $4, 0, $5, $6)
         ON CONFLICT (dedupe_key) WHERE state = 'waiting' DO NOTHING RETURNING id";
    let values = values![new.kind, new.payload, new.dedupe_key, new.run_after, new.max_attempts, new.created];
    Ok(tx.first(SQL, values).await?.is_some())
}

/// Says whether a job like this waits or runs.
pub async fn is_active(database: &impl Query, dedupe_key: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM jobs WHERE dedupe_key = $1 AND state IN ('waiting', 'running') LIMIT 1";
    Ok(database.first(SQL, values![dedupe_key]).await?.is_some())
}

/// When the next job is due, or the next lease ends; `None` when there is nothing to wait for.
pub async fn next_due(database: &impl Query) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = "SELECT MIN(turn) FROM (
             SELECT MIN(run_after) AS turn FROM jobs WHERE state = 'waiting'
             UNION ALL SELECT MIN(leased_until) FROM jobs WHERE state = 'running'
         ) turns";
    database.first(SQL, values![]).await?.map_or(Ok(None), |row| row.get(0))
}

/// Takes the next job for `worker`, until the lease ends.
pub async fn claim(tx: &Tx, worker: &str, now: Timestamp, until: Timestamp) -> Result<Option<JobRecord>, StoreError> {
    // Transactions are serialised today; the lock is what keeps two workers apart on the day when they are not.
    let sql = tx.dialect(claim!(""), claim!("FOR UPDATE SKIP LOCKED"));
    tx.first(sql, values![worker, until, now]).await?.as_ref().map(record).transpose()
}

/// Lengthens a lease; `false` when it is no longer this worker's.
pub async fn extend(tx: &Tx, id: i64, worker: &str, until: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE jobs SET leased_until = $3
         WHERE id = $1 AND leased_by = $2 AND state = 'running' RETURNING id";
    Ok(tx.first(SQL, values![id, worker, until]).await?.is_some())
}

/// The job is done; `false` when the lease was no longer this worker's.
pub async fn finish(tx: &Tx, id: i64, worker: &str, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE jobs SET state = 'done', finished = $3, leased_by = NULL, leased_until = NULL
         WHERE id = $1 AND leased_by = $2 AND state = 'running' RETURNING id";
    Ok(tx.first(SQL, values![id, worker, now]).await?.is_some())
}

/// The attempt failed and there will be another; `false` when the lease was no longer this worker's.
pub async fn put_off(tx: &Tx, job: &JobRecord, worker: &str, error: &str, at: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE jobs SET state = 'waiting', run_after = $4, last_error = $3, leased_by = NULL,
             leased_until = NULL
         WHERE id = $1 AND leased_by = $2 AND state = 'running' RETURNING id";
    if !is_held(tx, job.id, worker).await? {
        return Ok(false);
    }
    remove_twin(tx, &job.dedupe_key).await?;
    Ok(tx.first(SQL, values![job.id, worker, error, at]).await?.is_some())
}

/// The attempt failed and was the last; `false` when the lease was no longer this worker's.
pub async fn bury(tx: &Tx, id: i64, worker: &str, error: &str, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE jobs SET state = 'dead', finished = $4, last_error = $3, leased_by = NULL,
             leased_until = NULL
         WHERE id = $1 AND leased_by = $2 AND state = 'running' RETURNING id";
    Ok(tx.first(SQL, values![id, worker, error, now]).await?.is_some())
}

/// Gives up those whose worker vanished in the last attempt that they had: they may be what it died of.
pub async fn bury_lost(tx: &Tx, error: &str, now: Timestamp) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "UPDATE jobs SET state = 'dead', finished = $2, last_error = $1, leased_by = NULL,
             leased_until = NULL
         WHERE state = 'running' AND leased_until <= $2 AND attempts >= max_attempts RETURNING id";
    tx.rows(SQL, values![error, now]).await?.iter().map(|row| row.get(0)).collect()
}

/// Gives a job back as if it had not been begun; nothing happens when the lease was no longer this worker's.
pub async fn give_back(tx: &Tx, job: &JobRecord, worker: &str) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE jobs SET state = 'waiting', attempts = attempts - 1, leased_by = NULL, leased_until = NULL
         WHERE id = $1 AND leased_by = $2 AND state = 'running'";
    if !is_held(tx, job.id, worker).await? {
        return Ok(());
    }
    remove_twin(tx, &job.dedupe_key).await?;
    tx.rows(SQL, values![job.id, worker]).await.map(drop)
}

/// Has a job that was given up begin anew. `None` when there is none of that number.
pub async fn revive(tx: &Tx, id: i64, now: Timestamp) -> Result<Option<JobRecord>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE jobs SET state = 'waiting', attempts = 0, run_after = $2, finished = NULL
         WHERE id = $1 AND state = 'dead' RETURNING ",
        columns!()
    );
    if let Some(dead) = dead(tx, id).await? {
        remove_twin(tx, &dead.dedupe_key).await?;
    }
    tx.first(SQL, values![id, now]).await?.as_ref().map(record).transpose()
}

/// Forgets a job that was given up. `None` when there is none of that number.
pub async fn drop_dead(tx: &Tx, id: i64) -> Result<Option<JobRecord>, StoreError> {
    const SQL: &str = concat!("DELETE FROM jobs WHERE id = $1 AND state = 'dead' RETURNING ", columns!());
    tx.first(SQL, values![id]).await?.as_ref().map(record).transpose()
}

/// Forgets the jobs that were done before `then`.
pub async fn remove_done(tx: &Tx, then: Timestamp) -> Result<(), StoreError> {
    tx.rows("DELETE FROM jobs WHERE state = 'done' AND finished < $1", values![then]).await.map(drop)
}

/// The jobs of a state, the first in turn first.
pub async fn of_state(database: &impl Query, state: &str, limit: i64) -> Result<Vec<JobRecord>, StoreError> {
    const SQL: &str = concat!("SELECT ", columns!(), "FROM jobs WHERE state = $1 ORDER BY run_after, id LIMIT $2");
    database.rows(SQL, values![state, limit]).await?.iter().map(record).collect()
}

/// How many there are.
pub async fn counts(database: &impl Query) -> Result<JobCounts, StoreError> {
    const SQL: &str = "SELECT state, COUNT(*) FROM jobs WHERE state <> 'done' GROUP BY state";
    let mut counts = JobCounts::default();
    for row in database.rows(SQL, values![]).await? {
        let number = row.get(1)?;
        match row.get::<String>(0)?.as_str() {
            "waiting" => counts.waiting = number,
            "running" => counts.running = number,
            _ => counts.dead = number,
        }
    }
    Ok(counts)
}

async fn dead(tx: &Tx, id: i64) -> Result<Option<JobRecord>, StoreError> {
    const SQL: &str = concat!("SELECT ", columns!(), "FROM jobs WHERE id = $1 AND state = 'dead'");
    tx.first(SQL, values![id]).await?.as_ref().map(record).transpose()
}

/// Says whether this worker holds the job's lease.
async fn is_held(tx: &Tx, id: i64, worker: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM jobs WHERE id = $1 AND leased_by = $2 AND state = 'running'";
    Ok(tx.first(SQL, values![id, worker]).await?.is_some())
}

/// One that goes back to waiting takes the place of the one that waits: both ask for the same.
async fn remove_twin(tx: &Tx, dedupe_key: &str) -> Result<(), StoreError> {
    tx.rows("DELETE FROM jobs WHERE dedupe_key = $1 AND state = 'waiting'", values![dedupe_key]).await.map(drop)
}

fn record(row: &Row) -> Result<JobRecord, StoreError> {
    Ok(JobRecord {
        id: row.get(0)?,
        kind: row.get(1)?,
        payload: row.get(2)?,
        dedupe_key: row.get(3)?,
        state: row.get(4)?,
        run_after: row.get(5)?,
        attempts: row.get(6)?,
        max_attempts: row.get(7)?,
        leased_by: row.get(8)?,
        leased_until: row.get(9)?,
        last_error: row.get(10)?,
        created: row.get(11)?,
        finished: row.get(12)?,
    })
}
