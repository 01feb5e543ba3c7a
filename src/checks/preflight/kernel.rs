//! The kernel: its age, what it walls off with, control groups, and the switches that an engine and Redis depend on. Reads
//! /proc and /sys, and goes behind walls once, in a thread of its own.

use base::Finding;
use base::confine::Confinement;

use super::{World, text};
use crate::catalogue;
use crate::check::Check;

/// Older than this, an engine of today does not run: RHEL 8 has this one.
const OLDEST: (u32, u32) = (4, 18);
/// From here on everything that the site uses is there, Landlock apart.
const WHOLE: (u32, u32) = (5, 10);
/// What an engine holds containers with.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Where version 1 is mounted, one of these is there, also when memory is switched off.
const FIRST: [&str; 4] = ["memory", "devices", "pids", "cpu"];

pub(super) static CHECKS: [Check<World>; 12] = [
    Check::new(&catalogue::HOST_KERNEL, "kernel", |_| kernel()),
    Check::new(&catalogue::HOST_ARCHITECTURE, "architecture", |_| architecture()),
    Check::new(&catalogue::HOST_LANDLOCK, "Landlock", |_| landlock()),
    Check::new(&catalogue::HOST_SECCOMP, "seccomp", |_| seccomp()),
    Check::new(&catalogue::HOST_USER_NAMESPACES, "user namespaces", |_| user_namespaces()),
    Check::new(&catalogue::HOST_OVERLAY, "overlayfs", |_| overlay(&text("/proc/filesystems").unwrap_or_default())),
    Check::new(&catalogue::HOST_CGROUP, "control groups", |_| cgroup()),
    Check::new(&catalogue::HOST_CONTROLLERS, "control group controllers", |_| controllers()),
    Check::new(&catalogue::HOST_FORWARDING, "net.ipv4.ip_forward", |_| forwarding()),
    Check::new(&catalogue::HOST_OVERCOMMIT, "vm.overcommit_memory", |_| overcommit()),
    Check::new(&catalogue::HOST_SELINUX, "SELinux", |_| selinux()),
    Check::new(&catalogue::HOST_APPARMOR, "AppArmor", |_| apparmor()),
];

fn kernel() -> Vec<Finding> {
    let system = rustix::system::uname();
    judge_kernel(&system.release().to_string_lossy())
}

fn judge_kernel(release: &str) -> Vec<Finding> {
    let known = &catalogue::HOST_KERNEL;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return known.unseen("kernel", format!("`{}` is no version", crate::text::line(release)));
    };
    match (major, minor) {
        version if version < OLDEST => known.fails("kernel", format!("is {release}, older than 4.18")),
        version if version < WHOLE => known.warns("kernel", format!("is {release}, older than 5.10")),
        _ => known.fine("kernel", format!("is {release}")),
    }
}

fn architecture() -> Vec<Finding> {
    let system = rustix::system::uname();
    let machine = system.machine().to_string_lossy().into_owned();
    let known = &catalogue::HOST_ARCHITECTURE;
    if machine == std::env::consts::ARCH {
        known.fine("architecture", format!("is {machine}"))
    } else {
        known.fails("architecture", format!("is {machine}, and this program is for {}", std::env::consts::ARCH))
    }
}

fn landlock() -> Vec<Finding> {
    let known = &catalogue::HOST_LANDLOCK;
    match Confinement::walls() {
        Ok(walls) if walls.files => known.fine("Landlock", "keeps a child to its own files"),
        Ok(_) => known.warns("Landlock", "this kernel does not have it"),
        Err(error) => known.unseen("Landlock", format!("could not go behind walls: {error}")),
    }
}

fn seccomp() -> Vec<Finding> {
    let known = &catalogue::HOST_SECCOMP;
    match Confinement::walls() {
        Ok(walls) if walls.calls => known.fine("seccomp", "keeps a child to its own system calls"),
        Ok(_) => known.fails("seccomp", "this kernel does not have it"),
        Err(error) => known.fails("seccomp", format!("does not take a filter: {error}")),
    }
}

fn user_namespaces() -> Vec<Finding> {
    let known = &catalogue::HOST_USER_NAMESPACES;
    let number = |path| text(path).and_then(|text| text.trim().parse::<u64>().ok());
    let Some(most) = number("/proc/sys/user/max_user_namespaces") else {
        return known.warns("user namespaces", "this kernel does not have them");
    };
    if most == 0 {
        return known.warns("user namespaces", "user.max_user_namespaces is 0");
    }
    for (path, name, refused) in [
        ("/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", 0),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "kernel.apparmor_restrict_unprivileged_userns", 1),
    ] {
        if number(path) == Some(refused) {
            return known.warns("user namespaces", format!("{name} is {refused}, so only root may make them"));
        }
    }
    known.fine("user namespaces", format!("{most} may be made"))
}

