//! The files of a site: who may read what is secret, which keys are there, what lies about.

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

pub(super) static CHECKS: [Check<Live>; 6] = [
    Check::new(&catalogue::DOCTOR_MODES, "modes of secrets", modes),
    Check::new(&catalogue::DOCTOR_OWNER, "owners of files", owners),
    Check::new(&catalogue::DOCTOR_HOST_KEYS, "SSH host keys", host_keys),
    Check::new(&catalogue::DOCTOR_LEFT, "what killed processes left", left),
    Check::new(&catalogue::DOCTOR_PASSWORD, "first password", password),
    Check::new(&catalogue::DOCTOR_LOG, "server's log", log),
];

/// What nobody but the site's user may read, with the mode that it should have. Links are left alone: what they lead to may
/// be another's.
pub(super) fn open_secrets(live: &Live) -> Vec<(PathBuf, u32, u32)> {
    let site = &live.site;
    let mut all = vec![(site.data(), 0o700)];
    let files =
        [site.env(), site.secrets(), site.ca_key(), site.server_key(), site.database(), site.initial_password()];
    all.extend(files.map(|path| (path, 0o600)));
    all.extend(private_keys(&site.ssh()).into_iter().map(|path| (path, 0o600)));
    let open = all.into_iter().filter_map(|(path, wanted)| {
        let facts = std::fs::symlink_metadata(&path).ok().filter(|facts| !facts.file_type().is_symlink())?;
        let mode = facts.mode() & 0o7777;
        (mode & 0o077 != 0).then_some((path, mode, wanted))
    });
    open.collect()
}

/// The files of a directory that are no public keys.
fn private_keys(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "pub")).collect()
}

fn modes(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_MODES;
    let open = open_secrets(live);
    if open.is_empty() {
        return known.fine("secrets", "are the site's user's alone");
    }
    let one = |(path, mode, wanted): (PathBuf, u32, u32)| {
        known.fails(line(&path.display().to_string()), format!("has mode {mode:04o}, not {wanted:04o}"))
    };
    open.into_iter().flat_map(one).collect()
}

fn owners(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_OWNER;
    let site = &live.site;
    let Ok(own) = std::fs::metadata(site.data()).map(|facts| facts.uid()) else {
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
    match private_keys(&live.site.ssh()).len() {
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
