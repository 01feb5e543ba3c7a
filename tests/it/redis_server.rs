//! A Redis server of a test's own: Debian's program, a directory and a port of its own, and a password. Ends with its test.
//! The tests of the room `store` use this same file.

use std::process::Child;
use std::time::{Duration, Instant};

use base::process::Program;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The password; no log may show it.
pub(crate) const PASSWORD: &str = "hunter2-of-redis";

/// A server, running, paused or killed.
pub(crate) struct Server {
    home: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a server. `None` when Redis is absent: that is said by name, and fails the test when
    /// `GITGRIT_TEST_REQUIRE` lists `redis`.
    pub(crate) fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("redis-server").is_file()) {
            let required = std::env::var("GITGRIT_TEST_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|part| part.trim() == "redis"), "`redis` is required, but absent");
            eprintln!("absent: redis: `redis-server` is not installed; this test did not run");
            return None;
        }
        let home = tempfile::Builder::new().prefix("gitgrit-redis-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { home, port, child: None };
        server.start_again();
        Some(server)
    }

    /// Starts the server that was killed, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        let log = std::fs::File::create(self.home.path().join("log")).unwrap();
        let port = self.port.to_string();
        let redis = Program::new("redis-server")
            .options(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD, "--dir"])
            .option(self.home.path());
        self.child = Some(redis.start_detached(log).unwrap());
        let deadline = Instant::now() + PATIENCE;
        while self.ask(&["ping"]) != "PONG\n" {
            assert!(Instant::now() < deadline, "Redis does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it hang: it takes connections and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// The address to reach it.
    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// Runs one command and gives what was answered.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        let client = Program::new("redis-cli").env("REDISCLI_AUTH", PASSWORD).deadline(Duration::from_secs(5));
        let done = client.options(["-p", &self.port.to_string()]).options(command).run(b"");
        done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().expect("it runs")), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