fn overlay(filesystems: &str) -> Vec<Finding> {
    let known = &catalogue::HOST_OVERLAY;
    if filesystems.is_empty() {
        return known.unseen("overlayfs", "/proc/filesystems says nothing");
    }
    let has = filesystems.lines().filter_map(|line| line.split_whitespace().last()).any(|name| name == "overlay");
    if has { known.fine("overlayfs", "is there") } else { known.warns("overlayfs", "is not among /proc/filesystems") }
}

/// The controllers of version 2, where that is what is mounted.
fn unified() -> Option<String> {
    text("/sys/fs/cgroup/cgroup.controllers")
}

fn cgroup() -> Vec<Finding> {
    let known = &catalogue::HOST_CGROUP;
    if unified().is_some() {
        known.fine("control groups", "version 2")
    } else if FIRST.iter().any(|name| std::path::Path::new("/sys/fs/cgroup").join(name).is_dir()) {
        known.warns("control groups", "version 1, which engines and systemd are giving up")
    } else {
        known.fails("control groups", "none are mounted at /sys/fs/cgroup")
    }
}

fn controllers() -> Vec<Finding> {
    let unified = unified();
    let has = |name: &str| match &unified {
        Some(list) => list.split_whitespace().any(|controller| controller == name),
        None => std::path::Path::new("/sys/fs/cgroup").join(name).is_dir(),
    };
    let missing: Vec<_> = CONTROLLERS.into_iter().filter(|name| !has(name)).collect();
    let known = &catalogue::HOST_CONTROLLERS;
    if missing.is_empty() {
        known.fine("control group controllers", CONTROLLERS.join(", "))
    } else {
        known.fails("control group controllers", format!("{} cannot be limited", missing.join(", ")))
    }
}

fn forwarding() -> Vec<Finding> {
    let known = &catalogue::HOST_FORWARDING;
    match text("/proc/sys/net/ipv4/ip_forward").as_deref().map(str::trim) {
        Some("1") => known.fine("net.ipv4.ip_forward", "is 1"),
        Some(other) => known.warns("net.ipv4.ip_forward", format!("is {other}, so containers reach nothing")),
        None => known.unseen("net.ipv4.ip_forward", "is not readable"),
    }
}

fn overcommit() -> Vec<Finding> {
    let known = &catalogue::HOST_OVERCOMMIT;
    match text("/proc/sys/vm/overcommit_memory").as_deref().map(str::trim) {
        Some("2") => known.warns("vm.overcommit_memory", "is 2, so a fork of Redis can fail with memory to spare"),
        Some(other) => known.fine("vm.overcommit_memory", format!("is {other}")),
        None => known.unseen("vm.overcommit_memory", "is not readable"),
    }
}

fn selinux() -> Vec<Finding> {
    let known = &catalogue::HOST_SELINUX;
    match text("/sys/fs/selinux/enforce").as_deref().map(str::trim) {
        Some("1") => known.warns("SELinux", "is enforcing"),
        Some(_) => known.fine("SELinux", "is permissive"),
        None => known.fine("SELinux", "is not in use"),
    }
}

fn apparmor() -> Vec<Finding> {
    let known = &catalogue::HOST_APPARMOR;
    if text("/sys/module/apparmor/parameters/enabled").is_none_or(|enabled| enabled.trim() != "Y") {
        return known.fine("AppArmor", "is not in use");
    }
    if std::path::Path::new("/sbin/apparmor_parser").exists()
        || std::path::Path::new("/usr/sbin/apparmor_parser").exists()
    {
        return known.fine("AppArmor", "is in use");
    }
    known.warns("AppArmor", "is in use, and apparmor_parser is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Severity;

    #[test]
    fn releases_of_distributions_are_versions() {
        for (release, expected) in [
            ("6.18.44-fc-v669", Severity::Ok),
            ("5.10.0-33-amd64", Severity::Ok),
            ("4.18.0-553.el8_10.x86_64", Severity::Warning),
            ("3.10.0-1160.el7.x86_64", Severity::Error),
            ("next", Severity::Unknown),
        ] {
            assert_eq!(judge_kernel(release)[0].severity, expected, "{release}");
        }
    }
}
