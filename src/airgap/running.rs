//! The running server as the site's directory shows it: who holds `state/serve.lock`, starting it, ending it.
//! Signals only the process that holds the lock, and never with SIGKILL.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use base::Hint;
use base::file::{FileError, Lock, read_text, write_atomic};
use base::process::{ProcessError, Program, terminate};
use base::site::SiteDir;
use serde::{Deserialize, Serialize};

/// The largest note or address file that is read, in bytes.
const LIMIT: u64 = 4096;
/// How often a condition is looked at again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long others may look at a lock.
const GLANCE: Duration = Duration::from_millis(300);

/// Where a site listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// For HTTP or HTTPS.
    pub http: SocketAddr,
    /// For SSH.
    pub ssh: SocketAddr,
}

/// What the running server says of itself in its lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Its process id.
    pub pid: u32,
    /// Where it answers HTTP or HTTPS.
    pub http: SocketAddr,
    /// Where it answers SSH.
    pub ssh: SocketAddr,
    /// The program's version.
    pub version: String,
}

/// Why a server was not started, found or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// A file of the site did not read or write; also when another server holds the lock.
    #[error("could not use the site's state")]
    File(#[from] FileError),
    /// The lock's note did not write.
    #[error("could not note the server's addresses in `{path}`")]
    Note {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The addresses' file is not what we wrote.
    #[error("`{path}` does not hold two addresses")]
    Listen {
        /// The file.
        path: PathBuf,
    },
    /// The program did not start.
    #[error("could not start the server")]
    Start(#[from] ProcessError),
    /// The server ended while we waited for it.
    #[error("the server ended at once (exit code {code})")]
    Ended {
        /// Its exit code; -1 when a signal ended it.
        code: i32,
        /// The last thing it said.
        last_words: String,
    },
    /// The server was not healthy in time.
    #[error("the server was not healthy within {seconds} s")]
    Unhealthy {
        /// How long we waited.
        seconds: u64,
    },
    /// The process could not be signalled.
    #[error("could not ask process {pid} to end")]
    Signal {
        /// Its id.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// The server holds its lock but does not say who it is.
    #[error("`{path}` is held by a server that does not say its process id")]
    Nameless {
        /// The lock file.
        path: PathBuf,
    },
    /// The server did not end in time.
    #[error("the server (process {pid}) did not end within {seconds} s")]
    StillThere {
        /// Its id.
        pid: u32,
        /// How long we waited.
        seconds: u64,
    },
}

impl Hint for RunningError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Start(error) => error.hint(),
            Self::Ended { last_words, .. } if !last_words.is_empty() => Some(format!("its last words: {last_words}")),
            Self::Ended { .. } | Self::Unhealthy { .. } => Some("`gitgrit-ops logs` shows what the server said".into()),
            Self::Listen { path } => {
                Some(format!("remove `{}` and install again with --http and --ssh", path.display()))
            }
            Self::StillThere { pid, .. } => {
                Some(format!("it may be sending a large pack; `kill -9 {pid}` ends it at once"))
            }
            Self::Nameless { path } => Some(format!("`fuser {}` names the process", path.display())),
            Self::Signal { .. } => Some("run this as the user that the server runs as".into()),
            Self::Note { .. } => None,
        }
    }
}

/// Where the site is to listen; `None` before an installation wrote it.
pub fn listen(site: &SiteDir) -> Result<Option<Listen>, RunningError> {
    let path = site.listen();
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(&path, LIMIT)?;
    serde_json::from_str(&text).map(Some).map_err(|_| RunningError::Listen { path })
}

/// Writes where the site is to listen from its next start on.
pub fn set_listen(site: &SiteDir, listen: Listen) -> Result<(), RunningError> {
    let path = site.listen();
    let text = serde_json::to_string(&listen).map_err(|_| RunningError::Listen { path: path.clone() })?;
    Ok(write_atomic(&path, format!("{text}\n").as_bytes(), 0o600)?)
}

