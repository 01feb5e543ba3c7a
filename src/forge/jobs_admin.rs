//! Jobs as the site's administrator sees them. What was given up can be begun anew or forgotten; both are
//! told to the audit log. Shows no payload and no secret.

use base::clock::Timestamp;
use store::jobs::{self, JobRecord};

use crate::events::{Happened, record};
use crate::{Actor, Error, Forge};

/// Jobs of one state that a page shows.
const SHOWN: i64 = 100;

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// Its number.
    pub id: i64,
    /// What is to be done, and to what.
    pub name: String,
    /// When it was put.
    pub created: Timestamp,
    /// When it is due, or was given up.
    pub at: Timestamp,
    /// How often it was begun.
    pub attempts: i64,
    /// How often it may be.
    pub max_attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQueue {
    /// Those that wait, the next one first; at most 100.
    pub waiting: Vec<JobView>,
    /// Those that somebody works on; at most 100.
    pub running: Vec<JobView>,
    /// Those that were given up; at most 100.
    pub dead: Vec<JobView>,
}

impl Forge {
    /// The queue of jobs. For administrators; `NotFound` for everyone else.
    pub async fn jobs(&self, actor: &Actor) -> Result<JobQueue, Error> {
        actor.as_administrator("read the jobs")?;
        let database = self.0.store.read();
        let views = async |state| -> Result<Vec<JobView>, Error> {
            Ok(jobs::of_state(&database, state, SHOWN).await?.into_iter().map(view).collect())
        };
        Ok(JobQueue { waiting: views("waiting").await?, running: views("running").await?, dead: views("dead").await? })
    }

    /// Has a job that was given up begin anew. For administrators; `NotFound` when there is none of that number.
    pub async fn retry_job(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let who = actor.as_administrator("change the jobs")?.who();
        let (tx, now) = (self.0.store.begin().await?, self.now());
        let job = jobs::revive(&tx, id, now).await?.ok_or(Error::NotFound)?;
        record(&tx, now, &who, Happened::JobRetried { name: &job.dedupe_key }).await?;
        tx.commit().await?;
        self.wake_workers();
        Ok(())
    }

    /// Forgets a job that was given up. For administrators; `NotFound` when there is none of that number.
    pub async fn drop_job(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let who = actor.as_administrator("change the jobs")?.who();
        let tx = self.0.store.begin().await?;
        let job = jobs::drop_dead(&tx, id).await?.ok_or(Error::NotFound)?;
        record(&tx, self.now(), &who, Happened::JobDropped { name: &job.dedupe_key }).await?;
        Ok(tx.commit().await?)
    }
}

fn view(job: JobRecord) -> JobView {
    JobView {
        id: job.id,
        name: job.dedupe_key,
        created: job.created,
        at: job.finished.unwrap_or(job.run_after),
        attempts: job.attempts,
        max_attempts: job.max_attempts,
        last_error: job.last_error,
    }
}
