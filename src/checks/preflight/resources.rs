//! What a process of this host may have: memory, processors, open files, processes. Counts what is set for this process and
//! its control group, not only what the machine has.

use std::path::{Path, PathBuf};

use base::{Finding, Severity};
use rustix::process::{Resource, getrlimit};

use super::{World, size, text};
use crate::catalogue::{self, Known};
use crate::check::Check;

const GIB: u64 = 1 << 30;
/// Less memory than this, and the first large push meets the kernel's end of patience.
const LEAST: u64 = GIB;
/// What a site with a stack wants.
const WANTED: u64 = 4 * GIB;
/// Memory that should be free at the start.
const FREE: u64 = GIB / 2;
/// Open files: one a connection, and one a pack that is read.
const FILES: (u64, u64) = (1024, 4096);
/// Processes and threads of a user.
const PROCESSES: (u64, u64) = (256, 2048);

pub(super) static CHECKS: [Check<World>; 7] = [
    Check::new(&catalogue::HOST_MEMORY, "memory", |_| memory()),
    Check::new(&catalogue::HOST_MEMORY_FREE, "free memory", |_| free()),
    Check::new(&catalogue::HOST_SWAP, "swap", |_| swap()),
    Check::new(&catalogue::HOST_PROCESSORS, "processors", |_| processors()),
    Check::new(&catalogue::HOST_OPEN_FILES, "open files", |_| {
        limit(&catalogue::HOST_OPEN_FILES, "open files", hard(Resource::Nofile), FILES)
    }),
    Check::new(&catalogue::HOST_PROCESSES, "processes", |_| {
        let most = hard(Resource::Nproc).into_iter().chain(cgroup_limit(PIDS)).min();
        limit(&catalogue::HOST_PROCESSES, "processes", most, PROCESSES)
    }),
    Check::new(&catalogue::HOST_UMASK, "umask", |_| umask(&text("/proc/self/status").unwrap_or_default())),
];

/// A line of /proc/meminfo, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
}

/// What of a controller is read: its name, and the files of version 1 and 2.
type Controlled = (&'static str, &'static str, &'static str);

const MEMORY: Controlled = ("memory", "memory.limit_in_bytes", "memory.max");
const PIDS: Controlled = ("pids", "pids.max", "pids.max");

/// The control groups above this process which limit it, each with its limit.
fn cgroup_limits((controller, first, second): Controlled) -> Vec<(PathBuf, u64)> {
    let own = text("/proc/self/cgroup").unwrap_or_default();
    let path = |wanted: &str| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            controllers.split(',').any(|name| name == wanted).then(|| parts.next())?
        })
    };
    let (root, path, file) = match (path(controller), path("")) {
        (Some(path), _) => (format!("/sys/fs/cgroup/{controller}"), path, first),
        (None, Some(path)) => ("/sys/fs/cgroup".to_owned(), path, second),
        (None, None) => return Vec::new(),
    };
    let below = Path::new(&root).join(path.trim_start_matches('/'));
    let groups = below.ancestors().take_while(|group| group.starts_with(&root));
    let limit = |group: &Path| Some((group.to_owned(), text(group.join(file))?.trim().parse().ok()?));
    groups.filter_map(limit).collect()
}

/// The least of what the control groups above this process allow.
fn cgroup_limit(controlled: Controlled) -> Option<u64> {
    cgroup_limits(controlled).into_iter().map(|(_, limit)| limit).min()
}

/// What can still be had within the control groups that limit memory, in bytes. What only keeps files at hand is given back.
fn cgroup_free() -> Option<u64> {
    let number = |path: PathBuf| text(path)?.trim().parse::<u64>().ok();
    let free = |(group, limit): (PathBuf, u64)| {
        let used = ["memory.usage_in_bytes", "memory.current"].into_iter().find_map(|file| number(group.join(file)))?;
        let facts = text(group.join("memory.stat")).unwrap_or_default();
        let named = |name: &str| facts.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let kept = named("total_inactive_file ").or_else(|| named("inactive_file ")).unwrap_or_default();
        Some(limit.saturating_sub(used.saturating_sub(kept)))
    };
    cgroup_limits(MEMORY).into_iter().filter_map(free).min()
}

