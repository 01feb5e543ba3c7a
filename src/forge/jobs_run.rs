//! Who works on jobs: a few workers in each server, woken when there is something to do and looking by themselves when
//! nobody wakes them. A worker holds a lease and lengthens it while it works; one that dies lets it run out, and another
//! takes over. Closing gives the work back at once.

use std::time::Duration;

use base::fault;
use store::jobs::{self as rows, JobRecord};
use store::{repos, sessions, sign_in_failures};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use crate::jobs::{Job, TOPIC, pause_after, put_next};
use crate::session::IDLE;
use crate::{Error, Forge, settle};

/// Workers of one server.
const WORKERS: usize = 2;
/// Seconds that a lease holds, and time between two renewals.
const LEASE: i64 = 60;
const RENEWAL: Duration = Duration::from_secs(20);
/// The longest time between two looks: what no wake-up told of is found by then.
const LOOK: Duration = Duration::from_secs(5);
/// Time that one attempt may take.
const LONGEST: Duration = Duration::from_hours(1);
/// Seconds that a job that was done is kept.
const KEPT: i64 = 7 * 24 * 60 * 60;
/// The longest words of a failure that are kept, in characters.
const WORDS: usize = 500;
/// What is said of a job whose worker vanished in its last attempt.
const VANISHED: &str = "whoever worked on it vanished, every time";

/// How an attempt ended.
enum Outcome {
    Done,
    Failed(String),
    /// The lease is somebody else's now, and so is the job.
    Lost,
    /// The forge closes.
    Interrupted,
}

struct Worker {
    forge: Forge,
    name: String,
}

impl Forge {
    /// Begins to work on the site's jobs, in the background and until [`Forge::close`]. For servers: a verb of the
    /// host's own shell leaves them to those.
    pub fn start_work(&self) {
        let host = vault::random::text(12);
        for number in 1..=WORKERS {
            let name = format!("{}-{number}", host.expose());
            let worker = Worker { forge: self.clone(), name };
            self.spawn(worker.run());
        }
    }

    /// Works on everything that is due now, as one worker would, and gives how many jobs were begun.
    #[cfg(test)]
    pub(crate) async fn work_off(&self, name: &str) -> usize {
        let worker = Worker { forge: self.clone(), name: name.to_owned() };
        let mut begun = 0;
        while worker.step().await.unwrap() {
            begun += 1;
        }
        begun
    }

    /// Tells the workers, here and at other replicas, that there is something to do. Call it after the commit.
    pub(crate) fn wake_workers(&self) {
        self.0.signals.publish(TOPIC, "");
    }
}

