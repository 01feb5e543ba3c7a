//! The files of a site: who may read what is secret, which keys are there, what lies about.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base::Finding;

use super::Live;
use crate::catalogue;
use crate::check::Check;
use crate::text::line;

/// Bytes of a log that nobody turns over.
const LOG: u64 = 1 << 30;
/// How many paths one message lists.
const LISTED: usize = 5;

pub(super) static CHECKS: [Check<Live>; 7] = [
    Check::new(&catalogue::DOCTOR_MODES, "modes of secrets", modes),
    Check::new(&catalogue::DOCTOR_OWNER, "owners of files", owners),
    Check::new(&catalogue::DOCTOR_HOST_KEYS, "SSH host keys", host_keys),
    Check::new(&catalogue::DOCTOR_LEFT, "what killed processes left", left),
    Check::new(&catalogue::DOCTOR_UNSEEN, "each repository", unseen),
    Check::new(&catalogue::DOCTOR_PASSWORD, "first password", password),
    Check::new(&catalogue::DOCTOR_LOG, "server's log", log),
];

/// A secret that others may read.
pub(super) struct Open {
    pub(super) path: PathBuf,
    mode: u32,
    /// The mode that it should have.
    pub(super) wanted: u32,
    /// Whom it belongs to.
    pub(super) owner: u32,
}

/// The user that the site's data belongs to, and whom its server runs as.
pub(super) fn owner(live: &Live) -> Option<u32> {
    std::fs::metadata(live.site.data()).map(|facts| facts.uid()).ok()
}

/// What nobody but the site's user may read. Links are left alone: what they lead to may be another's. What belongs to another
/// user, root most often, may be read by the group of the data: that is how the site's user reads it.
pub(super) fn open_secrets(live: &Live) -> Vec<Open> {
    let site = &live.site;
    let data = std::fs::metadata(site.data()).map(|facts| (facts.uid(), facts.gid())).ok();
    let mut all = vec![(site.data(), 0o700)];
    let files =
        [site.env(), site.secrets(), site.ca_key(), site.server_key(), site.database(), site.initial_password()];
    all.extend(files.map(|path| (path, 0o600)));
    all.extend(host_key_files(&site.ssh()).into_iter().map(|path| (path, 0o600)));
    let open = all.into_iter().filter_map(|(path, wanted)| {
        let facts = std::fs::symlink_metadata(&path).ok().filter(|facts| !facts.file_type().is_symlink())?;
        let (mode, owner) = (facts.mode() & 0o7777, facts.uid());
        let is_lent = data.is_some_and(|(user, group)| user != owner && group == facts.gid());
        let others = if is_lent { 0o037 } else { 0o077 };
        (mode & others != 0).then_some(Open { path, mode, wanted, owner })
    });
    open.collect()
}

/// The files of a directory that hold a private key, as OpenSSH writes one.
fn host_key_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| is_private_key(path)).collect()
}

fn is_private_key(path: &Path) -> bool {
    let file = base::plain::plain(path, std::fs::File::options().read(true)).ok().flatten();
    let mut head = Vec::new();
    let is_read = file.is_some_and(|file| file.take(64).read_to_end(&mut head).is_ok());
    is_read && head.starts_with(b"-----BEGIN ") && head.windows(12).any(|part| part == b"PRIVATE KEY-")
}

fn modes(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_MODES;
    let (open, own) = (open_secrets(live), owner(live));
    if open.is_empty() {
        return known.fine("secrets", "are the site's user's alone");
    }
    let one = |Open { path, mode, wanted, owner }: Open| {
        let whose = if own == Some(owner) { String::new() } else { format!(", and belongs to user {owner}") };
        known.fails(line(&path.display().to_string()), format!("has mode {mode:04o}, not {wanted:04o}{whose}"))
    };
    open.into_iter().flat_map(one).collect()
}

fn owners(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_OWNER;
    let site = &live.site;
    let Some(own) = owner(live) else {
        return known.unseen("data", "is not there, or not to be looked at");
    };
    let places =
        [site.env(), site.secrets(), site.database(), site.repositories(), site.tls(), site.ssh(), site.state()];
    let is_other = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|facts| facts.uid() != own);
    let others: Vec<_> = places.into_iter().filter(is_other).collect();
    if others.is_empty() {
        return known.fine("files", format!("belong to user {own}"));
    }
    known.fails(listed(&others), format!("belongs to another user than data ({own})"))
}

fn host_keys(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_HOST_KEYS;
    let subject = line(&live.site.ssh().display().to_string());
    match host_key_files(&live.site.ssh()).len() {
        0 => known.fails(subject, "holds no host key"),
        count => known.fine(subject, format!("holds {count}")),
    }
}

fn left(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_LEFT;
    match &live.left {
        Err(reason) => known.unseen("repositories", line(reason)),
        Ok(left) if left.is_empty() => known.fine("repositories", "nothing lies about"),
        Ok(left) => known.warns(listed(left), format!("{} files and directories lie about", left.len())),
    }
}

fn unseen(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_UNSEEN;
    let one = |(path, reason): &(PathBuf, String)| known.fails(line(&path.display().to_string()), line(reason));
    match (&live.left, live.unseen.as_slice()) {
        (Err(reason), _) => known.unseen("repositories", line(reason)),
        (Ok(_), []) => known.fine("repositories", "can all be looked into"),
        (Ok(_), broken) => broken.iter().flat_map(one).collect(),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().take(LISTED).map(|path| line(&path.display().to_string())).collect();
    let more = paths.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn password(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_PASSWORD;
    let path = live.site.initial_password();
    let subject = line(&path.display().to_string());
    if path.exists() { known.warns(subject, "is still there") } else { known.fine(subject, "is gone, as it should be") }
}

fn log(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_LOG;
    let path = live.site.serve_log();
    let subject = line(&path.display().to_string());
    match std::fs::metadata(&path).map(|facts| facts.len()) {
        Ok(bytes) if bytes > LOG => known.warns(subject, format!("has {} MiB", bytes >> 20)),
        Ok(bytes) => known.fine(subject, format!("has {} KiB", bytes >> 10)),
        Err(_) => known.fine(subject, "is not there"),
    }
}
