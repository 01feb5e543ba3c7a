//! A whole site on loopback for tests: a real forge behind a bound server, and real `git` and `ssh` in front of it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::Secret;
use base::clock::{Clock, FixedClock, SystemClock};
use base::envfile::Values;
use base::process::{Finished, Program};
use base::settings::Settings;
use forge::{Actor, Forge, NewRepo, NewToken, NewUser, Scopes, Visibility};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::host_key;
use crate::server::{Addresses, Options, Server};
use crate::state::AppState;
use crate::tls::TlsFiles;

/// The password of everyone.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running site. Its administrator is `root`; `alice` and `bob` are users with a repository `notes` each.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) forge: Forge,
    pub(crate) state: AppState,
    pub(crate) addresses: Addresses,
    pub(crate) clock: Arc<FixedClock>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Site {
    /// Starts it. Alice's repository is private, Bob's too; `root/open` is public and empty.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let values: Values = [
            ("SITE_URL", "https://localhost:8828"),
            ("SECRET_KEY", &"s".repeat(50)),
            ("GITGRIT_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ]
        .into_iter()
        .collect();
        let clock = Arc::new(FixedClock::new(SystemClock.now()));
        let options = forge::Options {
            settings: Settings::parse(&values).unwrap(),
            database: dir.path().join("gitgrit.sqlite"),
            repositories: dir.path().join("repositories"),
            clock: clock.clone(),
        };
        let forge = Forge::open(options).await.unwrap();
        let server = Server::bind(
            forge.clone(),
            Options {
                http: (Ipv4Addr::LOCALHOST, 0).into(),
                ssh: (Ipv4Addr::LOCALHOST, 0).into(),
                tls: Some(issue(dir.path())),
                ca_certificate: Some(dir.path().join("server.pem")),
                ssh_dir: dir.path().join("ssh"),
                clock: clock.clone(),
            },
        )
        .unwrap();
        let (addresses, state) = (server.addresses(), server.state().clone());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let site = Self { dir, forge, state, addresses, clock, stop: Some(stop), task: Some(task) };
        site.settle().await;
        site
    }

    async fn settle(&self) {
        self.forge.ensure_administrator("root", &Secret::new(PASSWORD.into())).await.unwrap();
        let root = self.actor("root").await;
        for name in ["alice", "bob"] {
            let new = NewUser {
                name: name.into(),
                full_name: String::new(),
                password: Secret::new(PASSWORD.into()),
                is_admin: false,
            };
            self.forge.create_user(&root, new).await.unwrap();
            self.create_repo(name, "notes", Visibility::Private).await;
        }
        self.create_repo("root", "open", Visibility::Public).await;
    }

    /// Ends the server and waits for it.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            task.await.unwrap();
        }
    }

    /// A signed-in user.
    pub(crate) async fn actor(&self, name: &str) -> Actor {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let signed_in = self.forge.sign_in(name, &Secret::new(PASSWORD.into()), loopback).await.unwrap();
        self.forge.session(&signed_in.token).await.unwrap().unwrap().actor
    }

    /// Makes a repository.
    pub(crate) async fn create_repo(&self, owner: &str, name: &str, visibility: Visibility) {
        let new = NewRepo { name: name.into(), description: String::new(), visibility };
        self.forge.create_repo(&self.actor(owner).await, new).await.unwrap();
    }

    /// Makes a token that ends after a day.
    pub(crate) async fn token(&self, owner: &str, can_write: bool) -> String {
        let scopes = Scopes::parse(if can_write { "write:repository" } else { "read:repository" }).unwrap();
        let new = NewToken { name: "test".into(), scopes, repositories: None, days: Some(1) };
        let (_, secret) = self.forge.create_token(&self.actor(owner).await, new).await.unwrap();
        secret.expose().clone()
    }

    /// Makes a key pair, gives it to the user, and returns the private key's file.
    pub(crate) async fn ssh_key(&self, owner: &str) -> PathBuf {
        let path = self.new_key(owner);
        let line = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        self.forge.add_ssh_key(&self.actor(owner).await, "laptop", &line).await.unwrap();
        path
    }

    /// Makes a key pair that nobody has.
    pub(crate) fn new_key(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join("keys").join(name);
        host_key::load_or_make(&dir).unwrap();
        dir.join("ssh_host_ed25519_key")
    }

    /// `https://user:secret@localhost:port/path`; no credentials when `user` is empty.
    pub(crate) fn http_url(&self, user: &str, secret: &str, path: &str) -> String {
        let at = if user.is_empty() { String::new() } else { format!("{user}:{}@", secret.replace(' ', "%20")) };
        format!("https://{at}localhost:{}/{path}", self.addresses.http.port())
    }

    /// `ssh://git@localhost:port/path`.
    pub(crate) fn ssh_url(&self, path: &str) -> String {
        format!("ssh://git@localhost:{}/{path}", self.addresses.ssh.port())
    }

    /// Options for `ssh` that keep it to one key and this site.
    pub(crate) fn ssh_options(&self, key: &Path) -> Vec<String> {
        let public = std::fs::read_to_string(self.dir.path().join("ssh/ssh_host_ed25519_key.pub")).unwrap();
        let known = self.dir.path().join("known_hosts");
        let line = format!("[localhost]:{} {public}", self.addresses.ssh.port());
        base::file::write_atomic(&known, line.as_bytes(), 0o600).unwrap();
        let pairs = [
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "BatchMode=yes".to_owned(),
            "LogLevel=ERROR".to_owned(),
            format!("UserKnownHostsFile={}", known.display()),
            format!("IdentityFile={}", key.display()),
        ];
        let options = pairs.into_iter().flat_map(|pair| ["-o".to_owned(), pair]);
        ["-F".to_owned(), "/dev/null".to_owned()].into_iter().chain(options).collect()
    }

    /// Runs `git` in `directory` below the site's, trusting the site, with no settings of this machine.
    pub(crate) async fn git(&self, directory: &str, key: Option<&Path>, arguments: &[&str]) -> Finished {
        let home = self.dir.path().join(directory);
        std::fs::create_dir_all(&home).unwrap();
        let mut program = Program::new("git")
            .options(["-c", "init.defaultBranch=main", "-c", "protocol.version=2"])
            .options(["-c", "user.name=Alice", "-c", "user.email=alice@example.org"])
            .options(arguments)
            .directory(&home)
            .env("HOME", &home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", self.dir.path().join("server.pem"))
            .deadline(Duration::from_secs(50));
        if let Some(key) = key {
            program = program.env("GIT_SSH_COMMAND", format!("ssh {}", self.ssh_options(key).join(" ")));
        }
        tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap()
    }

    /// Runs `git` and insists that it worked.
    pub(crate) async fn git_ok(&self, directory: &str, key: Option<&Path>, arguments: &[&str]) -> String {
        let done = self.git(directory, key, arguments).await;
        assert!(done.status.success(), "git {arguments:?}: {}", done.stderr);
        String::from_utf8(done.stdout).unwrap()
    }

    /// A local repository `directory` with `count` commits, pushed to `url`.
    pub(crate) async fn push_some(&self, directory: &str, url: &str, count: u32) {
        self.git_ok(directory, None, &["init", "--quiet"]).await;
        for number in 0..count {
            let text = format!("{number}\n").repeat(1000);
            base::file::write_atomic(&self.dir.path().join(directory).join("file"), text.as_bytes(), 0o644).unwrap();
            self.git_ok(directory, None, &["add", "file"]).await;
            self.git_ok(directory, None, &["commit", "--quiet", "--message", &number.to_string()]).await;
        }
        self.git_ok(directory, None, &["push", "--quiet", url, "main"]).await;
    }
}

/// A certificate for `localhost` that is its own authority.
fn issue(directory: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: directory.join("server.pem"), key: directory.join("server.key") };
    base::file::write_atomic(&files.certificate, made.cert.pem().as_bytes(), 0o644).unwrap();
    base::file::write_atomic(&files.key, made.signing_key.serialize_pem().as_bytes(), 0o600).unwrap();
    files
}
