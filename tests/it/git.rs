//! A git client that knows nothing of the machine it runs on: own home, no system or global configuration, no prompt.
//! Credentials go in through the environment, never through an argument that a process list would show.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::process::{Finished, Program};
use tempfile::TempDir;

use crate::ssh::Key;

/// Who wrote the commits of a test, and when.
const IDENTITY: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "Ada Author"),
    ("GIT_AUTHOR_EMAIL", "ada@example.test"),
    ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"),
    ("GIT_COMMITTER_NAME", "Ada Author"),
    ("GIT_COMMITTER_EMAIL", "ada@example.test"),
    ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z"),
];

/// A git client with a home of its own.
pub(crate) struct Git {
    home: TempDir,
    environment: Vec<(String, OsString)>,
    settings: Vec<(String, String)>,
    kept: Vec<Key>,
}

impl Git {
    /// A client without credentials that trusts nobody.
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-git-").tempdir().unwrap();
        let settings = [
            ("init.defaultBranch", "main"),
            ("credential.helper", ""),
            ("protocol.version", "2"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("advice.detachedHead", "false"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { home, environment: Vec::new(), settings, kept: Vec::new() }
    }

    /// Trusts the certificates that `ca_file` signed, and no other.
    pub(crate) fn trusting(self, ca_file: &Path) -> Self {
        self.with_setting("http.sslCAInfo", ca_file.to_str().unwrap())
    }

    /// Signs in over HTTPS with a token or a password.
    pub(crate) fn with_password(mut self, user: &str, password: &str) -> Self {
        self.environment.push(("GITGRIT_TEST_USER".into(), user.into()));
        self.environment.push(("GITGRIT_TEST_PASSWORD".into(), password.into()));
        let helper = "!f() { echo \"username=$GITGRIT_TEST_USER\"; echo \"password=$GITGRIT_TEST_PASSWORD\"; }; f";
        self.with_setting("credential.helper", helper)
    }

    /// Uses this command in place of `ssh`.
    pub(crate) fn with_ssh(mut self, command: &str) -> Self {
        self.environment.push(("GIT_SSH_COMMAND".into(), command.into()));
        self
    }

    /// Keeps a key's files for as long as the client lives.
    pub(crate) fn keeping(mut self, key: Key) -> Self {
        self.kept.push(key);
        self
    }

    /// One more setting, as `git -c` would give it.
    pub(crate) fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The client's own directory, where clones may go.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path inside the client's home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// git, ready for its arguments, to be run in `directory`.
    pub(crate) fn program(&self, directory: &Path) -> Program {
        let mut program = Program::new("git")
            .directory(directory)
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS", "/bin/false")
            .env("GIT_CONFIG_COUNT", self.settings.len().to_string())
            .deadline(Duration::from_mins(5));
        for (index, (name, value)) in self.settings.iter().enumerate() {
            program =
                program.env(&format!("GIT_CONFIG_KEY_{index}"), name).env(&format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        for (name, value) in IDENTITY {
            program = program.env(name, value);
        }
        for (name, value) in &self.environment {
            program = program.env(name, value);
        }
        program
    }

    /// Runs git and gives back whatever came of it.
    pub(crate) fn run<const N: usize>(&self, directory: &Path, arguments: [&str; N]) -> Finished {
        self.program(directory).options(arguments).run(b"").unwrap()
    }

    /// Runs git, which must succeed; gives its output without the last line break.
    pub(crate) fn ok<const N: usize>(&self, directory: &Path, arguments: [&str; N]) -> String {
        let done = self.run(directory, arguments);
        assert!(done.status.success(), "git {arguments:?} failed ({}):\n{}", done.status, done.stderr);
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Runs git, which must fail; gives what it said on standard error.
    pub(crate) fn refused<const N: usize>(&self, directory: &Path, arguments: [&str; N]) -> String {
        let done = self.run(directory, arguments);
        assert!(!done.status.success(), "git {arguments:?} was not refused:\n{}", done.stderr);
        done.stderr
    }

    /// Clones `address` into the client's home as `name`.
    pub(crate) fn clone(&self, address: &str, name: &str) -> PathBuf {
        self.ok(self.home(), ["clone", "--quiet", address, name]);
        self.path(name)
    }

    /// A new repository with `commits` commits on `main`, made by `git fast-import`; each changes one of forty files.
    pub(crate) fn history(&self, name: &str, commits: usize) -> PathBuf {
        let path = self.path(name);
        self.ok(self.home(), ["init", "--quiet", name]);
        let done = self.program(&path).options(["fast-import", "--quiet"]).run(&stream(commits)).unwrap();
        assert!(done.status.success(), "fast-import: {}", done.stderr);
        self.ok(&path, ["reset", "--quiet", "--hard", "main"]);
        path
    }
}

/// A fast-import stream: a README in the first commit, then one changed file a commit.
fn stream(commits: usize) -> Vec<u8> {
    let mut stream = String::new();
    for number in 1..=commits {
        let at = 1_600_000_000 + number * 3600;
        let message = format!("change number {number}\n");
        let size = message.len();
        writeln!(stream, "commit refs/heads/main\ncommitter Ada Author <ada@example.test> {at} +0000").unwrap();
        write!(stream, "data {size}\n{message}").unwrap();
        if number == 1 {
            let readme = "# A history\n\nMade for a *test*.\n\n```rust\nfn main() {}\n```\n";
            write!(stream, "M 100644 inline README.md\ndata {}\n{readme}\n", readme.len()).unwrap();
        }
        let lines: Vec<_> = (0..20).map(|line| format!("line {line} of version {}\n", number * (line + 1))).collect();
        let (lines, folder, file) = (lines.concat(), number % 8, number % 5);
        let size = lines.len();
        write!(stream, "M 100644 inline src/part{folder}/file{file}.txt\ndata {size}\n{lines}\n").unwrap();
    }
    stream.into_bytes()
}