/// The server that runs now, when one does and has said so.
pub fn serving(site: &SiteDir) -> Option<Serving> {
    let path = site.serve_lock();
    if !Lock::is_held(&path) {
        return None;
    }
    serde_json::from_str(&read_text(&path, LIMIT).ok()?).ok()
}

/// The lock that a running server holds.
#[derive(Debug)]
pub struct Held {
    lock: Lock,
    path: PathBuf,
}

impl Held {
    /// Takes the lock. Fails when another server of this site runs.
    pub fn take(site: &SiteDir) -> Result<Self, RunningError> {
        let path = site.serve_lock();
        let mut lock = take_patiently(&path)?;
        // The note of a server before us must not pass for ours.
        lock.note("").map_err(|source| RunningError::Note { path: path.clone(), source })?;
        Ok(Self { lock, path })
    }

    /// Says who serves and where, for [`serving`].
    pub fn announce(&mut self, serving: &Serving) -> Result<(), RunningError> {
        let noted = serde_json::to_string(serving).map_err(io::Error::from).and_then(|text| self.lock.note(&text));
        noted.map_err(|source| RunningError::Note { path: self.path.clone(), source })
    }
}

/// Whoever looks whether the lock is held holds a shared one for a moment; only a lock that stays is a server.
fn take_patiently(path: &Path) -> Result<Lock, FileError> {
    let until = Instant::now() + GLANCE;
    loop {
        match Lock::take(path) {
            Err(FileError::Locked { .. }) if Instant::now() < until => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// Starts `program` detached, its output appended to the site's log, and waits until the server says where it listens
/// and `is_healthy` agrees.
pub fn start(
    site: &SiteDir,
    program: Program,
    deadline: Duration,
    is_healthy: &dyn Fn(&Serving) -> bool,
) -> Result<Serving, RunningError> {
    let until = Instant::now() + deadline;
    let mut program = Some(program);
    let mut child = None;
    loop {
        if let Some(found) = serving(site).filter(is_healthy) {
            return Ok(found);
        }
        // Another start, cut off before it saw its server answer, is as good as ours.
        if !Lock::is_held(&site.serve_lock()) {
            if let Some(code) = child.as_mut().and_then(ended) {
                return Err(RunningError::Ended { code, last_words: last_words(site) });
            }
            if let Some(program) = program.take() {
                child = Some(program.start_detached(open_log(site)?)?);
            }
        }
        if Instant::now() >= until {
            // Of no use; when it is gone already, all the better.
            let _ = child.map(|child| terminate(child.id()));
            return Err(RunningError::Unhealthy { seconds: deadline.as_secs() });
        }
        std::thread::sleep(PAUSE);
    }
}

fn open_log(site: &SiteDir) -> Result<File, FileError> {
    let path = site.serve_log();
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| FileError::Write { path, source })
}

/// Asks the running server to end and waits until it has: its last word on where it was, or `None` when none ran.
pub fn stop(site: &SiteDir, deadline: Duration) -> Result<Option<Serving>, RunningError> {
    let path = site.serve_lock();
    if !Lock::is_held(&path) {
        return Ok(None);
    }
    let until = Instant::now() + deadline;
    // A server that just took the lock says who it is once its ports are bound.
    let found = loop {
        match serving(site) {
            Some(found) => break found,
            None if !Lock::is_held(&path) => return Ok(None),
            None if Instant::now() >= until => return Err(RunningError::Nameless { path }),
            None => std::thread::sleep(PAUSE),
        }
    };
    terminate(found.pid).map_err(|source| RunningError::Signal { pid: found.pid, source })?;
    while Lock::is_held(&path) {
        if Instant::now() >= until {
            return Err(RunningError::StillThere { pid: found.pid, seconds: deadline.as_secs() });
        }
        std::thread::sleep(PAUSE);
    }
    Ok(Some(found))
}

/// The exit code of a child that has ended.
fn ended(child: &mut Child) -> Option<i32> {
    child.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1))
}

