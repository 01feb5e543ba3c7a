//! One installation of one test: made by the real `install`, served by the real `serve`, stopped when dropped.
//! Nothing here reaches into the database; what a test needs it makes through the doors that a person uses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base::process::{Finished, Program};
use base::site::SiteDir;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::git::Git;
use crate::ssh::Key;
use crate::visitor::Visitor;

/// The administrator's name.
pub(crate) const ADMIN: &str = "olga";

/// A password that the site's rules accept, for everybody in a test.
pub(crate) const PASSWORD: &str = "correct horse battery staple 42";

/// Where a PostgreSQL server's socket is, and a Redis, that every site of this run shall use, each its own database.
const SOCKET: &str = "GITGRIT_TEST_POSTGRES";
const REDIS: &str = "GITGRIT_TEST_REDIS";

/// What the running server writes into its lock.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Serving {
    /// The server's process id.
    pub(crate) pid: i32,
    /// Where it answers HTTP or HTTPS.
    pub(crate) http: SocketAddr,
    /// Where it answers SSH.
    pub(crate) ssh: SocketAddr,
}

/// A running site in a directory of its own.
pub(crate) struct Site {
    ground: Ground,
    serving: Serving,
}

/// A directory in which an installation may happen, and how to run the program there.
pub(crate) struct Ground {
    home: TempDir,
}

impl Ground {
    /// An empty home with the administrator's password file.
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-it-").tempdir().unwrap();
        base::file::write_atomic(&home.path().join("password"), PASSWORD.as_bytes(), 0o600).unwrap();
        Self { home }
    }

    /// The directory that holds everything of this test.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the site is, or will be.
    pub(crate) fn site(&self) -> SiteDir {
        SiteDir::new(self.home.path().join("gitgrit-site"))
    }

    /// The program with a cleared environment, ready for its verb.
    pub(crate) fn program(&self) -> Program {
        program(self.home.path())
    }

    /// `install --embedded` with everything that a test wants of it.
    pub(crate) fn install(&self) -> Program {
        self.install_at("127.0.0.1:0", "127.0.0.1:0")
    }

    fn install_at(&self, http: &str, ssh: &str) -> Program {
        self.program()
            .options(["install", "--embedded"])
            .option(self.site().root())
            .options(["--lab", "--yes", "--http", http, "--ssh", ssh])
            .options(["--admin", ADMIN, "--admin-password-file"])
            .option(self.home.path().join("password"))
            .deadline(Duration::from_mins(3))
    }

    fn finished(self, install: Program) -> Site {
        let done = install.run(b"").unwrap();
        assert!(done.status.success(), "install failed ({})\n{}{}", done.status, out(&done), done.stderr);
        self.into_site()
    }

    /// What the server of this ground says about itself, when one runs.
    pub(crate) fn serving(&self) -> Option<Serving> {
        serving(&self.site())
    }

    /// Takes over the site that was installed here.
    pub(crate) fn into_site(self) -> Site {
        let serving = self.serving().expect("no server holds state/serve.lock");
        Site { ground: self, serving }
    }
}

impl Site {
    /// Installs a site and waits until it serves. On its own file, or on the servers that `scripts/test` has started.
    pub(crate) fn start() -> Self {
        match std::env::var_os(SOCKET) {
            Some(socket) => Self::start_on_shared(Path::new(&socket)),
            None => Self::start_on_file(),
        }
    }

    /// Installs a site whose data is in its own file, wherever that of others is.
    pub(crate) fn start_on_file() -> Self {
        let ground = Ground::new();
        let install = ground.install();
        ground.finished(install)
    }

    /// Installs a site into settings that name a database on a server, and a Redis.
    pub(crate) fn start_on(database: &str, redis: Option<&str>) -> Self {
        Self::start_at(Ground::new(), database, redis)
    }

    fn start_on_shared(socket: &Path) -> Self {
        let ground = Ground::new();
        let name = ground.home().file_name().unwrap().to_str().unwrap().to_owned();
        let database = crate::postgres::make_database(socket, crate::postgres::PORT, &name);
        Self::start_at(ground, &database, std::env::var(REDIS).ok().as_deref())
    }

    fn start_at(ground: Ground, database: &str, redis: Option<&str>) -> Self {
        let (http, ssh) = (crate::require::free_port(), crate::require::free_port());
        let redis = redis.map(|url| format!("REDIS_URL={url}\n")).unwrap_or_default();
        let settings = format!("SITE_URL=https://localhost:{http}\nSSH_PORT={ssh}\nDATABASE_URL={database}\n{redis}");
        base::file::create_dir(ground.site().root(), 0o700).unwrap();
        base::file::write_atomic(&ground.site().env(), settings.as_bytes(), 0o600).unwrap();
        let install = ground.install_at(&format!("127.0.0.1:{http}"), &format!("127.0.0.1:{ssh}"));
        ground.finished(install)
    }

    /// The same site, whose server was started again.
    pub(crate) fn again(mut self) -> Self {
        self.refresh();
        self
    }

    /// The site's directory.
    pub(crate) fn dir(&self) -> SiteDir {
        self.ground.site()
    }

