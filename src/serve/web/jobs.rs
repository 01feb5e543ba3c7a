//! The queue of jobs, for the administrator of the site: what waits, what runs, and what was given up, to be tried again
//! or dropped. The forge tells everyone else that there is no such page.

use askama::Template;
use axum::extract::{Path, State};
use base::clock::Timestamp;
use forge::{JobQueue, JobView};

use super::failure::{PageResult, redirect};
use super::form::Form;
use super::moment;
use super::page::{Shell, draw};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// A job in a list.
pub(crate) struct JobRow {
    id: i64,
    name: String,
    created: String,
    at: String,
    attempts: String,
    error: String,
}

/// The jobs of one state.
pub(crate) struct JobList {
    id: &'static str,
    title: &'static str,
    moment: &'static str,
    empty: &'static str,
    is_dead: bool,
    rows: Vec<JobRow>,
}

#[derive(Template)]
#[template(path = "pages/jobs.html")]
pub(crate) struct JobsPage {
    pub(crate) shell: Shell,
    pub(crate) lists: [JobList; 3],
}

/// `GET /admin/jobs`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let queue = state.forge.jobs(&visit.actor).await?;
    draw(&page(&visit, &queue))
}

/// `POST /admin/jobs/{id}/retry`.
pub(crate) async fn retry(State(state): State<AppState>, visit: Visit, Path(id): Path<i64>, _: Form) -> PageResult {
    state.forge.retry_job(&visit.actor, id).await?;
    Ok(redirect(&Target::Jobs(Notice::JobRetried)))
}

/// `POST /admin/jobs/{id}/drop`.
pub(crate) async fn forget(State(state): State<AppState>, visit: Visit, Path(id): Path<i64>, _: Form) -> PageResult {
    state.forge.drop_job(&visit.actor, id).await?;
    Ok(redirect(&Target::Jobs(Notice::JobDropped)))
}

/// The page with this queue.
pub(crate) fn page(visit: &Visit, queue: &JobQueue) -> JobsPage {
    let list = |id, title, moment, empty, jobs: &[JobView]| JobList {
        id,
        title,
        moment,
        empty,
        is_dead: id == "dead",
        rows: jobs.iter().map(|job| row(job, visit.now)).collect(),
    };
    JobsPage {
        shell: Shell::of(visit),
        lists: [
            list("dead", "Given up", "Given up", "No job was given up.", &queue.dead),
            list("running", "Running", "Due", "No job runs.", &queue.running),
            list("waiting", "Waiting", "Due", "No job waits.", &queue.waiting),
        ],
    }
}

fn row(job: &JobView, now: Timestamp) -> JobRow {
    JobRow {
        id: job.id,
        name: job.name.clone(),
        created: moment::ago(job.created, now),
        at: moment::ago(job.at, now),
        attempts: format!("{} of {}", job.attempts, job.max_attempts),
        error: job.last_error.clone().unwrap_or_default(),
    }
}
