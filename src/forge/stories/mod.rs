//! Stories of a site in a scratch directory, told through the forge's own face, with real Git beneath.

mod access;
mod accounts;
mod audit;
mod comparing;
mod corpora;
mod editing;
mod jobs;
mod leaving;
mod lfs;
mod live;
mod opening;
mod organisations;
mod pushing;
mod repositories;
mod revoked;
mod rules;
mod second_factor;
mod second_factor_keys;

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use base::Secret;
use base::clock::{FixedClock, Timestamp};
use base::envfile::Values;
use base::name::RepoPath;
use base::process::Program;
use base::settings::Settings;
use vault::fernet::Key;

use crate::server_for_tests::Server;
use crate::{Actor, Forge, NewRepo, NewToken, NewUser, OpenError, Options, RepoSummary, Scopes, Visibility};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const PASSWORD: &str = "correct horse battery";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.into())
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse_joined(text).unwrap()
}

fn settings(key: &Secret<String>) -> Settings {
    let values: Values = [
        ("SITE_URL", "https://forge.acme.internal:8828"),
        ("SECRET_KEY", "s"),
        ("GITGRIT_ENCRYPTION_KEY", key.expose().as_str()),
    ]
    .into_iter()
    .collect();
    Settings::parse(&values).unwrap()
}

thread_local! {
    /// The server on which new sites of this thread have their databases; none, for a file.
    static SERVER: RefCell<Option<Rc<Server>>> = const { RefCell::new(None) };
}

/// Tells the stories of a module again, with every site's database on one server. A directory remembers where its
/// site's database is, for whoever opens it again, as another process does.
macro_rules! on_a_server_too {
    ($($name:ident,)*) => {
        #[test]
        fn all_of_this_holds_on_a_server_too() {
            crate::stories::on_server(&[$((stringify!($name), $name as fn())),*]);
        }
    };
}
use on_a_server_too;

fn on_server(stories: &[(&str, fn())]) {
    let Some(server) = Server::start() else { return };
    SERVER.set(Some(Rc::new(server)));
    for (name, story) in stories {
        eprintln!("on the server: {name}");
        story();
    }
    SERVER.set(None);
}

/// Has the site that will be opened in `directory` keep its database on the thread's server, when there is one.
fn place(directory: &Path) {
    let name = directory.file_name().unwrap().to_str().unwrap();
    if let Some(url) = SERVER.with_borrow(|server| server.as_ref().map(|server| server.database(name))) {
        base::file::write_atomic(&directory.join("url"), url.as_bytes(), 0o600).unwrap();
    }
}

async fn open(directory: &Path, key: &Secret<String>, clock: &Arc<FixedClock>) -> Result<Forge, OpenError> {
    let mut settings = settings(key);
    settings.database_url = std::fs::read_to_string(directory.join("url")).ok().map(Secret::new);
    let options = Options {
        settings,
        database: directory.join("db"),
        repositories: directory.join("repositories"),
        clock: Arc::clone(clock) as Arc<_>,
    };
    Forge::open(options).await
}

/// A site with one administrator, `root`.
struct Site {
    forge: Forge,
    clock: Arc<FixedClock>,
    key: Secret<String>,
    directory: tempfile::TempDir,
}

impl Site {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        place(directory.path());
        let clock = Arc::new(FixedClock::new(Timestamp(1_700_000_000_000_000)));
        let key = Key::generate();
        let forge = open(directory.path(), &key, &clock).await.unwrap();
        assert!(forge.ensure_administrator("root", &secret(PASSWORD)).await.unwrap());
        Self { forge, clock, key, directory }
    }

    async fn sign_in(&self, name: &str) -> Actor {
        let signed_in = self.forge.sign_in(name, &secret(PASSWORD), HOME).await.unwrap();
        self.forge.session(&signed_in.token).await.unwrap().unwrap().actor
    }

    /// Makes the user and signs in.
    async fn user(&self, name: &str) -> Actor {
        let root = self.sign_in("root").await;
        let new = NewUser { name: name.into(), full_name: String::new(), password: secret(PASSWORD), is_admin: false };
        self.forge.create_user(&root, new).await.unwrap();
        self.sign_in(name).await
    }

    async fn repo(&self, actor: &Actor, name: &str, visibility: Visibility) -> RepoSummary {
        let new = NewRepo { name: name.into(), description: String::new(), visibility };
        self.forge.create_repo(actor, new).await.unwrap()
    }

    async fn token(&self, actor: &Actor, can_write: bool, days: Option<u32>) -> Secret<String> {
        let scopes = Scopes::parse(if can_write { "write:repository" } else { "read:repository" }).unwrap();
        let new = NewToken { name: "ci".into(), scopes, repositories: None, days };
        self.forge.create_token(actor, new).await.unwrap().1
    }

    /// The actor whom a token makes of its user.
    async fn by_token(&self, actor: &Actor, scopes: &str, repositories: &[&str]) -> Actor {
        let repositories = (!repositories.is_empty()).then(|| repositories.iter().map(|text| path(text)).collect());
        let new = NewToken { name: "t".into(), scopes: Scopes::parse(scopes).unwrap(), repositories, days: None };
        let (_, secret) = self.forge.create_token(actor, new).await.unwrap();
        self.forge.basic("x", &secret, HOME).await.unwrap()
    }
}

/// A work tree with real commits.
struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        let work = Self(tempfile::tempdir().unwrap());
        work.git(&["init", "--quiet", "--initial-branch=main", "."], b"");
        work
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut program = Program::new("git").directory(self.0.path()).options(arguments.iter());
        for (name, value) in [
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Alice"),
            ("GIT_AUTHOR_EMAIL", "alice@example.internal"),
            ("GIT_COMMITTER_NAME", "Alice"),
            ("GIT_COMMITTER_EMAIL", "alice@example.internal"),
        ] {
            program = program.env(name, value);
        }
        let done = program.run(input).unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", done.stderr);
        done.stdout
    }

    /// Commits a file and gives the commit's id.
    fn commit(&self, file: &str, content: &[u8]) -> String {
        base::file::write_atomic(&self.0.path().join(file), content, 0o644).unwrap();
        self.git(&["add", "--all"], b"");
        self.git(&["commit", "--quiet", "--message=Add a file"], b"");
        String::from_utf8(self.git(&["rev-parse", "HEAD"], b"")).unwrap().trim().to_owned()
    }

    /// What a client sends to receive-pack: commands, and a pack with everything that HEAD reaches.
    fn push_body(&self, commands: &[(&str, &str, &str)], capabilities: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for (number, (old, new, name)) in commands.iter().enumerate() {
            let first = if number == 0 { format!("\0report-status {capabilities}") } else { String::new() };
            let line = format!("{old} {new} {name}{first}");
            body.extend(format!("{:04x}{line}", line.len() + 4).as_bytes());
        }
        body.extend(b"0000");
        if commands.iter().any(|(_, new, _)| *new != ZERO) {
            body.extend(self.git(&["pack-objects", "--quiet", "--revs", "--stdout"], b"HEAD\n"));
        }
        body
    }
}

const ZERO: &str = "0000000000000000000000000000000000000000";
