//! What this room's tests share: a site of one repository behind git's own daemon protocol on a loopback port, and a
//! real client with an environment of its own. Never part of the program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base::name::RefName;
use base::process::{Finished, Program};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::pktline::{self, Packet};
use crate::receive::{Limits, Quarantine, RefUpdate, Reply, Request, Source, advertise, move_refs};
use crate::{Error, Protocol, Repo, Repositories, Transport, environment, upload};

/// What judges a push in a test: sees each update and whether it is a fast-forward; `Some` refuses it.
pub(crate) type Judge = Box<dyn Fn(&RefUpdate, bool) -> Option<&'static str> + Send + Sync>;

pub(crate) struct Site {
    runtime: Runtime,
    address: SocketAddr,
    directory: tempfile::TempDir,
    pub(crate) repositories: Repositories,
    pub(crate) repo: Repo,
    judge: Arc<Mutex<Option<Judge>>>,
}

impl Site {
    /// One empty repository with id 300, default branch `main`.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let repositories = Repositories::open(&directory.path().join("repositories")).unwrap();
        let main = RefName::branch("main").unwrap();
        let repo = runtime.block_on(repositories.create(300, &main)).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let judge: Arc<Mutex<Option<Judge>>> = Arc::default();
        runtime.spawn(accept(listener, repo.clone(), Arc::clone(&judge)));
        Self { runtime, address, directory, repositories, repo, judge }
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("git://{}/repository", self.address)
    }

    pub(crate) fn judge(&self, judge: impl Fn(&RefUpdate, bool) -> Option<&'static str> + Send + Sync + 'static) {
        *self.judge.lock().unwrap() = Some(Box::new(judge));
    }

    /// A work tree whose `origin` is the site, on branch `main`, with nothing in it.
    pub(crate) fn work_tree(&self, name: &str) -> WorkTree {
        let directory = self.directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        let tree = WorkTree { directory };
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree.git(&["remote", "add", "origin", &self.url()]);
        tree
    }

    /// Runs git on the server's own repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(client().options(arguments).env("GIT_DIR", self.repo.path()), b"")
    }

    /// What lies in the repository's object directory that does not belong there.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let objects = std::fs::read_dir(self.repo.path().join("objects")).unwrap();
        let names = objects.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "info" && name != "pack").collect()
    }

    /// Packs in the repository.
    pub(crate) fn packs(&self) -> usize {
        let files = std::fs::read_dir(self.repo.path().join("objects/pack")).unwrap();
        files
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "pack"))
            .count()
    }

    /// Sends these bytes as a whole push; gives what was answered, with the pkt-line framing in it.
    pub(crate) fn raw_push(&self, bytes: &[u8]) -> Result<String, Error> {
        let mut output = Vec::new();
        self.block_on(push(&self.repo, bytes, &mut output, None))?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }
}

pub(crate) struct WorkTree {
    pub(crate) directory: PathBuf,
}

impl WorkTree {
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(client().options(arguments).directory(&self.directory), b"").trim_end().to_owned()
    }

    pub(crate) fn git_with(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let done = client().options(arguments).directory(&self.directory).run(input).unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", done.stderr);
        done.stdout
    }

    /// Runs git that may fail; gives what it said on standard error.
    pub(crate) fn tries(&self, arguments: &[&str]) -> Finished {
        client().options(arguments).directory(&self.directory).run(b"").unwrap()
    }

    /// Writes a file and commits it; gives the commit.
    pub(crate) fn commit(&self, file: &str, content: &[u8]) -> String {
        let path = self.directory.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        base::file::write_atomic(&path, content, 0o644).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", &format!("change {file}\n\nbody of {file}\n")]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A pack of everything that `HEAD` needs.
    pub(crate) fn pack(&self) -> Vec<u8> {
        self.git_with(&["pack-objects", "--revs", "--stdout", "--quiet"], b"HEAD\n")
    }
}

/// A client's git that knows nothing of this host.
pub(crate) fn client() -> Program {
    environment::hermetic([
        ("user.name", "Ann Author"),
        ("user.email", "ann@example.invalid"),
        ("gc.auto", "0"),
        ("safe.directory", "*"),
        ("protocol.version", "2"),
    ])
    .env("GIT_AUTHOR_DATE", "1700000000 +0000")
    .env("GIT_COMMITTER_DATE", "1700000000 +0000")
}

fn run(program: Program, input: &[u8]) -> String {
    let done = program.run(input).unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    String::from_utf8(done.stdout).unwrap()
}

async fn accept(listener: TcpListener, repo: Repo, judge: Arc<Mutex<Option<Judge>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (repo, judge) = (repo.clone(), Arc::clone(&judge));
        tokio::spawn(async move {
            let _ = serve(stream, &repo, &judge).await;
        });
    }
}

/// git-daemon(1): one line names the service, then the protocol runs as it does over SSH.
async fn serve(mut stream: TcpStream, repo: &Repo, judge: &Mutex<Option<Judge>>) -> Result<(), Error> {
    let Packet::Line(line) = pktline::read(&mut stream).await? else { return Ok(()) };
    let (mut input, mut output) = stream.split();
    if line.starts_with(b"git-upload-pack ") {
        let is_v2 = line.windows(9).any(|part| part == b"version=2");
        let protocol = if is_v2 { Protocol::V2 } else { Protocol::V0 };
        return upload::run(repo, Transport::Ssh, protocol, input, output).await;
    }
    advertise(repo, Transport::Ssh, &mut output).await?;
    push(repo, &mut input, &mut output, Some(judge)).await
}

/// The whole order of a push, as the forge runs it.
pub(crate) async fn push(
    repo: &Repo,
    mut input: impl tokio::io::AsyncRead + Unpin + Send,
    output: impl tokio::io::AsyncWrite + Unpin + Send,
    judge: Option<&Mutex<Option<Judge>>>,
) -> Result<(), Error> {
    let mut request = Request::read(&mut input).await?;
    if request.is_empty() {
        return Ok(());
    }
    let mut reply = Reply::new(output, &request);
    let limits = Limits { source: Source::Client(1), pack_bytes: 1 << 20, room: None, least_free: 0 };
    let quarantine = Quarantine::take_in(repo, &mut request, input, &mut reply, limits).await?;
    for update in request.updates() {
        let is_forward = quarantine.is_fast_forward(&update).await?;
        let refusal =
            judge.and_then(|judge| judge.lock().unwrap().as_ref().and_then(|judge| judge(&update, is_forward)));
        if let Some(reason) = refusal {
            request.refuse(&update.name, reason);
        }
    }
    if !request.updates().is_empty() {
        quarantine.migrate().await?;
        move_refs(repo, &mut request).await?;
    }
    reply.say("judged by a test").await?;
    reply.finish(&request).await
}
