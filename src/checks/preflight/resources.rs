//! What a process of this host may have: memory, processors, open files, processes. Counts what is set for this process and
//! its control group, not only what the machine has.

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
        limit(&catalogue::HOST_OPEN_FILES, "open files", Resource::Nofile, FILES)
    }),
    Check::new(&catalogue::HOST_PROCESSES, "processes", |_| {
        limit(&catalogue::HOST_PROCESSES, "processes", Resource::Nproc, PROCESSES)
    }),
    Check::new(&catalogue::HOST_UMASK, "umask", |_| umask(&text("/proc/self/status").unwrap_or_default())),
];

/// A line of /proc/meminfo, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
}

/// The least of what the control groups above this process allow, in bytes.
fn cgroup_limit() -> Option<u64> {
    let own = text("/proc/self/cgroup")?;
    let path = |wanted: &str| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            controllers.split(',').any(|name| name == wanted).then(|| parts.next())?
        })
    };
    let (root, path, file) = match (path("memory"), path("")) {
        (Some(path), _) => ("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"),
        (None, Some(path)) => ("/sys/fs/cgroup", path, "memory.max"),
        (None, None) => return None,
    };
    let below = std::path::Path::new(root).join(path.trim_start_matches('/'));
    let groups = below.ancestors().take_while(|group| group.starts_with(root));
    groups.filter_map(|group| text(group.join(file))?.trim().parse().ok()).min()
}

fn memory() -> Vec<Finding> {
    let known = &catalogue::HOST_MEMORY;
    let Some(machine) = text("/proc/meminfo").and_then(|text| meminfo(&text, "MemTotal")) else {
        return known.unseen("memory", "/proc/meminfo says nothing of it");
    };
    let (bytes, whose) = match cgroup_limit() {
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
    match text("/proc/meminfo").and_then(|text| meminfo(&text, "MemAvailable")) {
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

fn limit(known: &'static Known, subject: &str, resource: Resource, (least, wanted): (u64, u64)) -> Vec<Finding> {
    // What a process may raise its limit to is what counts: servers do.
    let most = getrlimit(resource).maximum;
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
