//! Git's part of `smoketest --site`: a stock `git` clones from the site and pushes to it, over both transports, as a
//! user would. Works in a scratch directory of its own; trusts the site's own authority and host keys, nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::file::{FileError, create_dir, read_text, write_atomic};
use base::hint::chain;
use base::site::SiteDir;
use base::{Hint, Secret};
use git::client::{Access, Clone};
use vault::ssh_key::PublicKey;

use crate::error::InstallError;
use crate::facts;

/// How long one clone with its pushes may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// The file that is pushed.
const FILE: &str = "smoketest.txt";

/// The version of the git that this host has, as in `2.47.3`. Fails when there is none.
pub async fn git_version() -> Result<String, git::Error> {
    git::version().await
}

/// A repository to try, and how to reach it.
#[derive(Debug)]
pub struct Target {
    /// The repository's address over HTTP(S).
    pub http_url: String,
    /// The whole value of the `Authorization` header, as in `Basic …`.
    pub authorization: Secret<String>,
    /// The repository's address over SSH.
    pub ssh_url: String,
    /// The host in that address, without brackets.
    pub ssh_host: String,
    /// The port in that address.
    pub ssh_port: u16,
    /// A private key that may push, OpenSSH PEM.
    pub private_key: Secret<String>,
    /// The branch to push to.
    pub branch: String,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was tried, as in `clone over HTTPS`.
    pub what: &'static str,
    /// Why it did not work; `None` when it did.
    pub problem: Option<String>,
}

/// Why nothing could be tried at all.
#[derive(Debug, thiserror::Error)]
pub enum SiteGitError {
    /// The scratch directory or a file in it could not be made.
    #[error("could not make a scratch directory")]
    Scratch(#[source] std::io::Error),
    /// A file of the site did not read.
    #[error("could not use a file of the site")]
    File(#[from] FileError),
    /// The site's certificate does not read.
    #[error("could not look at the site")]
    Site(#[source] Box<InstallError>),
}

impl Hint for SiteGitError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Scratch(_) => Some("free some space below TMPDIR, or name another directory with it".into()),
            Self::File(error) => error.hint(),
            Self::Site(error) => error.hint(),
        }
    }
}

/// Clones and pushes over HTTP(S), then over SSH; each clone must show what was pushed before it.
pub async fn check(site: &SiteDir, target: &Target) -> Result<Vec<Line>, SiteGitError> {
    let scratch = tempfile::Builder::new().prefix("gitgrit-smoketest-").tempdir().map_err(SiteGitError::Scratch)?;
    let http = Access::Http { authorization: target.authorization.clone(), ca_file: authority_file(site)? };
    let ssh = ssh_access(site, target, scratch.path())?;
    let mut lines = Vec::new();
    let http_words = if target.http_url.starts_with("https:") {
        ["clone over HTTPS", "push over HTTPS"]
    } else {
        ["clone over HTTP", "push over HTTP"]
    };
    let ways = [
        (http_words, &target.http_url, "http", http),
        (["clone over SSH", "push over SSH"], &target.ssh_url, "ssh", ssh),
    ];
    let mut pushed = None;
    for ([clone, push], url, directory, access) in ways {
        match attempt(url, &scratch.path().join(directory), access, pushed.as_deref(), &target.branch).await {
            Ok(id) => {
                pushed = Some(id);
                lines.extend([Line { what: clone, problem: None }, Line { what: push, problem: None }]);
            }
            Err(Attempt::Clone(problem)) => {
                let untried = Some("not tried, since the clone failed".into());
                lines.extend([Line { what: clone, problem: Some(problem) }, Line { what: push, problem: untried }]);
            }
            Err(Attempt::Push(problem)) => {
                lines.extend([Line { what: clone, problem: None }, Line { what: push, problem: Some(problem) }]);
            }
        }
    }
    Ok(lines)
}

enum Attempt {
    Clone(String),
    Push(String),
}

/// Clones, compares with what was pushed before, pushes one commit more, and gives its id.
async fn attempt(
    url: &str,
    directory: &Path,
    access: Access,
    expected: Option<&str>,
    branch: &str,
) -> Result<String, Attempt> {
    let clone = Clone::make(url, directory, access, DEADLINE).await.map_err(|error| Attempt::Clone(chain(&error)))?;
    let head = clone.head().await.map_err(|error| Attempt::Clone(chain(&error)))?;
    if expected.is_some() && head.as_deref() != expected {
        return Err(Attempt::Clone("the clone does not show the commit that was pushed before".into()));
    }
    let content = vault::random::token();
    let pushed = clone.commit_and_push(branch, FILE, content.expose().as_bytes()).await;
    pushed.map_err(|error| Attempt::Push(chain(&error)))
}

/// The site's own authority, when it is the one that issued the server's certificate; else the host's own trust holds.
fn authority_file(site: &SiteDir) -> Result<Option<PathBuf>, SiteGitError> {
    let found = facts::look(site).map_err(|error| SiteGitError::Site(Box::new(error)))?;
    Ok(found.certificate.is_some_and(|certificate| certificate.is_ours).then(|| site.ca_certificate()))
}

fn ssh_access(site: &SiteDir, target: &Target, scratch: &Path) -> Result<Access, SiteGitError> {
    let directory = scratch.join("keys");
    create_dir(&directory, 0o700)?;
    let (key_file, known_hosts) = (directory.join("key"), directory.join("known_hosts"));
    write_atomic(&key_file, target.private_key.expose().as_bytes(), 0o600)?;
    let keys = host_keys(site)?;
    write_atomic(&known_hosts, known_hosts_text(&target.ssh_host, target.ssh_port, &keys).as_bytes(), 0o600)?;
    Ok(Access::Ssh { key_file, known_hosts })
}

/// The site's public host keys, from its own directory and not from the wire.
fn host_keys(site: &SiteDir) -> Result<Vec<PublicKey>, SiteGitError> {
    let directory = site.ssh();
    let failed = |source| FileError::Read { path: directory.clone(), source };
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            keys.extend(PublicKey::parse(&read_text(&path, 16 << 10)?));
        }
    }
    Ok(keys)
}

/// sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": a port other than 22 stands after the host in brackets.
fn known_hosts_text(host: &str, port: u16, keys: &[PublicKey]) -> String {
    let place = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    keys.iter().fold(String::new(), |text, key| text + &place + " " + &key.line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hosts_name_the_port_unless_it_is_22() {
        let key = PublicKey::parse(&vault::ssh_key::generate("host").unwrap().public).unwrap();
        let keys = [key.clone()];
        assert_eq!(known_hosts_text("forge", 22, &keys), format!("forge {}\n", key.line));
        assert_eq!(known_hosts_text("::1", 2424, &keys), format!("[::1]:2424 {}\n", key.line));
    }

    #[test]
    fn host_keys_are_the_public_files_alone() {
        let directory = tempfile::tempdir().unwrap();
        let site = SiteDir::new(directory.path());
        create_dir(&site.ssh(), 0o700).unwrap();
        let pair = vault::ssh_key::generate("host").unwrap();
        write_atomic(&site.ssh().join("ssh_host_ed25519_key"), pair.private.expose().as_bytes(), 0o600).unwrap();
        write_atomic(&site.ssh().join("ssh_host_ed25519_key.pub"), pair.public.as_bytes(), 0o644).unwrap();
        assert_eq!(host_keys(&site).unwrap(), [PublicKey::parse(&pair.public).unwrap()]);
    }
}
