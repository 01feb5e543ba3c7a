//! How the engine is set up: storage, limits, runtimes, registries, logs, isolation, clock. Judges what `docker info` said.

use std::path::Path;

use base::{Clock, Finding};
use rustix::fs::{Dir, FileType};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::World;
use super::engine::Info;
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::text::line;

/// Storage drivers that are kept up.
const DRIVERS: [&str; 5] = ["overlay2", "overlayfs", "fuse-overlayfs", "btrfs", "zfs"];
/// Log drivers that keep lines on this host, where `docker logs` finds them.
const LOGS: [&str; 3] = ["json-file", "local", "journald"];
/// How far the engine's clock may be from ours, in seconds; asking takes a part of it.
const APART: i64 = 5;

macro_rules! checks {
    ($($name:ident, $subject:literal, $judge:ident;)*) => {
        [$(Check::new(&catalogue::$name, $subject, |world| of_engine(world, &catalogue::$name, $subject, $judge)).patient(6),)*]
    };
}

pub(super) static CHECKS: [Check<World>; 17] = checks! {
    ENGINE_DRIVER, "storage driver", driver;
    ENGINE_STORE, "image store", store;
    ENGINE_ENTRY_TYPES, "storage's file system", entry_types;
    ENGINE_CGROUP_DRIVER, "engine's cgroup driver", cgroup_driver;
    ENGINE_LIVE_RESTORE, "live restore", live_restore;
    ENGINE_LIMITS, "limits of containers", limits;
    ENGINE_RUNSC, "runtime runsc", runsc;
    ENGINE_DEFAULT_RUNTIME, "default runtime", default_runtime;
    ENGINE_PROXY, "engine's proxy", proxy;
    ENGINE_MIRRORS, "registry mirrors", mirrors;
    ENGINE_INSECURE, "insecure registries", insecure;
    ENGINE_LOGS, "log driver", logs;
    ENGINE_ROOTLESS, "rootless engine", rootless;
    ENGINE_REMAPPED, "userns-remap", remapped;
    ENGINE_SECCOMP, "seccomp profile", seccomp;
    ENGINE_DEBUG, "engine's debug mode", debug;
    ENGINE_WARNINGS, "engine's own warnings", warnings;
};

/// The engine's clock, which an engine need not tell.
pub(super) static CLOCK: [Check<World>; 1] = [Check::new(&catalogue::ENGINE_CLOCK, "engine's clock", clock).patient(6)];

type Judged = Result<String, String>;

/// One judgement: what is fine, or what is worth a warning.
fn of_engine(world: &World, known: &'static Known, subject: &str, judge: fn(&Info) -> Judged) -> Vec<Finding> {
    match world.engine() {
        Err(_) => known.unseen(subject, "the engine does not answer"),
        Ok(info) => match judge(info) {
            Ok(message) => known.fine(subject, line(&message)),
            Err(message) => known.warns(subject, line(&message)),
        },
    }
}

fn driver(info: &Info) -> Judged {
    if DRIVERS.contains(&info.driver.as_str()) {
        Ok(info.driver.clone())
    } else {
        Err(format!("is {}, which is slow or given up", info.driver))
    }
}

fn status<'i>(info: &'i Info, name: &str) -> Option<&'i str> {
    info.driver_status.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn store(info: &Info) -> Judged {
    match status(info, "driver-type") {
        Some(kind) if kind.starts_with("io.containerd.") => {
            Err("is containerd's: images count twice on disk while they are loaded, and digests differ".into())
        }
        _ => Ok("is the engine's own".into()),
    }
}

fn entry_types(info: &Info) -> Judged {
    let told = status(info, "Supports d_type").map(|told| told != "false");
    // Engines from 20.10 on refuse to begin there with overlay2, and take a driver that does not ask.
    match told.into_iter().chain(keeps_types(Path::new(&info.root_dir))).min() {
        Some(false) => Err("does not keep the types of entries (d_type), so layers break or are copied".into()),
        Some(true) => Ok("keeps the types of entries".into()),
        None => Ok("is not asked for them by this driver".into()),
    }
}

/// Says whether the file system tells what its entries are together with their names; `None` where this user may not look.
fn keeps_types(directory: &Path) -> Option<bool> {
    let opened = std::fs::File::open(directory).ok()?;
    let entries = Dir::read_from(&opened).ok()?.filter_map(Result::ok);
    let mut named = entries.filter(|entry| ![&b"."[..], b".."].contains(&entry.file_name().to_bytes())).peekable();
    named.peek()?;
    Some(named.all(|entry| entry.file_type() != FileType::Unknown))
}

fn cgroup_driver(info: &Info) -> Judged {
    let has_systemd = std::path::Path::new("/run/systemd/system").is_dir();
    match info.cgroup_driver.as_str() {
        "none" => Err("is none, so that nothing limits a container".into()),
        "cgroupfs" if has_systemd => Err("is cgroupfs beside systemd, so two keepers share the control groups".into()),
        other => Ok(format!("is {other}, version {}", info.cgroup_version)),
    }
}

fn live_restore(info: &Info) -> Judged {
    if info.is_live_restored {
        Ok("is on".into())
    } else if info.swarm.local_node_state == "active" {
        Ok("is off, as it must be in a Swarm, which starts its services again itself".into())
    } else {
        Err("is off, so that an upgrade of the engine ends every container".into())
    }
}

fn limits(info: &Info) -> Judged {
    let limits =
        [("memory", info.memory_limit), ("processes", info.pids_limit), ("processor time", info.cpu_cfs_quota)];
    let missing: Vec<_> = limits.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        Ok("memory, processes and processor time".into())
    } else {
        Err(format!("{} of a container cannot be limited", missing.join(", ")))
    }
}

