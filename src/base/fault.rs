//! Fault points: named places where a drill may kill the program, to prove that the next run recovers.
//! Does nothing unless `GITGRIT_FAULT` names the place; can harm no process but its own.

use rustix::process::{Signal, getpid, kill_process};

/// The variable that names the fault point at which this process kills itself with SIGKILL.
pub const VARIABLE: &str = "GITGRIT_FAULT";

/// Kills this process, as `kill -9` would, when `GITGRIT_FAULT` equals `place`.
pub fn point(place: &str) {
    if std::env::var_os(VARIABLE).is_some_and(|wanted| wanted == place) {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
