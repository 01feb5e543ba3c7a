//! The file systems that a site fills: room, entries, flags and kind, for each place that is affected. Writes one file of no
//! content where temporary files go, and removes it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::{Finding, Severity};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::{World, size};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::text::line;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
/// Free entries: below the first nothing goes on for long, below the second not for a year.
const ENTRIES: (u64, u64) = (10_000, 100_000);
/// Kinds whose locks a database cannot rely on.
const REMOTE: [&str; 15] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "fuse.sshfs",
    "fuse.glusterfs",
    "virtiofs",
    "ceph",
    "fuse.ceph",
    "lustre",
    "gfs2",
    "ocfs2",
    "vboxsf",
    "afs",
];
/// Kinds that know no users.
const NO_OWNERS: [&str; 6] = ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk"];
/// Storage drivers that start containers from copies of the layers, and not from a mount of their own.
const COPIES: [&str; 2] = ["vfs", "native"];
/// How long the engine's answer is waited for, in a check that has more to look at.
const ENGINE: Duration = Duration::from_millis(1200);
/// Bytes of the kernel's list of mounts: hosts with thousands of containers have a long one.
const MOUNT_TABLE: u64 = 64 << 20;

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
    /// Says whether what is there must outlive a start of the machine.
    is_kept: bool,
    /// The engine's storage driver, where it is the engine's.
    driver: Option<String>,
}

/// The places that are known without anybody's answer: the site's own directory, and the one for temporary files.
fn own_places(world: &World) -> Vec<Place> {
    let temporary = (world.asked.environment)("TMPDIR").unwrap_or_else(|| "/tmp".into());
    vec![
        Place { name: "site", path: world.asked.site.clone(), room: (2 * GIB, 10 * GIB), is_kept: true, driver: None },
        Place { name: "temporary files", path: temporary.into(), room: (256 * MIB, GIB), is_kept: false, driver: None },
    ]
}

/// The engine's own; `None` where there is no engine on this host. Fails when it does not say in time.
fn engines_place(world: &World) -> Result<Option<Place>, String> {
    let info = match world.engine_within(ENGINE) {
        None => return Err("the engine has not said yet where it keeps its data".into()),
        Some(Err(_)) => return Ok(None),
        Some(Ok(info)) => info,
    };
    let path = PathBuf::from(&info.root_dir);
    let driver = Some(info.driver.clone());
    let is_here = path.is_absolute() && path.is_dir();
    Ok(is_here.then_some(Place { name: "engine", path, room: (5 * GIB, 20 * GIB), is_kept: true, driver }))
}

/// The nearest directory that is there already.
pub(super) fn existing(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    whole.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

type Judge = fn(&Place, &Path, &StatVfs) -> Option<(Severity, String)>;

/// One finding for each place; those with nothing against them in one.
fn each(world: &World, known: &'static Known, judge: Judge) -> Vec<Finding> {
    let mut places = own_places(world);
    let mut findings = Vec::new();
    match engines_place(world) {
        Ok(place) => places.extend(place),
        Err(reason) => findings.extend(known.unseen("engine", reason)),
    }
    let rooms = rooms(&places);
    let mut fine = Vec::new();
    for mut place in places {
        let path = existing(&place.path);
        place.room =
            rooms.iter().find(|(device, _)| Some(*device) == device_of(&path)).map_or(place.room, |(_, room)| *room);
        let subject = line(&format!("{} ({})", path.display(), place.name));
        match statvfs(&path) {
            Err(error) => findings.extend(known.unseen(subject, error.to_string())),
            Ok(facts) => match judge(&place, &path, &facts) {
                Some((severity, message)) => findings.push(known.found(severity, subject, message)),
                None => fine.push(subject),
            },
        }
    }
    if !fine.is_empty() {
        findings.extend(known.fine(fine.join(", "), "nothing to say against them"));
    }
    findings
}

fn device_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).map(|facts| facts.dev()).ok()
}

/// What is to be free on each file system: places on one need their room together.
fn rooms(places: &[Place]) -> Vec<(u64, (u64, u64))> {
    let mut rooms: Vec<(u64, (u64, u64))> = Vec::new();
    for place in places {
        let Some(device) = device_of(&existing(&place.path)) else { continue };
        match rooms.iter_mut().find(|(known, _)| *known == device) {
            Some((_, (least, wanted))) => {
                *least += place.room.0;
                *wanted += place.room.1;
            }
            None => rooms.push((device, place.room)),
        }
    }
    rooms
}

