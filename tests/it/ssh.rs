//! SSH keys and the real OpenSSH client, without the machine's own configuration, keys or known hosts.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base::process::Program;
use tempfile::TempDir;

/// A key pair in a directory of its own.
pub(crate) struct Key {
    home: TempDir,
}

impl Key {
    /// A new key of `kind`, as `ssh-keygen -t` names it.
    pub(crate) fn generate(kind: &str) -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-ssh-").tempdir().unwrap();
        let done = Program::new("ssh-keygen")
            .options(["-q", "-t", kind, "-N", "", "-C", "ada@example.test", "-f"])
            .option(home.path().join("key"))
            .run(b"")
            .unwrap();
        assert!(done.status.success(), "ssh-keygen: {}", done.stderr);
        Self { home }
    }

    /// The public half, one line.
    pub(crate) fn public(&self) -> String {
        std::fs::read_to_string(self.home.path().join("key.pub")).unwrap().trim_end().to_owned()
    }

    /// The private half's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.home.path().join("key")
    }

    /// The client's options: this key alone, these known hosts alone.
    pub(crate) fn options(&self, known_hosts: &Path) -> Vec<String> {
        let mut options = vec!["-F".to_owned(), "/dev/null".to_owned(), "-i".to_owned()];
        options.push(self.file().display().to_string());
        let settings = [
            "BatchMode=yes".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            format!("UserKnownHostsFile={}", known_hosts.display()),
        ];
        for setting in settings {
            options.extend(["-o".to_owned(), setting]);
        }
        options
    }

    /// The command for `GIT_SSH_COMMAND`.
    pub(crate) fn command(&self, known_hosts: &Path) -> String {
        format!("ssh {}", self.options(known_hosts).join(" "))
    }

    /// `ssh` to `server` as `git`, ready for the command to ask for.
    pub(crate) fn session(&self, server: SocketAddr, known_hosts: &Path) -> Program {
        Program::new("ssh")
            .options(self.options(known_hosts))
            .options(["-p", &server.port().to_string(), "-l", "git"])
            .option(server.ip().to_string())
    }
}

/// Writes a `known_hosts` file with the host keys that are in `keys`, for the server at `server`.
pub(crate) fn known_hosts(keys: &Path, server: SocketAddr, into: &Path) -> PathBuf {
    let mut lines = String::new();
    for entry in std::fs::read_dir(keys).expect("the site has no SSH host keys").flatten() {
        let path = entry.path();
        if !path.is_file() || path.extension().is_some_and(|extension| extension == "pub") {
            continue;
        }
        let done = Program::new("ssh-keygen").options(["-y", "-P", "", "-f"]).option(&path).run(b"").unwrap();
        if done.status.success() {
            let public = String::from_utf8_lossy(&done.stdout).into_owned();
            write!(lines, "[{}]:{} {public}", server.ip(), server.port()).unwrap();
        }
    }
    assert!(!lines.is_empty(), "no readable SSH host key in {}", keys.display());
    let path = into.join("known_hosts");
    base::file::write_atomic(&path, lines.as_bytes(), 0o600).unwrap();
    path
}