    /// The socket of the server that this run's sites share, and the site's database there; `None` on a file.
    pub(crate) fn shared_database(&self) -> Option<(PathBuf, String)> {
        let socket = std::env::var_os(SOCKET)?;
        Some((socket.into(), self.home().file_name().unwrap().to_str().unwrap().to_owned()))
    }

    /// The directory around the site, for a test's own files.
    pub(crate) fn home(&self) -> &Path {
        self.ground.home()
    }

    /// The server's process and addresses.
    pub(crate) fn serving(&self) -> &Serving {
        &self.serving
    }

    /// The address that a browser opens, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        let settings = base::envfile::read(&self.dir().env()).unwrap();
        settings.get("SITE_URL").expect("SITE_URL").to_owned()
    }

    /// The certificate authority that clients are to trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir().ca_certificate()
    }

    /// The program, ready for a verb, in this site's home.
    pub(crate) fn program(&self) -> Program {
        self.ground.program()
    }

    /// Somebody without an account.
    pub(crate) fn anonymous(&self) -> Visitor {
        Visitor::new(&self.url(), &self.ca_file())
    }

    /// Signs in as a person does.
    pub(crate) fn sign_in(&self, name: &str, password: &str) -> Visitor {
        let visitor = self.anonymous();
        let answer = visitor.submit("/sign-in", "password", &[("name", name), ("password", password)]);
        assert!(answer.status < 400, "{name} could not sign in: {} {}", answer.status, answer.text());
        visitor
    }

    /// The administrator, signed in.
    pub(crate) fn admin(&self) -> Visitor {
        self.sign_in(ADMIN, PASSWORD)
    }

    /// Has the administrator send the form of the page at `page` whose address ends so.
    pub(crate) fn admin_submits(&self, page: &str, end: &str) {
        let admin = self.admin();
        let form = crate::html::forms(&admin.get(page).text()).into_iter().find(|form| form.action.ends_with(end));
        let answer = admin.submit_form(page, form.expect("the form is on the page"), &[]);
        assert!(answer.status < 400, "{}: {}", answer.status, answer.text());
    }

    /// Has the administrator make an account, and signs it in.
    pub(crate) fn user(&self, name: &str) -> Visitor {
        self.admin().make_user(name, PASSWORD);
        self.sign_in(name, PASSWORD)
    }

    /// A git client that trusts this site and knows nobody.
    pub(crate) fn git(&self) -> Git {
        Git::new().trusting(&self.ca_file())
    }

    /// The clone address over HTTPS.
    pub(crate) fn https(&self, path: &str) -> String {
        format!("{}/{path}.git", self.url())
    }

    /// The clone address over SSH.
    pub(crate) fn ssh(&self, path: &str) -> String {
        format!("ssh://git@{}/{path}.git", self.serving.ssh)
    }

    /// A git client that speaks SSH with `key` and knows this site's host key.
    pub(crate) fn git_with_key(&self, key: &Key) -> Git {
        self.git().with_ssh(&key.command(&self.known_hosts()))
    }

    /// A `known_hosts` file with this site's host keys, read from the site itself and not from the wire.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        crate::ssh::known_hosts(&self.dir().ssh(), self.serving.ssh, self.ground.home())
    }

    /// Stops the server with SIGTERM and waits for its end. Starting again is the test's own doing.
    pub(crate) fn stop(&self) {
        assert!(stop(self.serving.pid), "the server did not end when it was asked to:\n{}", self.log());
    }

    /// Says whether a server holds this site now.
    pub(crate) fn is_serving(&self) -> bool {
        self.ground.serving().is_some()
    }

    /// Reads the server's addresses again, after a restart.
    pub(crate) fn refresh(&mut self) {
        self.serving = serving(&self.dir()).expect("no server holds state/serve.lock");
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir().serve_log()).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- server log ---\n{}", self.log());
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The server may have been started again since the test last looked.
        if let Some(serving) = self.serving() {
            stop(serving.pid);
        }
    }
}

/// The binary under test: `GITGRIT_TEST_BINARY`, else the one that cargo built for this run.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("GITGRIT_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_gitgrit-ops").into(), PathBuf::from)
}

/// Standard output as text.
pub(crate) fn out(done: &Finished) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn program(home: &Path) -> Program {
    let binary = binary();
    Program::new(binary.to_str().unwrap()).env("HOME", home).env("TMPDIR", home).directory(home)
}

/// The lock comes first: what a killed server noted may still be there when the next one has taken it.
fn serving(site: &SiteDir) -> Option<Serving> {
    let path = site.serve_lock();
    if !base::file::Lock::is_held(&path) {
        return None;
    }
    let serving: Serving = serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok()?;
    Pid::from_raw(serving.pid).is_some_and(is_running).then_some(serving)
}

/// Ends one server by its id: politely, and for good when it takes longer than it gives its clients. Says whether it went
/// by itself.
fn stop(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return true };
    let _ = kill_process(pid, Signal::TERM);
    let deadline = Instant::now() + Duration::from_mins(1);
    while is_running(pid) {
        if Instant::now() > deadline {
            let _ = kill_process(pid, Signal::KILL);
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A process that ended but was not collected by its parent counts as ended.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let is_zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    test_kill_process(pid).is_ok() && !is_zombie
}
