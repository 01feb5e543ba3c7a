//! Looks at a live site: its server, its certificate, its data, its files. What the forge and git know of them comes in as
//! values; here it is judged. Changes nothing: what may safely be mended is planned here, and done by the command line.

mod data;
mod files;
mod mend;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base::clock::Timestamp;
use base::site::SiteDir;
use base::url::BaseUrl;

use crate::check::{self, Check, Looked};
pub use mend::{Mend, plan};

/// A site that was looked at.
#[derive(Debug)]
pub struct Live {
    /// Its directory.
    pub site: SiteDir,
    /// Why its settings are not read; `None` when they are.
    pub refused_settings: Option<String>,
    /// Why the parts of the installation are not read; `None` when they are.
    pub refused_parts: Option<String>,
    /// Its address.
    pub site_url: Option<BaseUrl>,
    /// The server that runs.
    pub serving: Option<Serving>,
    /// This program's version.
    pub version: &'static str,
    /// Says whether the server's key belongs to its certificate; `None` without a certificate.
    pub is_paired: Option<bool>,
    /// The authorities that the server's certificate is to verify with; none for the system's own.
    pub authorities: Option<PathBuf>,
    /// What the forge saw of the data, or why it saw nothing.
    pub data: Result<Data, String>,
    /// The repositories on disk.
    pub on_disk: Result<Vec<i64>, String>,
    /// What killed processes left among them.
    pub left: Result<Vec<PathBuf>, String>,
    /// Repositories that could not be looked into, and why.
    pub unseen: Vec<(PathBuf, String)>,
    /// The time.
    pub now: Timestamp,
}

/// What the running server says of itself.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Its process id.
    pub pid: u32,
    /// Where it answers HTTP or HTTPS.
    pub http: SocketAddr,
    /// Where it answers SSH.
    pub ssh: SocketAddr,
    /// Its version.
    pub version: String,
}

/// What the forge saw of the data.
#[derive(Clone, Debug)]
pub struct Data {
    /// Migrations that are due; with some, nothing else was looked at.
    pub pending: usize,
    /// Says whether the encryption key is the one that the data was begun with; `None` where nothing was written with one yet.
    pub is_key_known: Option<bool>,
    /// What the database says is wrong with it.
    pub faults: Vec<String>,
    /// How many records the audit log has, or how it is broken.
    pub audit: Result<i64, String>,
    /// How many jobs were given up.
    pub dead: i64,
    /// Some of those, by name.
    pub dead_names: Vec<String>,
    /// Seconds that the next job is overdue.
    pub overdue: i64,
    /// Repositories that the database knows: id and path.
    pub repositories: Vec<(i64, String)>,
    /// Ids of directories that are about to be filled or removed.
    pub loose: Vec<i64>,
}

/// Looks at everything.
pub fn run(live: &Arc<Live>) -> Vec<Looked> {
    let groups: [&'static [Check<Live>]; 3] = [&server::CHECKS, &data::CHECKS, &files::CHECKS];
    let checks: Vec<_> = groups.into_iter().flatten().collect();
    check::run(live, &checks)
}