impl Worker {
    async fn run(self) {
        let mut closing = self.forge.0.closing.subscribe();
        let mut wakes = self.forge.0.signals.listen();
        let mut is_failing = false;
        while !*closing.borrow() {
            match self.step().await {
                Ok(true) => {
                    is_failing = false;
                    continue;
                }
                Ok(false) => is_failing = false,
                Err(error) => {
                    if !is_failing {
                        tracing::warn!(error = &error as &dyn std::error::Error, "jobs cannot be worked on");
                    }
                    is_failing = true;
                }
            }
            let pause = if is_failing { LOOK } else { self.pause().await };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = woken(&mut wakes) => {}
                _ = closing.wait_for(|is_closing| *is_closing) => {}
            }
        }
    }

    /// Takes the next job and works on it; `false` when none is due.
    async fn step(&self) -> Result<bool, Error> {
        let now = self.forge.now();
        // A look costs less than a turn among those who write.
        if rows::next_due(&self.forge.0.store.read()).await?.is_none_or(|due| now < due) {
            return self.begin_rounds().await.map(|()| false);
        }
        let tx = self.forge.0.store.begin().await?;
        for id in rows::bury_lost(&tx, VANISHED, now).await? {
            tracing::error!(job.id = id, "a job was given up: {VANISHED}");
        }
        let claimed = rows::claim(&tx, &self.name, now, now.plus_seconds(LEASE)).await?;
        tx.commit().await?;
        let Some(job) = claimed else { return Ok(false) };
        fault::point("forge:job:claimed");
        let outcome = self.attempt(&job).await;
        fault::point("forge:job:done");
        self.conclude(&job, outcome).await?;
        Ok(true)
    }

    /// Puts the recurring jobs that nobody has put yet.
    async fn begin_rounds(&self) -> Result<(), Error> {
        for job in Job::RECURRING {
            if !rows::is_active(&self.forge.0.store.read(), job.kind()).await? {
                let tx = self.forge.0.store.begin().await?;
                put_next(&tx, &job, self.forge.now(), job.round().unwrap_or_default()).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Time until the next job is due, as far as it is known.
    async fn pause(&self) -> Duration {
        let Ok(Some(due)) = rows::next_due(&self.forge.0.store.read()).await else { return LOOK };
        let microseconds = due.0.saturating_sub(self.forge.now().0);
        // Twins of a job that runs are due and not to be had: no reason to ask without a pause.
        Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)).clamp(Duration::from_millis(200), LOOK)
    }

    async fn attempt(&self, job: &JobRecord) -> Outcome {
        let Some(parsed) = Job::read(&job.payload) else {
            return Outcome::Failed("this version of the program does not know such a job".into());
        };
        let mut closing = self.forge.0.closing.subscribe();
        // A task of its own, so that its panic is a failed attempt and no dead worker.
        let mut work = JoinSet::new();
        let forge = self.forge.clone();
        work.spawn(async move { perform(&forge, &parsed).await });
        let work = async {
            match tokio::time::timeout(LONGEST, work.join_next()).await {
                Ok(Some(Ok(Ok(())))) => Outcome::Done,
                Ok(Some(Ok(Err(error)))) => Outcome::Failed(chain(&error)),
                Ok(Some(Err(_))) => Outcome::Failed("the program made a mistake (it panicked)".into()),
                Ok(None) | Err(_) => Outcome::Failed(format!("took longer than {} s", LONGEST.as_secs())),
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = self.hold(job) => Outcome::Lost,
            _ = closing.wait_for(|is_closing| *is_closing) => Outcome::Interrupted,
        }
    }

    /// Lengthens the lease, until it is lost.
    async fn hold(&self, job: &JobRecord) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            let renewed = async {
                let tx = self.forge.0.store.begin().await?;
                let until = self.forge.now().plus_seconds(LEASE);
                let is_ours = rows::extend(&tx, job.id, &self.name, until).await?;
                tx.commit().await?;
                Ok::<bool, Error>(is_ours)
            };
            match renewed.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(job.id, error = &error as &dyn std::error::Error, "a lease was not lengthened");
                }
            }
        }
    }

    async fn conclude(&self, job: &JobRecord, outcome: Outcome) -> Result<(), Error> {
        let now = self.forge.now();
        let tx = self.forge.0.store.begin().await?;
        let is_over = match outcome {
            Outcome::Done => {
                rows::finish(&tx, job.id, &self.name, now).await?;
                true
            }
            Outcome::Interrupted => {
                rows::give_back(&tx, job, &self.name).await?;
                false
            }
            Outcome::Lost => {
                tracing::warn!(job.id, job.kind, "a lease was lost, and the job with it");
                return Ok(());
            }
            Outcome::Failed(words) if job.attempts >= job.max_attempts => {
                tracing::error!(job.id, job.kind, error = words, "a job was given up");
                rows::bury(&tx, job.id, &self.name, &words, now).await?;
                true
            }
            Outcome::Failed(words) => {
                tracing::warn!(job.id, job.kind, job.attempts, error = words, "a job failed and will be tried again");
                let random = u32::from_le_bytes(vault::random::bytes());
                let again = now.plus_seconds(pause_after(job.attempts, random));
                rows::put_off(&tx, job, &self.name, &words, again).await?;
                false
            }
        };
        if is_over
            && let Some(parsed) = Job::read(&job.payload)
            && let Some(round) = parsed.round()
        {
            put_next(&tx, &parsed, now, round).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Does what the job says. May be called again for a job that was done, or half done.
async fn perform(forge: &Forge, job: &Job) -> Result<(), Error> {
    match job {
        Job::TidyRepository { repo } => forge.tidy(*repo).await,
        Job::RemoveDirectory { repo } => {
            // Whatever the job says: a directory that a repository owns stays.
            if repos::path(&forge.0.store.read(), *repo).await?.is_some() {
                return Ok(());
            }
            settle::remove_directory(&forge.0.store, &forge.0.repositories, *repo).await
        }
        Job::SettlePushes => settle::overdue(&forge.0.store, &forge.0.repositories, forge.now()).await,
        Job::ForgetEnded => {
            let now = forge.now();
            let tx = forge.0.store.begin().await?;
            sessions::remove_ended(&tx, now, now.plus_seconds(-IDLE)).await?;
            sign_in_failures::remove_ended(&tx, now).await?;
            rows::remove_done(&tx, now.plus_seconds(-KEPT)).await?;
            Ok(tx.commit().await?)
        }
    }
}

/// Ends when somebody tells of a job. What is missed by who is slow is found by the next look.
async fn woken(wakes: &mut Receiver<store::Signal>) {
    loop {
        match wakes.recv().await {
            Ok(signal) if signal.topic == TOPIC => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The chain of causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(WORDS).collect()
}