/// What the server said last: its error with the causes when it printed one, else its last line; at most 500 characters.
fn last_words(site: &SiteDir) -> String {
    let text = tail(site, 8 << 10).unwrap_or_default();
    let said: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // A failed command prints its error first, then causes and hints.
    let failed = said.rsplit(|line| line.starts_with('{')).next().unwrap_or_default();
    let mut words = String::new();
    for line in failed {
        if let Some(error) = line.strip_prefix("error: ") {
            error.clone_into(&mut words);
        } else if let Some(cause) = line.strip_prefix("caused by: ") {
            words = words + ": " + cause;
        }
    }
    let words = if words.is_empty() { said.last().copied().unwrap_or_default() } else { &words };
    words.chars().take(500).collect()
}

/// The last `bytes` of the site's log, from the first whole line in them.
pub fn tail(site: &SiteDir, bytes: u64) -> Result<String, RunningError> {
    use io::{Read, Seek};
    let path = site.serve_log();
    let failed = |source| FileError::Read { path: path.clone(), source };
    let mut file = File::open(&path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let from = length.saturating_sub(bytes);
    file.seek(io::SeekFrom::Start(from)).map_err(failed)?;
    let mut taken = Vec::new();
    file.take(bytes).read_to_end(&mut taken).map_err(failed)?;
    let text = String::from_utf8_lossy(&taken).into_owned();
    Ok(if from == 0 { text } else { text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, SiteDir) {
        let directory = tempfile::tempdir().unwrap();
        let site = SiteDir::new(directory.path());
        std::fs::create_dir(site.state()).unwrap();
        (directory, site)
    }

    fn serving_here() -> Serving {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Serving { pid: std::process::id(), http: at(8828), ssh: at(2424), version: "0".into() }
    }

    #[test]
    fn a_note_without_its_lock_is_no_server() {
        let (_directory, site) = site();
        let mut held = Held::take(&site).unwrap();
        assert_eq!(serving(&site), None);
        held.announce(&serving_here()).unwrap();
        assert_eq!(serving(&site), Some(serving_here()));
        drop(held);
        assert_eq!(serving(&site), None);
        assert_eq!(stop(&site, Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_second_server_is_refused_and_does_not_blur_the_first_ones_note() {
        let (_directory, site) = site();
        let mut held = Held::take(&site).unwrap();
        held.announce(&serving_here()).unwrap();
        assert!(matches!(Held::take(&site), Err(RunningError::File(FileError::Locked { .. }))));
        assert_eq!(serving(&site), Some(serving_here()));
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_last_words() {
        let (_directory, site) = site();
        let program = Program::new("sh").options([
            "-c",
            "echo '{}'; echo 'error: no port' >&2; echo '  caused by: taken' >&2; echo 'hint: free it'; exit 7",
        ]);
        match start(&site, program, Duration::from_secs(20), &|_| true) {
            Err(RunningError::Ended { code: 7, last_words }) => assert_eq!(last_words, "no port: taken"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_that_says_nothing_is_unhealthy_at_the_deadline() {
        let (_directory, site) = site();
        let program = Program::new("sleep").options(["5"]);
        let error = start(&site, program, Duration::from_millis(60), &|_| true).unwrap_err();
        assert!(matches!(error, RunningError::Unhealthy { .. }), "{error:?}");
    }

    #[test]
    fn addresses_are_kept_for_the_next_start() {
        let (_directory, site) = site();
        assert_eq!(listen(&site).unwrap(), None);
        let wanted = Listen { http: serving_here().http, ssh: "[::1]:2424".parse().unwrap() };
        set_listen(&site, wanted).unwrap();
        assert_eq!(listen(&site).unwrap(), Some(wanted));
        base::file::write_atomic(&site.listen(), b"{}", 0o600).unwrap();
        assert!(matches!(listen(&site), Err(RunningError::Listen { .. })));
    }

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let (_directory, site) = site();
        base::file::write_atomic(&site.serve_log(), b"one\ntwo\nthree\n", 0o600).unwrap();
        assert_eq!(tail(&site, 9).unwrap(), "three\n");
        assert_eq!(tail(&site, 900).unwrap(), "one\ntwo\nthree\n");
    }
}
