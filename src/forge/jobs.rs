//! What is to be done after the fact, as values: which jobs there are, what makes two of them the same, how often each is
//! tried and when again. A job is put in the transaction that makes it necessary, and may run twice: every one of them
//! looks at what is there before it acts.

use base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use store::jobs::{self, NewJobRecord};
use store::{StoreError, Tx};

/// The topic under which workers are woken.
pub(crate) const TOPIC: &str = "jobs";
/// Seconds before a repository is looked after: a pusher who is at it pushes again.
const SETTLING: i64 = 3;
/// Seconds between two rounds of forgetting what has ended.
const ROUND: i64 = 60 * 60;
/// Seconds between two looks for pushes that have no event.
const SETTLE_ROUND: i64 = 5 * 60;
/// Seconds before the second attempt, and before any.
const FIRST_PAUSE: u64 = 10;
const LONGEST_PAUSE: u64 = 60 * 60;

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Job {
    /// Joins a repository's packs when there are many.
    TidyRepository { repo: i64 },
    /// Removes the directory of a repository that is no more.
    RemoveDirectory { repo: i64 },
    /// Forgets sessions, failed sign-ins and jobs that ended; again every hour, once for the whole site.
    ForgetEnded,
    /// Writes the events of moves that nobody came back to; again every five minutes, once for the whole site.
    SettlePushes,
}

impl Job {
    /// The jobs that come again by themselves.
    pub(crate) const RECURRING: [Self; 2] = [Self::ForgetEnded, Self::SettlePushes];

    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::TidyRepository { .. } => "tidy_repository",
            Self::RemoveDirectory { .. } => "remove_directory",
            Self::ForgetEnded => "forget_ended",
            Self::SettlePushes => "settle_pushes",
        }
    }

    /// What two jobs share of which one is enough.
    fn dedupe_key(&self) -> String {
        match self {
            Self::TidyRepository { repo } | Self::RemoveDirectory { repo } => format!("{} {repo}", self.kind()),
            Self::ForgetEnded | Self::SettlePushes => self.kind().to_owned(),
        }
    }

    const fn max_attempts(&self) -> i64 {
        match self {
            Self::TidyRepository { .. } => 5,
            Self::RemoveDirectory { .. } => 10,
            Self::ForgetEnded | Self::SettlePushes => 3,
        }
    }

    const fn pause(&self) -> i64 {
        match self {
            Self::TidyRepository { .. } => SETTLING,
            Self::RemoveDirectory { .. } | Self::ForgetEnded | Self::SettlePushes => 0,
        }
    }

    /// Seconds until it comes again, for one that does.
    pub(crate) const fn round(&self) -> Option<i64> {
        match self {
            Self::ForgetEnded => Some(ROUND),
            Self::SettlePushes => Some(SETTLE_ROUND),
            Self::TidyRepository { .. } | Self::RemoveDirectory { .. } => None,
        }
    }

    /// The job as a row has it; `None` when this program knows none like that.
    pub(crate) fn read(payload: &str) -> Option<Self> {
        serde_json::from_str(payload).ok()
    }

    fn payload(&self) -> String {
        // Of integers and fixed words alone: it has no way to fail, and an empty one would be found by `read`.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Puts a job into the transaction that makes it necessary. Wake the workers after its commit.
pub(crate) async fn put(tx: &Tx, job: &Job, now: Timestamp) -> Result<(), StoreError> {
    put_after(tx, job, now, job.pause()).await
}

/// Puts a recurring job for its next round.
pub(crate) async fn put_next(tx: &Tx, job: &Job, now: Timestamp, seconds: i64) -> Result<(), StoreError> {
    if jobs::is_active(tx, &job.dedupe_key()).await? { Ok(()) } else { put_after(tx, job, now, seconds).await }
}

async fn put_after(tx: &Tx, job: &Job, now: Timestamp, seconds: i64) -> Result<(), StoreError> {
    let (payload, dedupe_key) = (job.payload(), job.dedupe_key());
    let new = NewJobRecord {
        kind: job.kind(),
        payload: &payload,
        dedupe_key: &dedupe_key,
        run_after: now.plus_seconds(seconds),
        max_attempts: job.max_attempts(),
        created: now,
    };
    jobs::put(tx, &new).await.map(drop)
}

/// Seconds to wait after an attempt, counted from 1: twice as long each time, an hour at most, and of that between one
/// half and all of it, as `random` says, so that jobs that failed together do not come back together.
pub(crate) fn pause_after(attempt: i64, random: u32) -> i64 {
    let doublings = u32::try_from(attempt.clamp(1, 17) - 1).unwrap_or(0);
    let longest = (FIRST_PAUSE << doublings).min(LONGEST_PAUSE);
    let half = longest / 2;
    i64::try_from(half + u64::from(random) % (longest - half + 1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_are_spread() {
        for (attempt, least, most) in [
            (0, 5, 10),
            (1, 5, 10),
            (2, 10, 20),
            (3, 20, 40),
            (9, 1280, 2560),
            (10, 1800, 3600),
            (i64::MAX, 1800, 3600),
        ] {
            let all: Vec<_> = (0..10_000).map(|random| pause_after(attempt, random)).collect();
            assert_eq!((all.iter().min(), all.iter().max()), (Some(&least), Some(&most)), "{attempt}");
        }
    }

    #[test]
    fn a_job_is_read_as_it_was_written_and_nothing_else_is() {
        let of_repos = [Job::TidyRepository { repo: 7 }, Job::RemoveDirectory { repo: 8 }];
        for job in of_repos.into_iter().chain(Job::RECURRING) {
            assert_eq!(Job::read(&job.payload()), Some(job.clone()));
            assert!(job.payload().contains(&format!("\"kind\":\"{}\"", job.kind())));
        }
        for foreign in ["", "{}", r#"{"kind":"brew_coffee"}"#, r#"{"kind":"tidy_repository"}"#] {
            assert_eq!(Job::read(foreign), None);
        }
    }
}
