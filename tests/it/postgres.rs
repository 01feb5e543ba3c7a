//! A PostgreSQL server of a test's own: Debian's programs, a data directory of its own, a socket in it and no port.
//! Ends with its test. The tests of the rooms `store` and `forge` use this same file.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use base::process::Program;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to answer, and a program to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a socket is named after when nobody says otherwise.
pub(crate) const PORT: u16 = 5432;

/// A server, running or stopped.
pub(crate) struct Server {
    home: TempDir,
    child: Option<Child>,
    port: u16,
    doors: Vec<String>,
}

impl Server {
    /// Makes and starts a server. `None` when PostgreSQL is absent: that is said by name, and fails the test when
    /// `GITGRIT_TEST_REQUIRE` lists `postgres`.
    pub(crate) fn start() -> Option<Self> {
        Self::start_at(PORT, |_| vec!["-h".into(), String::new()])
    }

    /// A server at a port, with further settings, which may name files that are made in its directory. Whoever comes
    /// over the network needs the password `hunter2`.
    pub(crate) fn start_at(port: u16, doors: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let Some(initdb) = program("initdb") else {
            let required = std::env::var("GITGRIT_TEST_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|part| part.trim() == "postgres"), "`postgres` is required, but absent");
            eprintln!("absent: postgres: `initdb` is not installed; this test did not run on it");
            return None;
        };
        // Short, as the path of a socket may have 107 bytes.
        let home = tempfile::Builder::new().prefix("gitgrit-pg-").tempdir().unwrap();
        let doors = doors(home.path());
        let made = as_postgres(&initdb, home.path())
            .options([
                "--no-sync",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--username=gitgrit",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-D",
            ])
            .option(home.path().join("data"))
            .run(b"")
            .unwrap();
        assert!(made.status.success(), "initdb: {}", made.stderr);
        let mut server = Self { home, child: None, port, doors };
        server.start_again();
        server.ask("postgres", "ALTER USER gitgrit PASSWORD 'hunter2'");
        Some(server)
    }

    /// Starts the server that was stopped, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        let log = std::fs::File::create(self.home.path().join("log")).unwrap();
        let settings = ["-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=16MB", "-k"];
        let postgres = as_postgres(&program("postgres").unwrap(), self.home.path()).option("-D");
        let postgres = postgres.option(self.home.path().join("data")).options(settings).option(self.home.path());
        let postgres = postgres.options(["-p", &self.port.to_string()]).options(&self.doors);
        self.child = Some(postgres.start_detached(log).unwrap());
        let deadline = Instant::now() + PATIENCE;
        while !self.ask("postgres", "SELECT 1").0 {
            let log = || std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the server at once, with every session on it: nothing is written any more, as when its machine is lost.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), Signal::QUIT).unwrap();
            child.wait().unwrap();
        }
    }

    /// A fresh, empty database, and the address to reach it.
    pub(crate) fn database(&self, name: &str) -> String {
        make_database(self.home.path(), self.port, name)
    }

    /// Runs one statement; whether it went well, and what was answered.
    pub(crate) fn ask(&self, database: &str, statement: &str) -> (bool, String) {
        ask_at(self.home.path(), self.port, database, statement)
    }
}

/// A fresh, empty database on the server whose socket is in `socket`, and the address to reach it.
pub(crate) fn make_database(socket: &Path, port: u16, name: &str) -> String {
    let made = ask_at(socket, port, "postgres", &format!("CREATE DATABASE \"{name}\""));
    assert!(made.0, "CREATE DATABASE: {}", made.1);
    let socket = socket.display().to_string().replace('/', "%2F");
    format!("postgres://gitgrit:hunter2@{socket}:{port}/{name}")
}

/// Runs one statement on the server whose socket is in `socket`.
pub(crate) fn ask_at(socket: &Path, port: u16, database: &str, statement: &str) -> (bool, String) {
    let done = Program::new(program("psql").unwrap().to_str().unwrap())
        .option("-h")
        .option(socket)
        .options(["-p", &port.to_string(), "-X", "-U", "gitgrit", "-At", "-c", statement, database])
        .run(b"")
        .unwrap();
    (done.status.success(), format!("{}{}", String::from_utf8_lossy(&done.stdout), done.stderr))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program of PostgreSQL's, in PATH or where Debian keeps it.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// PostgreSQL refuses to run as root, so it then runs as the user that its package made.
fn as_postgres(program: &Path, home: &Path) -> Program {
    if !rustix::process::geteuid().is_root() {
        return Program::new(program.to_str().unwrap());
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == "postgres");
    let fields = fields.expect("no user postgres");
    let (user, group): (u32, u32) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    for entry in std::fs::read_dir(home).unwrap().flatten() {
        chown(entry.path(), Some(user), Some(group)).unwrap();
    }
    chown(home, Some(user), Some(group)).unwrap();
    let identity = [format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()];
    Program::new("setpriv").options(identity).option(program)
}
