//! Jobs as their workers and the administrator meet them, with a clock of the test's own: what is done, what is tried
//! again, what another takes over, and what is given up.

use std::collections::BTreeSet;

use store::jobs::{self, NewJobRecord};

use super::*;
use crate::jobs::{Job, put};
use crate::{Error, JobView};

async fn enqueue(forge: &Forge, job: &Job) {
    let tx = forge.0.store.begin().await.unwrap();
    put(&tx, job, forge.now()).await.unwrap();
    tx.commit().await.unwrap();
}

/// A job that no version of the program knows.
async fn poison(forge: &Forge, name: &str, max_attempts: i64) {
    let tx = forge.0.store.begin().await.unwrap();
    let now = forge.now();
    let (kind, payload) = ("brew_coffee", r#"{"kind":"brew_coffee"}"#);
    let new = NewJobRecord { kind, payload, dedupe_key: name, run_after: now, max_attempts, created: now };
    jobs::put(&tx, &new).await.unwrap();
    tx.commit().await.unwrap();
}

fn names(list: &[JobView]) -> Vec<&str> {
    list.iter().map(|job| job.name.as_str()).collect()
}

#[tokio::test]
async fn the_directory_of_a_deleted_repository_is_removed_behind_the_answer() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let directories = || {
        let fans = std::fs::read_dir(site.directory.path().join("repositories")).unwrap().flatten();
        fans.filter_map(|fan| std::fs::read_dir(fan.path()).ok()).flatten().count()
    };
    let before = directories();
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap().for_admin().unwrap();
    site.forge.delete_repo(repo).await.unwrap();
    assert!(matches!(site.forge.repo(&alice, &path("alice/notes")).await, Err(Error::NotFound)));
    assert_eq!(site.forge.work_off("worker").await, 1);
    assert_eq!(directories(), before - 1);
    assert_eq!(site.forge.work_off("worker").await, 0);
}

/// Whatever a job says: what a repository owns is never removed, and what is gone needs nothing.
#[tokio::test]
async fn every_job_may_run_twice_and_for_what_is_no_more() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let id = site.forge.repo(&alice, &path("alice/notes")).await.unwrap().id;
    for _ in 0..2 {
        for job in [
            Job::RemoveDirectory { repo: id },
            Job::RemoveDirectory { repo: 999 },
            Job::TidyRepository { repo: id },
            Job::TidyRepository { repo: 999 },
            Job::ForgetEnded,
        ] {
            enqueue(&site.forge, &job).await;
        }
        site.clock.advance(10);
        // What comes again by itself waits already, the second time.
        assert!(site.forge.work_off("worker").await >= 4);
    }
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    assert!(site.forge.frame(&repo).await.is_ok(), "the directory is there");
    let root = site.sign_in("root").await;
    assert!(site.forge.jobs(&root).await.unwrap().dead.is_empty());
}

#[tokio::test]
async fn a_poison_job_is_tried_later_each_time_and_given_up_in_the_end() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    poison(&site.forge, "coffee", 3).await;
    for attempt in 1..=3 {
        assert!(site.forge.work_off("worker").await >= 1, "{attempt}");
        assert_eq!(site.forge.work_off("worker").await, 0, "not again at once");
        site.clock.advance(3600);
    }
    let queue = site.forge.jobs(&root).await.unwrap();
    let dead = queue.dead.first().expect("given up");
    assert_eq!((dead.name.as_str(), dead.attempts), ("coffee", 3));
    assert!(dead.last_error.as_deref().is_some_and(|said| said.contains("does not know")), "{dead:?}");

    site.forge.retry_job(&root, dead.id).await.unwrap();
    assert_eq!(names(&site.forge.jobs(&root).await.unwrap().dead), Vec::<&str>::new());
    for _ in 0..3 {
        site.clock.advance(3600);
        site.forge.work_off("worker").await;
    }
    site.forge.drop_job(&root, dead.id).await.unwrap();
    assert!(matches!(site.forge.drop_job(&root, dead.id).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.retry_job(&root, dead.id).await, Err(Error::NotFound)));
    let told = site.forge.audit(&root, &crate::AuditFilter::default()).await.unwrap().records;
    for action in ["job.retried", "job.dropped"] {
        assert!(told.iter().any(|record| record.action == action && record.object == "coffee"), "{action}");
    }
}

