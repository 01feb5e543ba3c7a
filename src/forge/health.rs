//! How the site is, for its administrator and for `/readyz`: the parts that it stands on, in numbers. Shows no secret, and
//! no address of a part.

use std::path::Path;
use std::time::Duration;

use store::{Link, jobs};

use crate::{Actor, Error, Forge};

/// How the site is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// SQLite or PostgreSQL.
    pub database: &'static str,
    /// What there is between replicas.
    pub redis: RedisState,
    /// Jobs that wait.
    pub waiting: i64,
    /// Jobs that somebody works on.
    pub running: i64,
    /// Jobs that were given up.
    pub dead: i64,
    /// Seconds that the next job is overdue.
    pub overdue: i64,
    /// Bytes that are free where the site's data is, and all of them; `None` when the file system does not say.
    pub disk: Option<(u64, u64)>,
}

/// What there is between replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisState {
    /// No Redis: the site is one process.
    Unused,
    /// It answers.
    Connected,
    /// It does not answer, and the site does without.
    Away,
}

impl Forge {
    /// How the site is. For administrators; `NotFound` for everyone else.
    pub async fn health(&self, actor: &Actor) -> Result<Health, Error> {
        actor.as_administrator("read the site's health")?;
        let database = self.0.store.read();
        let counts = jobs::counts(&database).await?;
        let due = jobs::next_due(&database).await?;
        let overdue = due.map_or(0, |due| self.now().0.saturating_sub(due.0).div_euclid(1_000_000).max(0));
        // A round trip, so that a Redis that hangs is found now and not by the next page.
        self.0.signals.put("health", "asked", Duration::from_secs(10)).await;
        self.0.signals.get("health").await;
        Ok(Health {
            database: self.0.store.kind(),
            redis: self.redis(),
            waiting: counts.waiting,
            running: counts.running,
            dead: counts.dead,
            overdue,
            disk: disk(&self.0.database),
        })
    }

    /// What there is between replicas at this moment.
    pub fn redis(&self) -> RedisState {
        match self.0.signals.link() {
            Link::InProcess => RedisState::Unused,
            Link::Connected => RedisState::Connected,
            Link::Away => RedisState::Away,
        }
    }
}

/// Free bytes and all bytes of the file system that holds the data directory, as whoever runs the site may use them.
fn disk(database: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(database.parent()?).ok()?;
    Some((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}
