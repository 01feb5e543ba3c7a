//! How the site is, for its administrator: the same facts that monitoring is given, in words. No secret, no address of a
//! part. The forge tells everyone else that there is no such page.

use std::sync::PoisonError;

use askama::Template;
use axum::extract::State;
use forge::{Health, RedisState};

use super::failure::PageResult;
use super::page::{Shell, draw};
use super::text::{counted, size};
use super::visit::Visit;
use crate::state::{AppState, Doors};

/// Seconds that a job may be late before somebody should look.
const LATE: i64 = 300;

/// A part of the site.
pub(crate) struct Part {
    name: &'static str,
    words: String,
    is_fine: bool,
}

#[derive(Template)]
#[template(path = "pages/health.html")]
pub(crate) struct HealthPage {
    pub(crate) shell: Shell,
    pub(crate) parts: Vec<Part>,
}

/// `GET /admin/health`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let health = state.forge.health(&visit.actor).await?;
    draw(&page(&visit, &health, of_doors(&state.doors)))
}

/// The page with these facts, and those of the server's own.
pub(crate) fn page(visit: &Visit, health: &Health, others: Vec<Part>) -> HealthPage {
    let mut parts = vec![
        fine("Version", format!("gitgrit-ops {}", Shell::version())),
        fine("Database", format!("{} answers", health.database)),
        redis(health.redis),
        disk(health.disk),
        jobs(health),
    ];
    parts.extend(others);
    HealthPage { shell: Shell::of(visit), parts }
}

fn fine(name: &'static str, words: String) -> Part {
    Part { name, words, is_fine: true }
}

fn redis(state: RedisState) -> Part {
    let (words, is_fine) = match state {
        RedisState::Unused => ("not used: this site is one process", true),
        RedisState::Connected => ("answers", true),
        RedisState::Away => ("does not answer: pages do without, and news from other replicas do not arrive", false),
    };
    Part { name: "Redis", words: words.into(), is_fine }
}

fn disk(disk: Option<(u64, u64)>) -> Part {
    let Some((free, total)) = disk else { return fine("Disk", "the file system does not say".into()) };
    let words = format!("{} free of {} where the site's data is", size(free), size(total));
    Part { name: "Disk", words, is_fine: free.saturating_mul(20) > total }
}

fn jobs(health: &Health) -> Part {
    let late = if health.overdue > LATE { format!(", the next one {} s late", health.overdue) } else { String::new() };
    let words = format!("{} wait, {} run, {} were given up{late}", health.waiting, health.running, health.dead);
    Part { name: "Jobs", words, is_fine: health.dead == 0 && health.overdue <= LATE }
}

/// What this server alone knows.
fn of_doors(doors: &Doors) -> Vec<Part> {
    let clock = *doors.clock_state.read().unwrap_or_else(PoisonError::into_inner);
    let (words, is_fine) = match clock.is_synchronized {
        Some(true) => ("follows a time source", true),
        Some(false) => ("follows no time source", false),
        None => ("no time service is seen from here", true),
    };
    let open = [
        counted(doors.http.count(), "web connection"),
        counted(doors.ssh.count(), "SSH session"),
        counted(doors.streams.count(), "live stream"),
        counted(doors.transfers.running(), "running transfer"),
    ];
    vec![Part { name: "Clock", words: words.into(), is_fine }, fine("Doors", open.join(", "))]
}