#[tokio::test]
async fn what_a_dead_worker_held_is_taken_over_when_its_lease_ends() {
    let site = Site::open().await;
    enqueue(&site.forge, &Job::RemoveDirectory { repo: 999 }).await;
    let held = claim(&site.forge, "dead").await.expect("the job");
    assert_eq!(site.forge.work_off("other").await, 0, "the lease holds");
    site.clock.advance(59);
    assert_eq!(site.forge.work_off("other").await, 0, "the lease holds");
    site.clock.advance(1);
    assert_eq!(site.forge.work_off("other").await, 1);
    let tx = site.forge.0.store.begin().await.unwrap();
    assert!(!jobs::finish(&tx, held.id, "dead", site.forge.now()).await.unwrap(), "it is no longer theirs");
    assert!(!jobs::extend(&tx, held.id, "dead", site.forge.now()).await.unwrap());
}

/// It may be what its workers died of.
#[tokio::test]
async fn a_job_that_kills_every_worker_is_given_up() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    poison(&site.forge, "killer", 2).await;
    for _ in 0..2 {
        assert!(claim(&site.forge, "victim").await.is_some());
        site.clock.advance(60);
    }
    assert_eq!(site.forge.work_off("survivor").await, 0);
    let queue = site.forge.jobs(&root).await.unwrap();
    assert_eq!(names(&queue.dead), ["killer"]);
    assert!(queue.dead[0].last_error.as_deref().unwrap().contains("vanished"));
}

#[tokio::test]
async fn two_workers_never_hold_one_job() {
    let site = Site::open().await;
    let second = open(site.directory.path(), &site.key, &site.clock).await.unwrap();
    for number in 0..30 {
        poison(&site.forge, &format!("job {number}"), 5).await;
    }
    let take_all = async |forge: &Forge, name: &str| {
        let mut taken = Vec::new();
        while let Some(job) = claim(forge, name).await {
            taken.push(job.id);
        }
        taken
    };
    let (one, other, third) =
        tokio::join!(take_all(&site.forge, "one"), take_all(&second, "other"), take_all(&site.forge, "third"),);
    let all: Vec<_> = [one, other, third].concat();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (30, 30));
    second.close().await;
}

#[tokio::test]
async fn one_waiting_job_is_enough_and_its_twin_waits_for_the_one_that_runs() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    let job = Job::RemoveDirectory { repo: 999 };
    enqueue(&site.forge, &job).await;
    enqueue(&site.forge, &job).await;
    assert_eq!(names(&site.forge.jobs(&root).await.unwrap().waiting), ["remove_directory 999"]);
    let running = claim(&site.forge, "busy").await.expect("the job");
    // What it does may have been overtaken, so it has to be done again.
    enqueue(&site.forge, &job).await;
    assert!(claim(&site.forge, "other").await.is_none(), "its twin runs");
    let tx = site.forge.0.store.begin().await.unwrap();
    jobs::give_back(&tx, &running, "busy").await.unwrap();
    tx.commit().await.unwrap();
    let waiting = site.forge.jobs(&root).await.unwrap().waiting;
    assert_eq!((waiting.len(), waiting[0].attempts), (1, 0), "{waiting:?}");
}

