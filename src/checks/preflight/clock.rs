//! The clock: whether something keeps it, and how far it is from those that others go by. Sets nothing.

use std::fmt;
use std::time::Duration;

use base::time_source;
use base::{Clock, Finding};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{World, names, text};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::presented_date;
use crate::text::{line, moment};

/// 2026-01-01: no clock of a host that runs this program is earlier.
const FIRST: i64 = 1_767_225_600;
/// 2046-01-01: nor later.
const LAST: i64 = 2_398_377_600;
/// How far from its source a clock may be, in seconds, before tokens and one-time codes suffer.
const OFFSET: f64 = 0.5;
/// How far from another machine's, in seconds: below the first nobody notices, above the second sign-in with codes fails.
pub(super) const APART: (i64, i64) = (5, 30);

/// Seconds without a word from its source after which a clock is on its own: both services ask every half hour or so.
const SILENT: i64 = 3 * 3600;
/// How long a server may take to say its time.
const UNPROVEN: Duration = Duration::from_secs(5);

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::HOST_CLOCK, "clock", |world| sane(world.asked.now.seconds())),
    Check::new(&catalogue::HOST_TIME_SOURCE, "time source", |world: &World| source(world.asked.now.seconds()))
        .patient(6),
    Check::new(&catalogue::HOST_CLOCK_APART, "clock and GITLAB_URL's", apart).patient(16),
    Check::new(&catalogue::HOST_TIME_ZONE, "time zone", time_zone),
];

fn sane(now: i64) -> Vec<Finding> {
    let known = &catalogue::HOST_CLOCK;
    let shown = moment(now);
    match now {
        ..FIRST => known.fails("clock", format!("shows {shown}, before this program was made")),
        LAST.. => known.fails("clock", format!("shows {shown}, after most certificates end")),
        _ => known.fine("clock", format!("shows {shown}")),
    }
}

fn source(now: i64) -> Vec<Finding> {
    let known = &catalogue::HOST_TIME_SOURCE;
    let state = time_source::ask();
    let silent = state.heard.map(|heard| now - heard).filter(|silent| *silent > SILENT);
    match (state.is_synchronized, state.offset) {
        (Some(false), _) => known.warns("time source", "the clock does not follow one"),
        (Some(true), _) if silent.is_some() => {
            let hours = silent.unwrap_or_default() / 3600;
            known.warns("time source", format!("the clock followed one {hours} hours ago, and nothing was heard since"))
        }
        (Some(true), Some(offset)) if offset > OFFSET => {
            known.warns("time source", format!("the clock is {offset:.1} s away from it"))
        }
        (Some(true), Some(offset)) => known.fine("time source", format!("the clock is within {:.1} ms", offset * 1e3)),
        (Some(true), None) => known.fine("time source", "the clock follows one"),
        (None, _) => known.unseen("time source", "neither chronyd nor systemd-timesyncd is seen"),
    }
}

/// How far this host's clock is from another machine's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apart {
    /// Positive where this host's is ahead.
    pub(super) seconds: i64,
    theirs: i64,
}

impl Apart {
    fn from(date: &str) -> Option<Self> {
        let theirs = OffsetDateTime::parse(date, &Rfc2822).ok()?.unix_timestamp();
        // The answer came just now: the time at the program's start is older by what the others took.
        Some(Self { seconds: base::clock::SystemClock.now().seconds() - theirs, theirs })
    }
}

impl fmt::Display for Apart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.seconds > 0 { "ahead of" } else { "behind" };
        write!(out, "{} s {way} {}", self.seconds.abs(), moment(self.theirs))
    }
}

/// The clock of the server at a setting, taken over a connection that proves nothing: where the clock is wrong, no certificate
/// verifies, and that is just when the other's time is wanted.
pub(super) fn unproven(world: &World, setting: &str) -> Option<Result<Apart, String>> {
    let target = names::target(world, setting)?;
    let date = presented_date::date(&target, UNPROVEN).map_err(|error| error.to_string());
    Some(date.and_then(|date| Apart::from(&date).ok_or_else(|| "sends no Date that can be read".to_owned())))
}

fn apart(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_CLOCK_APART;
    let proven = world.gitlab().and_then(|(base, answer)| {
        let date = answer.as_ref().ok()?.date.as_deref()?;
        Some((line(&base), Apart::from(date)?))
    });
    if let Some((subject, apart)) = proven {
        return judge(known, subject, apart, "");
    }
    match world.unproven() {
        None => known.unseen("GITLAB_URL", "is not set, nor is SITE_URL, so there is no clock to compare with"),
        Some((setting, Err(reason))) => known.unseen(*setting, line(reason)),
        Some((setting, Ok(apart))) => judge(known, (*setting).into(), *apart, ", as a server says that proved nothing"),
    }
}

fn judge(known: &'static Known, subject: String, apart: Apart, how: &str) -> Vec<Finding> {
    let message = format!("this host's clock is {apart}{how}");
    match apart.seconds.abs() {
        seconds if seconds > APART.1 => known.fails(subject, message),
        seconds if seconds > APART.0 => known.warns(subject, message),
        _ => known.fine(subject, format!("shows the same time as this host{how}")),
    }
}

fn time_zone(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_TIME_ZONE;
    let zones = std::path::Path::new("/usr/share/zoneinfo");
    if let Some(name) = (world.asked.environment)("TZ").filter(|name| !name.is_empty()) {
        let file = name.trim_start_matches(':');
        // A rule in POSIX's own form, like CET-1CEST, names no file.
        let is_rule = file.bytes().any(|byte| byte.is_ascii_digit()) || file == "UTC";
        if !is_rule && !zones.join(file).is_file() {
            return known.warns("TZ", format!("`{}` is no zone of this host, so UTC is used", line(file)));
        }
        return known.fine("TZ", line(file));
    }
    match std::fs::symlink_metadata("/etc/localtime") {
        Ok(_) if !std::path::Path::new("/etc/localtime").exists() => {
            known.warns("/etc/localtime", "leads nowhere, so UTC is used")
        }
        Ok(_) => {
            known.fine("/etc/localtime", text("/etc/timezone").map_or("is there".into(), |zone| line(zone.trim())))
        }
        Err(_) => known.fine("/etc/localtime", "is not there, so UTC is used"),
    }
}
