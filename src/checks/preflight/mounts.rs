//! The file systems that a site fills: room, entries, flags and kind, for each place that is affected. Writes one file of no
//! content where temporary files go, and removes it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base::{Finding, Severity};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::{World, size, text};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::text::line;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
/// Free entries: below the first nothing goes on for long, below the second not for a year.
const ENTRIES: (u64, u64) = (10_000, 100_000);
/// Kinds whose locks a database cannot rely on.
const REMOTE: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.glusterfs", "virtiofs"];

pub(super) static CHECKS: [Check<World>; 7] = [
    Check::new(&catalogue::HOST_DISK, "disk space", |world| each(world, &catalogue::HOST_DISK, disk)),
    Check::new(&catalogue::HOST_INODES, "entries of file systems", |world| {
        each(world, &catalogue::HOST_INODES, inodes)
    }),
    Check::new(&catalogue::HOST_READ_ONLY, "read-only mounts", |world| {
        each(world, &catalogue::HOST_READ_ONLY, read_only)
    }),
    Check::new(&catalogue::HOST_NOEXEC, "noexec mounts", |world| each(world, &catalogue::HOST_NOEXEC, noexec)),
    Check::new(&catalogue::HOST_FILE_SYSTEM, "kinds of file systems", |world| {
        each(world, &catalogue::HOST_FILE_SYSTEM, kind)
    }),
    Check::new(&catalogue::HOST_TEMPORARY, "temporary files", temporary),
    Check::new(&catalogue::HOST_SITE_OWNER, "the site's directory", |world| owner(&world.asked.site)),
];

/// A place that fills.
struct Place {
    /// What it is for.
    name: &'static str,
    path: PathBuf,
    /// Free bytes without which nothing starts, and those that should be there.
    room: (u64, u64),
    /// Says whether programs are started from there.
    is_executed: bool,
    /// Says whether what is there must outlive a start of the machine.
    is_kept: bool,
}

/// The places of a site: its own directory, the engine's, and the one for temporary files.
fn places(world: &World) -> Vec<Place> {
    let temporary = (world.asked.environment)("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let mut places = vec![
        Place {
            name: "site",
            path: world.asked.site.clone(),
            room: (2 * GIB, 10 * GIB),
            is_executed: false,
            is_kept: true,
        },
        Place {
            name: "temporary files",
            path: temporary.into(),
            room: (256 * MIB, GIB),
            is_executed: false,
            is_kept: false,
        },
    ];
    if let Ok(engine) = world.engine().map(|engine| engine.root_dir.clone())
        && Path::new(&engine).is_dir()
    {
        places.push(Place {
            name: "engine",
            path: engine.into(),
            room: (5 * GIB, 20 * GIB),
            is_executed: true,
            is_kept: true,
        });
    }
    places
}