/// It takes itself for the worker of the job until it hears otherwise, and must not take away what waits meanwhile.
#[tokio::test]
async fn a_worker_that_lost_its_lease_leaves_the_job_that_waits_alone() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    let job = Job::RemoveDirectory { repo: 999 };
    enqueue(&site.forge, &job).await;
    let lost = claim(&site.forge, "slow").await.expect("the job");
    site.clock.advance(3600);
    assert_eq!(claim(&site.forge, "other").await.expect("the job that was left").id, lost.id);
    enqueue(&site.forge, &job).await;
    let waiting = site.forge.jobs(&root).await.unwrap().waiting;
    for is_put_off in [false, true] {
        let tx = site.forge.0.store.begin().await.unwrap();
        if is_put_off {
            assert!(!jobs::put_off(&tx, &lost, "slow", "failed", site.forge.now()).await.unwrap());
        } else {
            jobs::give_back(&tx, &lost, "slow").await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(site.forge.jobs(&root).await.unwrap().waiting, waiting, "{is_put_off}");
    }
    assert_eq!(waiting.len(), 1);
}

#[tokio::test]
async fn what_comes_again_comes_once_for_the_whole_site() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    let second = open(site.directory.path(), &site.key, &site.clock).await.unwrap();
    for _ in 0..3 {
        site.forge.work_off("one").await;
        second.work_off("other").await;
        let jobs = site.forge.jobs(&root).await.unwrap();
        let mut waiting = names(&jobs.waiting);
        waiting.sort_unstable();
        assert_eq!(waiting, ["forget_ended", "settle_pushes"]);
        site.clock.advance(3601);
        assert_eq!(site.forge.work_off("one").await + second.work_off("other").await, 2);
    }
    second.close().await;
}

#[tokio::test]
async fn jobs_are_for_the_administrator_alone() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for actor in [&alice, &Actor::Anonymous] {
        assert!(matches!(site.forge.jobs(actor).await, Err(Error::NotFound)));
        assert!(matches!(site.forge.health(actor).await, Err(Error::NotFound)));
        assert!(matches!(site.forge.retry_job(actor, 1).await, Err(Error::NotFound)));
        assert!(matches!(site.forge.drop_job(actor, 1).await, Err(Error::NotFound)));
    }
}

/// A server that works, woken by what its users do, and that gives everything back when it closes.
#[tokio::test]
async fn a_server_works_when_it_is_woken_and_closes_at_once() {
    let Site { forge, clock, key, directory } = Site::open().await;
    forge.start_work();
    poison(&forge, "coffee", 1).await;
    forge.wake_workers();
    let signed_in = forge.sign_in("root", &secret(PASSWORD), HOME).await.unwrap();
    let root = forge.session(&signed_in.token).await.unwrap().unwrap().actor;
    let worked = async {
        while forge.jobs(&root).await.unwrap().dead.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), worked).await.expect("nobody worked");
    tokio::time::timeout(std::time::Duration::from_secs(20), forge.close()).await.expect("it did not close");
    let forge = open(directory.path(), &key, &clock).await.unwrap();
    let counts = jobs::counts(&forge.0.store.read()).await.unwrap();
    assert_eq!((counts.running, counts.dead), (0, 1));
    forge.close().await;
}

async fn claim(forge: &Forge, name: &str) -> Option<store::jobs::JobRecord> {
    let now = forge.now();
    let tx = forge.0.store.begin().await.unwrap();
    let job = jobs::claim(&tx, name, now, now.plus_seconds(60)).await.unwrap();
    tx.commit().await.unwrap();
    job
}

super::on_a_server_too! {
    the_directory_of_a_deleted_repository_is_removed_behind_the_answer,
    every_job_may_run_twice_and_for_what_is_no_more,
    a_poison_job_is_tried_later_each_time_and_given_up_in_the_end,
    what_a_dead_worker_held_is_taken_over_when_its_lease_ends,
    a_job_that_kills_every_worker_is_given_up,
    two_workers_never_hold_one_job,
    one_waiting_job_is_enough_and_its_twin_waits_for_the_one_that_runs,
    a_worker_that_lost_its_lease_leaves_the_job_that_waits_alone,
    what_comes_again_comes_once_for_the_whole_site,
    a_server_works_when_it_is_woken_and_closes_at_once,
}
