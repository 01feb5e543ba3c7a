//! The clock: whether something keeps it, and how far it is from those that others go by. Sets nothing.

use base::time_source;
use base::{Clock, Finding};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{World, text};
use crate::catalogue;
use crate::check::Check;
use crate::text::{line, moment};

/// 2026-01-01: no clock of a host that runs this program is earlier.
const FIRST: i64 = 1_767_225_600;
/// 2046-01-01: nor later.
const LAST: i64 = 2_398_377_600;
/// How far from its source a clock may be, in seconds, before tokens and one-time codes suffer.
const OFFSET: f64 = 0.5;
/// How far from another machine's, in seconds: below the first nobody notices, above the second sign-in with codes fails.
const APART: (i64, i64) = (5, 30);

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::HOST_CLOCK, "clock", |world| sane(world.asked.now.seconds())),
    Check::new(&catalogue::HOST_TIME_SOURCE, "time source", |_| source()).patient(3),
    Check::new(&catalogue::HOST_CLOCK_APART, "clock and GITLAB_URL's", apart).patient(11),
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

fn source() -> Vec<Finding> {
    let known = &catalogue::HOST_TIME_SOURCE;
    let state = time_source::ask();
    match (state.is_synchronized, state.offset) {
        (Some(false), _) => known.warns("time source", "the clock does not follow one"),
        (Some(true), Some(offset)) if offset > OFFSET => {
            known.warns("time source", format!("the clock is {offset:.1} s away from it"))
        }
        (Some(true), Some(offset)) => known.fine("time source", format!("the clock is within {:.1} ms", offset * 1e3)),
        (Some(true), None) => known.fine("time source", "the clock follows one"),
        (None, _) => known.unseen("time source", "neither chronyd nor systemd-timesyncd is seen"),
    }
}

fn apart(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_CLOCK_APART;
    let Some((base, answer)) = world.gitlab() else {
        return known.unseen("GITLAB_URL", "is not set to an https address, so there is no clock to compare with");
    };
    let subject = line(&base);
    match answer {
        Err(error) => known.unseen(subject, format!("did not answer: {error}")),
        Ok(answer) => {
            let theirs = answer.date.as_deref().and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
            let Some(theirs) = theirs else { return known.unseen(subject, "sends no Date that can be read") };
            // The answer came just now: the time at the program's start is older by what the others took.
            let ours = base::clock::SystemClock.now().seconds();
            let (apart, theirs) = (ours - theirs.unix_timestamp(), theirs.unix_timestamp());
            let way = if apart > 0 { "ahead of" } else { "behind" };
            let message = format!("this host's clock is {} s {way} {}", apart.abs(), moment(theirs));
            match apart.abs() {
                seconds if seconds > APART.1 => known.fails(subject, message),
                seconds if seconds > APART.0 => known.warns(subject, message),
                _ => known.fine(subject, "shows the same time as this host"),
            }
        }
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