fn disk(place: &Place, _: &Path, facts: &StatVfs) -> Option<(Severity, String)> {
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let (least, wanted) = place.room;
    let severity = if free < least { Severity::Error } else { Severity::Warning };
    (free < wanted).then(|| {
        (severity, format!("{} free, less than the {} that what is kept there wants", size(free), size(wanted)))
    })
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
    if !facts.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return None;
    }
    match &place.driver {
        // A driver that mounts its layers mounts them anew; one that only copies them starts programs from here.
        Some(driver) if COPIES.contains(&driver.as_str()) => {
            Some((Severity::Error, format!("is mounted noexec, so no container starts from {driver}'s copies")))
        }
        Some(_) => Some((Severity::Warning, "is mounted noexec, so no program starts from a volume".into())),
        None if place.is_kept => None,
        None => Some((Severity::Warning, "is mounted noexec".into())),
    }
}

fn kind(place: &Place, path: &Path, _: &StatVfs) -> Option<(Severity, String)> {
    let unseen = |reason: String| Some((Severity::Unknown, reason));
    let mounts = match base::file::read_bytes(Path::new("/proc/self/mountinfo"), MOUNT_TABLE) {
        Ok(mounts) => mounts,
        Err(error) => return unseen(base::hint::chain(&error)),
    };
    let Some(kind) = path.canonicalize().ok().and_then(|path| kind_of(&mounts, &path)) else {
        return unseen("is in none of the mounts that the kernel lists".into());
    };
    against(&kind, place.is_kept)
}

/// What speaks against a kind of file system, for what must be kept and for what need not.
fn against(kind: &str, is_kept: bool) -> Option<(Severity, String)> {
    if NO_OWNERS.contains(&kind) {
        let severity = if is_kept { Severity::Error } else { Severity::Warning };
        return Some((severity, format!("is on {kind}, which keeps no owners and modes of files")));
    }
    if REMOTE.contains(&kind) {
        return Some((Severity::Warning, format!("is on {kind}, whose locks a database cannot rely on")));
    }
    let is_passing = is_kept && ["tmpfs", "ramfs", "overlay"].contains(&kind);
    is_passing
        .then(|| (Severity::Warning, format!("is on {kind}, which does not outlive the machine or the container")))
}

/// The kind of the file system that `path` is on: of the mounts that hold it, the last of the longest. See proc(5).
fn kind_of(mounts: &[u8], path: &Path) -> Option<String> {
    let mut found: Option<(usize, String)> = None;
    for mount in mounts.split(|byte| *byte == b'\n') {
        let mut fields = mount.split(|byte| *byte == b' ');
        let point = fields.nth(4).map(unescaped);
        // Optional fields end at a dash of their own.
        let kind = fields.skip_while(|field| *field != b"-").nth(1);
        let (Some(point), Some(kind)) = (point, kind) else { continue };
        let point = Path::new(OsStr::from_bytes(&point));
        let length = point.components().count();
        if path.starts_with(point) && found.as_ref().is_none_or(|(longest, _)| length >= *longest) {
            found = Some((length, String::from_utf8_lossy(&unescaped(kind)).into_owned()));
        }
    }
    found.map(|(_, kind)| kind)
}

/// Bytes as they are, where the kernel writes blanks and backslashes as three digits of eight.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    out
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
                      32 31 0:29 / /srv/git rw shared:1 master:2 - nfs4 server:/git rw\n\
                      33 31 0:30 / /srv/git rw - tmpfs tmpfs rw\n";
        for (path, kind) in [("/srv/git/x", "tmpfs"), ("/srv/gitea", "xfs"), ("/home", "ext4")] {
            assert_eq!(kind_of(mounts.as_bytes(), Path::new(path)).as_deref(), Some(kind), "{path}");
        }
        assert_eq!(kind_of(b"", Path::new("/")), None);
        // Blanks and backslashes as the kernel writes them, and a name that is no text.
        let mounts = b"27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:1 / /a\\040b\\134\xff rw - ceph x rw\n";
        let path = Path::new(OsStr::from_bytes(b"/a b\\\xff/site"));
        assert_eq!(kind_of(mounts, path).as_deref(), Some("ceph"));
        assert_eq!(unescaped(b"a\\9\\04\\0400\\"), b"a\\9\\04 0\\");
    }

    #[test]
    fn kinds_that_keep_too_little_are_told() {
        for (kind, is_kept, expected) in [
            ("ext4", true, None),
            ("tmpfs", false, None),
            ("tmpfs", true, Some(Severity::Warning)),
            ("fuse.ceph", true, Some(Severity::Warning)),
            ("vfat", true, Some(Severity::Error)),
            ("exfat", false, Some(Severity::Warning)),
        ] {
            assert_eq!(against(kind, is_kept).map(|(severity, _)| severity), expected, "{kind}");
        }
    }
}