fn memory() -> Vec<Finding> {
    let known = &catalogue::HOST_MEMORY;
    let Some(machine) = text("/proc/meminfo").and_then(|text| meminfo(&text, "MemTotal")) else {
        return known.unseen("memory", "/proc/meminfo says nothing of it");
    };
    let (bytes, whose) = match cgroup_limit(MEMORY) {
        Some(limit) if limit < machine => (limit, "this control group"),
        _ => (machine, "this host"),
    };
    let message = format!("{whose} has {}", size(bytes));
    match bytes {
        // The kernel keeps a part of what the machine's label says.
        bytes if bytes < LEAST / 10 * 9 => known.fails("memory", format!("{message}, less than 1 GiB")),
        bytes if bytes < WANTED / 10 * 9 => known.warns("memory", format!("{message}, less than 4 GiB")),
        _ => known.fine("memory", message),
    }
}

fn free() -> Vec<Finding> {
    let known = &catalogue::HOST_MEMORY_FREE;
    let machine = text("/proc/meminfo").and_then(|text| meminfo(&text, "MemAvailable"));
    match machine.map(|free| cgroup_free().map_or(free, |group| free.min(group))) {
        None => known.unseen("free memory", "/proc/meminfo says nothing of it"),
        Some(free) if free < FREE => {
            known.warns("free memory", format!("{} can be had, less than 512 MiB", size(free)))
        }
        Some(free) => known.fine("free memory", format!("{} can be had", size(free))),
    }
}

fn swap() -> Vec<Finding> {
    let text = text("/proc/meminfo").unwrap_or_default();
    let known = &catalogue::HOST_SWAP;
    let (Some(total), Some(free)) = (meminfo(&text, "SwapTotal"), meminfo(&text, "SwapFree")) else {
        return known.unseen("swap", "/proc/meminfo says nothing of it");
    };
    if total > 0 && free < total / 2 {
        return known.warns("swap", format!("{} of {} are in use", size(total - free), size(total)));
    }
    let is_small = meminfo(&text, "MemTotal").is_some_and(|memory| memory < WANTED);
    if total == 0 && is_small {
        return known.warns("swap", "there is none, and little memory");
    }
    known.fine("swap", if total == 0 { "there is none".into() } else { format!("{}, hardly used", size(total)) })
}

fn processors() -> Vec<Finding> {
    let known = &catalogue::HOST_PROCESSORS;
    match std::thread::available_parallelism() {
        Ok(count) if count.get() < 2 => known.warns("processors", "one may be used"),
        Ok(count) => known.fine("processors", format!("{count} may be used")),
        Err(error) => known.unseen("processors", error.to_string()),
    }
}

/// What a process may raise its limit to is what counts: servers do. `None` for no limit.
fn hard(resource: Resource) -> Option<u64> {
    getrlimit(resource).maximum
}

fn limit(known: &'static Known, subject: &str, most: Option<u64>, (least, wanted): (u64, u64)) -> Vec<Finding> {
    let shown = most.map_or_else(|| "no limit".to_owned(), |most| format!("{most} at most"));
    let severity = match most {
        Some(most) if most < least => Severity::Error,
        Some(most) if most < wanted => Severity::Warning,
        _ => Severity::Ok,
    };
    let message = if severity == Severity::Ok { shown } else { format!("{shown}, fewer than {wanted}") };
    vec![known.found(severity, subject, message)]
}

fn umask(status: &str) -> Vec<Finding> {
    let known = &catalogue::HOST_UMASK;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let Some(mask) = mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()) else {
        return known.unseen("umask", "/proc/self/status says nothing of it");
    };
    if mask & 0o002 == 0 {
        return known.warns("umask", format!("is {mask:04o}, so that new files are everybody's to write"));
    }
    known.fine("umask", format!("is {mask:04o}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_meminfo_are_kibibytes() {
        let text = "MemTotal:       24684084 kB\nMemFree:        1 kB\nSwapTotal:             0 kB\n";
        assert_eq!(meminfo(text, "MemTotal"), Some(24_684_084 * 1024));
        assert_eq!((meminfo(text, "SwapTotal"), meminfo(text, "Mem")), (Some(0), None));
    }
}
