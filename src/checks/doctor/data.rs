//! The data as the forge saw it: database, key, audit log, jobs, repositories. Judges alone.

use std::collections::BTreeSet;

use base::Finding;

use super::{Data, Live};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::text::line;

/// Seconds that a job may be overdue before somebody should ask why.
const OVERDUE: i64 = 5 * 60;
/// How many names one message lists.
const LISTED: usize = 5;

pub(super) static CHECKS: [Check<Live>; 11] = [
    Check::new(&catalogue::DOCTOR_SETTINGS, "settings", settings),
    Check::new(&catalogue::DOCTOR_PARTS, "parts of the installation", parts),
    Check::new(&catalogue::DOCTOR_DATABASE, "database", database),
    Check::new(&catalogue::DOCTOR_MIGRATIONS, "migrations", |live| of(live, &catalogue::DOCTOR_MIGRATIONS, migrations)),
    Check::new(&catalogue::DOCTOR_KEY, "encryption key", |live| of(live, &catalogue::DOCTOR_KEY, key)),
    Check::new(&catalogue::DOCTOR_INTEGRITY, "database's pages", |live| {
        whole(live, &catalogue::DOCTOR_INTEGRITY, integrity)
    }),
    Check::new(&catalogue::DOCTOR_AUDIT, "audit log", |live| whole(live, &catalogue::DOCTOR_AUDIT, audit)),
    Check::new(&catalogue::DOCTOR_DEAD_JOBS, "jobs given up", |live| whole(live, &catalogue::DOCTOR_DEAD_JOBS, dead)),
    Check::new(&catalogue::DOCTOR_OVERDUE, "overdue jobs", |live| whole(live, &catalogue::DOCTOR_OVERDUE, overdue)),
    Check::new(&catalogue::DOCTOR_MISSING, "missing repositories", |live| {
        repositories(live, &catalogue::DOCTOR_MISSING, missing)
    }),
    Check::new(&catalogue::DOCTOR_ORPHANS, "nobody's repositories", |live| {
        repositories(live, &catalogue::DOCTOR_ORPHANS, orphans)
    }),
];

type Judge = fn(&'static Known, &Data) -> Vec<Finding>;

fn of(live: &Live, known: &'static Known, judge: Judge) -> Vec<Finding> {
    match &live.data {
        Err(_) => known.unseen("database", "cannot be looked at; its own check says why"),
        Ok(data) => judge(known, data),
    }
}

/// Needs a database of this program's own schema.
fn whole(live: &Live, known: &'static Known, judge: Judge) -> Vec<Finding> {
    match &live.data {
        Ok(data) if data.pending > 0 => known.unseen("database", "migrations are due, so it was not looked into"),
        _ => of(live, known, judge),
    }
}

fn settings(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_SETTINGS;
    let subject = line(&live.site.env().display().to_string());
    match &live.refused_settings {
        None => known.fine(subject, "is read"),
        Some(reason) => known.fails(subject, line(reason)),
    }
}

/// What the next `install` reads before it does anything: authority, certificates, settings, where to listen.
fn parts(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_PARTS;
    match (&live.refused_parts, &live.refused_settings) {
        (None, _) => known.fine("installation", "every part is read"),
        (Some(_), Some(_)) => known.unseen("installation", "the settings are not read"),
        (Some(reason), None) => known.fails("installation", line(reason)),
    }
}

fn database(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_DATABASE;
    match &live.data {
        Ok(_) => known.fine("database", "opens"),
        Err(reason) => known.fails("database", line(reason)),
    }
}

fn migrations(known: &'static Known, data: &Data) -> Vec<Finding> {
    match data.pending {
        0 => known.fine("migrations", "none is due"),
        count => known.warns("migrations", format!("{count} are due")),
    }
}

fn key(known: &'static Known, data: &Data) -> Vec<Finding> {
    let subject = "GITGRIT_ENCRYPTION_KEY";
    match data.is_key_known {
        Some(true) => known.fine(subject, "is the one that the data was begun with"),
        Some(false) => known.fails(subject, "is not the one that the data was begun with"),
        None => known.unseen(subject, "the data holds nothing yet that was written with a key"),
    }
}

fn integrity(known: &'static Known, data: &Data) -> Vec<Finding> {
    match data.faults.first() {
        None => known.fine("database", "is whole"),
        Some(first) => known.fails("database", format!("{} faults, the first: {}", data.faults.len(), line(first))),
    }
}

fn audit(known: &'static Known, data: &Data) -> Vec<Finding> {
    match &data.audit {
        Ok(records) => known.fine("audit log", format!("{records} records, each as it was written")),
        Err(reason) => known.fails("audit log", line(reason)),
    }
}

fn dead(known: &'static Known, data: &Data) -> Vec<Finding> {
    if data.dead == 0 {
        return known.fine("jobs", "none was given up");
    }
    known.warns("jobs", format!("{} were given up: {}", data.dead, listed(&data.dead_names)))
}

fn overdue(known: &'static Known, data: &Data) -> Vec<Finding> {
    if data.overdue > OVERDUE {
        return known.warns("jobs", format!("the next is {} s overdue: nobody works on them", data.overdue));
    }
    known.fine("jobs", "none waits for long")
}

fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(LISTED).map(|name| line(name)).collect();
    let more = names.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

type Compare = fn(&'static Known, &Data, &[i64]) -> Vec<Finding>;

fn repositories(live: &Live, known: &'static Known, judge: Compare) -> Vec<Finding> {
    match (&live.data, &live.on_disk) {
        (_, Err(reason)) => known.unseen("repositories", line(reason)),
        (Ok(data), Ok(ids)) if data.pending == 0 => judge(known, data, ids),
        _ => known.unseen("repositories", "the database was not looked into"),
    }
}

fn missing(known: &'static Known, data: &Data, on_disk: &[i64]) -> Vec<Finding> {
    let on_disk: BTreeSet<i64> = on_disk.iter().copied().collect();
    let missing = data.repositories.iter().filter(|(id, _)| !on_disk.contains(id));
    let missing: Vec<_> = missing.map(|(id, path)| format!("{path} ({id})")).collect();
    if missing.is_empty() {
        return known.fine("repositories", format!("all {} are on disk", data.repositories.len()));
    }
    known.fails("repositories", format!("{} are not on disk: {}", missing.len(), listed(&missing)))
}

fn orphans(known: &'static Known, data: &Data, on_disk: &[i64]) -> Vec<Finding> {
    let known_ids: BTreeSet<i64> =
        data.repositories.iter().map(|(id, _)| *id).chain(data.loose.iter().copied()).collect();
    let orphans: Vec<_> = on_disk.iter().filter(|id| !known_ids.contains(id)).map(|id| format!("{id}.git")).collect();
    if orphans.is_empty() {
        return known.fine("repositories", "every directory is one that the database knows");
    }
    known.warns("repositories", format!("{} directories are nobody's: {}", orphans.len(), listed(&orphans)))
}