/// The nearest directory that is there already.
pub(super) fn existing(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    whole.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

type Judge = fn(&Place, &Path, &StatVfs) -> Option<(Severity, String)>;

/// One finding for each place; those with nothing against them in one.
fn each(world: &World, known: &'static Known, judge: Judge) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fine = Vec::new();
    for place in places(world) {
        let path = existing(&place.path);
        let subject = line(&format!("{} ({})", path.display(), place.name));
        match statvfs(&path) {
            Err(error) => findings.extend(known.unseen(subject, error.to_string())),
            Ok(facts) => match judge(&place, &path, &facts) {
                Some((severity, message)) => findings.push(known.found(severity, subject, message)),
                None => fine.push(subject),
            },
        }
    }
    if findings.is_empty() {
        findings = known.fine(fine.join(", "), "nothing to say against them");
    }
    findings
}

fn disk(place: &Place, _: &Path, facts: &StatVfs) -> Option<(Severity, String)> {
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let (least, wanted) = place.room;
    let severity = if free < least { Severity::Error } else { Severity::Warning };
    (free < wanted).then(|| (severity, format!("{} free, less than {}", size(free), size(wanted))))
}

fn inodes(_: &Place, _: &Path, facts: &StatVfs) -> Option<(Severity, String)> {
    let (least, wanted) = ENTRIES;
    let free = facts.f_favail;
    // File systems that make entries as they go say that they have none at all.
    let is_few = facts.f_files > 0 && free < wanted;
    let severity = if free < least { Severity::Error } else { Severity::Warning };
    is_few.then(|| (severity, format!("{free} of {} entries free, fewer than {wanted}", facts.f_files)))
}

fn read_only(_: &Place, _: &Path, facts: &StatVfs) -> Option<(Severity, String)> {
    facts.f_flag.contains(StatVfsMountFlags::RDONLY).then(|| (Severity::Error, "is mounted read-only".into()))
}

fn noexec(place: &Place, _: &Path, facts: &StatVfs) -> Option<(Severity, String)> {
    let severity = if place.is_executed { Severity::Error } else { Severity::Warning };
    let message = if place.is_executed { "is mounted noexec, so no container starts" } else { "is mounted noexec" };
    let is_meant = place.is_kept && !place.is_executed;
    let is_noexec = facts.f_flag.contains(StatVfsMountFlags::NOEXEC) && !is_meant;
    is_noexec.then(|| (severity, message.into()))
}

fn kind(place: &Place, path: &Path, _: &StatVfs) -> Option<(Severity, String)> {
    let mounts = text("/proc/self/mountinfo")?;
    let path = path.canonicalize().ok()?;
    let kind = kind_of(&mounts, &path)?;
    if REMOTE.contains(&kind) {
        return Some((Severity::Warning, format!("is on {kind}, whose locks a database cannot rely on")));
    }
    let is_passing = place.is_kept && ["tmpfs", "ramfs", "overlay"].contains(&kind);
    is_passing
        .then(|| (Severity::Warning, format!("is on {kind}, which does not outlive the machine or the container")))
}

/// The kind of the file system that `path` is on: of the mounts that hold it, the last of the longest. See proc(5).
fn kind_of<'m>(mounts: &'m str, path: &Path) -> Option<&'m str> {
    let mut found: Option<(usize, &str)> = None;
    for mount in mounts.lines() {
        let Some((head, tail)) = mount.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (head.split(' ').nth(4), tail.split(' ').next()) else { continue };
        let length = Path::new(point).components().count();
        if path.starts_with(point) && found.is_none_or(|(longest, _)| length >= longest) {
            found = Some((length, kind));
        }
    }
    found.map(|(_, kind)| kind)
}

fn temporary(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_TEMPORARY;
    let directory = (world.asked.environment)("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let subject = line(&directory);
    match tempfile::Builder::new().prefix(".gitgrit-preflight-").tempfile_in(&directory) {
        Err(error) => known.fails(subject, format!("takes no file: {}", error.kind())),
        Ok(_) => match std::fs::metadata(&directory) {
            Ok(facts) if facts.mode() & 0o1002 == 0o0002 => {
                known.warns(subject, "lets everybody remove everybody's files")
            }
            _ => known.fine(subject, "takes files"),
        },
    }
}

fn owner(site: &Path) -> Vec<Finding> {
    let known = &catalogue::HOST_SITE_OWNER;
    let path = existing(site);
    let subject = line(&path.display().to_string());
    let Ok(facts) = std::fs::metadata(&path) else { return known.unseen(subject, "cannot be looked at") };
    let own = rustix::process::geteuid().as_raw();
    // A directory above it, like /tmp, that keeps everybody to his own files is as good.
    if facts.mode() & 0o002 != 0 && facts.mode() & 0o1000 == 0 {
        return known.fails(
            subject,
            format!("has mode {:04o}: everybody on this host may put files there", facts.mode() & 0o7777),
        );
    }
    if path == site && facts.uid() != own && own != 0 {
        return known.fails(subject, format!("belongs to user {}, and this is user {own}", facts.uid()));
    }
    known.fine(subject, "is written by its owner alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_the_longest_mounts_counts() {
        let mounts = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      31 27 0:28 / /srv rw shared:1 - xfs /dev/vdb rw\n\
                      32 31 0:29 / /srv/git rw - nfs4 server:/git rw\n\
                      33 31 0:30 / /srv/git rw - tmpfs tmpfs rw\n";
        for (path, kind) in [("/srv/git/x", "tmpfs"), ("/srv/gitea", "xfs"), ("/home", "ext4")] {
            assert_eq!(kind_of(mounts, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(kind_of("", Path::new("/")), None);
    }
}