fn runsc(info: &Info) -> Judged {
    match info.runtimes.get("runsc") {
        Some(runtime) => Ok(format!("is {}", runtime.path)),
        None => Err("is not registered with the engine".into()),
    }
}

fn default_runtime(info: &Info) -> Judged {
    match info.default_runtime.as_str() {
        "" | "runc" | "crun" => Ok(format!("is {}", info.default_runtime)),
        other => Err(format!("is {other}, which the database and the site itself would run under as well")),
    }
}

fn proxy(info: &Info) -> Judged {
    let given: Vec<_> = [("HTTP", &info.http_proxy), ("HTTPS", &info.https_proxy)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            if crate::text::has_credentials(value) {
                format!("{name} through a proxy with credentials")
            } else {
                format!("{name} through {value}")
            }
        })
        .collect();
    if given.is_empty() {
        Ok("is none".into())
    } else {
        Err(format!("{}, except for `{}`", given.join(" and "), info.no_proxy))
    }
}

fn mirrors(info: &Info) -> Judged {
    match info.registry_config.mirrors.as_slice() {
        [] => Ok("are none".into()),
        mirrors => Err(format!("{} is asked for images", mirrors.join(", "))),
    }
}

fn insecure(info: &Info) -> Judged {
    let registries = &info.registry_config;
    let networks =
        registries.insecure_networks.iter().filter(|network| *network != "127.0.0.0/8" && *network != "::1/128");
    let named = registries.index_configs.iter().filter(|(_, registry)| !registry.is_secure).map(|(name, _)| name);
    let all: Vec<_> = networks.chain(named).map(String::as_str).collect();
    if all.is_empty() { Ok("are none".into()) } else { Err(format!("{} is believed without proof", all.join(", "))) }
}

fn logs(info: &Info) -> Judged {
    if LOGS.contains(&info.logging_driver.as_str()) {
        Ok(format!("is {}", info.logging_driver))
    } else {
        Err(format!("is {}, which `docker logs` and a support bundle do not read", info.logging_driver))
    }
}

fn option(info: &Info, name: &str) -> bool {
    info.security_options.iter().any(|option| option.split(',').any(|part| part == format!("name={name}")))
}

fn rootless(info: &Info) -> Judged {
    if option(info, "rootless") {
        Err("runs as a user: no port below 1024, no limits without delegation, no gVisor with ptrace".into())
    } else {
        Ok("is not".into())
    }
}

fn remapped(info: &Info) -> Judged {
    if option(info, "userns") {
        Err("is on: files of volumes belong to users that this host does not know".into())
    } else {
        Ok("is off".into())
    }
}

fn seccomp(info: &Info) -> Judged {
    let profile = info.security_options.iter().find(|option| option.starts_with("name=seccomp"));
    match profile {
        None => Err("is missing: containers may make every system call".into()),
        Some(profile) => match profile.rsplit('=').next().unwrap_or_default() {
            own @ ("default" | "builtin") => Ok(format!("is the engine's own ({own})")),
            other => Err(format!("is {other}, not the engine's own")),
        },
    }
}

fn debug(info: &Info) -> Judged {
    if info.is_debugging { Err("is on, and its log fills the disk".into()) } else { Ok("is off".into()) }
}

fn clock(world: &World) -> Vec<Finding> {
    let (known, subject) = (&catalogue::ENGINE_CLOCK, "engine's clock");
    let Ok(info) = world.engine() else { return known.unseen(subject, "the engine does not answer") };
    let Ok(theirs) = OffsetDateTime::parse(&info.system_time, &Rfc3339) else {
        return known.unseen(subject, "the engine does not tell it");
    };
    let apart = (base::clock::SystemClock.now().seconds() - theirs.unix_timestamp()).abs();
    if apart > APART {
        known.warns(subject, format!("is {apart} s from this host's"))
    } else {
        known.fine(subject, "shows the same time")
    }
}

fn warnings(info: &Info) -> Judged {
    match info.warnings.as_slice() {
        [] => Ok("are none".into()),
        all => Err(all.join("; ").replace("WARNING: ", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Docker 28.2's command line printed of an engine 20.10, as it printed it.
    const CAPTURED: &str = include_str!("captured_info.json");

    /// What the same command line printed of an engine 26.1 that keeps its images in containerd (`containerd-snapshotter`).
    const CONTAINERD: &str = include_str!("captured_info_containerd.json");

    #[test]
    fn what_an_engine_printed_is_read_whole() {
        let info: Info = super::super::engine::read(CAPTURED.as_bytes()).unwrap();
        assert_eq!((info.server_version.as_str(), info.driver.as_str()), ("20.10.24+dfsg1", "overlay2"));
        assert_eq!(info.client.plugins.len(), 1);
        for judge in
            [driver, store, entry_types, limits, runsc, default_runtime, proxy, mirrors, insecure, logs, warnings]
        {
            assert!(judge(&info).is_ok(), "{:?}", judge(&info));
        }
    }

    #[test]
    fn an_engine_that_keeps_its_images_in_containerd_is_named() {
        let info: Info = super::super::engine::read(CONTAINERD.as_bytes()).unwrap();
        assert_eq!((info.server_version.as_str(), info.driver.as_str()), ("26.1.5+dfsg1", "overlayfs"));
        assert!(store(&info).unwrap_err().starts_with("is containerd's"));
        assert!(driver(&info).is_ok() && registries_are_known(&info));
    }

    /// Its list of mirrors is null, and not empty.
    fn registries_are_known(info: &Info) -> bool {
        mirrors(info).is_ok() && insecure(info).is_ok()
    }
}
