//! Clone and fetch, and archives for Git clients: git's own upload-pack and upload-archive with both streams passed through.
//! What the client sends never becomes an argument.

use std::io;
use std::time::Duration;

use base::process::Program;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::child::{Broken, IDLE, Progress, Running, complaints, copy, one_line};
pub use crate::hear::understood;
use crate::hear::{Heard, hear};
use crate::ls_refs;
use crate::{Error, Repo, environment, gates, pktline};

/// How long the body of an HTTP request may be silent: it was complete at the client before it was sent, and a place
/// is held for it.
const SILENT_BODY: Duration = Duration::from_mins(1);

/// How a Git client talks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Smart HTTP: the advertisement is a request of its own, each exchange another.
    Http,
    /// SSH: one connection, both ways.
    Ssh,
}

/// The protocol version that the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Version 0.
    #[default]
    V0,
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

impl Protocol {
    /// The value of `GIT_PROTOCOL`, git(1).
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::V0 => "version=0",
            Self::V1 => "version=1",
            Self::V2 => "version=2",
        }
    }
}

/// HTTP only: writes the body of `info/refs?service=git-upload-pack`, service line included.
pub async fn advertise(
    repo: &Repo,
    protocol: Protocol,
    output: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<(), Error> {
    let mut head = Vec::new();
    if protocol != Protocol::V2 {
        pktline::put(&mut head, b"# service=git-upload-pack\n");
        pktline::put_flush(&mut head);
    }
    if ls_refs::advertise(repo, protocol, head.clone(), output).await? {
        return Ok(());
    }
    pktline::send(output, &head).await?;
    // Not the place of a short command: this one lasts as long as its client takes to read.
    let _place = gates::enter(&repo.gates().uploads).await?;
    let program = upload_pack(repo, protocol).options(["--stateless-rpc", "--http-backend-info-refs"]);
    drive("upload-pack", program.operands([repo.path()]), (tokio::io::empty(), output), IDLE).await
}

/// Runs one exchange to its end. Git's process group is killed when a stream fails, when nothing moves for ten minutes
/// (one minute while the body of an HTTP request is incomplete), and when the future is dropped. Waits for a free place when too many run.
pub async fn run(
    repo: &Repo,
    transport: Transport,
    protocol: Protocol,
    mut input: impl AsyncRead + Unpin + Send,
    mut output: impl AsyncWrite + Unpin + Send,
) -> Result<(), Error> {
    let mut seen = Vec::new();
    if transport == Transport::Http && protocol == Protocol::V2 {
        let heard = tokio::time::timeout(SILENT_BODY, hear(repo, &mut input)).await;
        match heard.map_err(|_| Error::Transfer(io::ErrorKind::TimedOut.into()))?? {
            Heard::Refs(answer) => return answer.send(&mut output).await,
            Heard::Everything(asked) => {
                let _place = gates::enter(&repo.gates().uploads).await?;
                return asked.send(repo, output).await;
            }
            Heard::Other(read) => seen = read,
        }
    }
    let input = AsyncReadExt::chain(io::Cursor::new(seen), input);
    let _place = gates::enter(&repo.gates().uploads).await?;
    let (program, patience) = match transport {
        Transport::Http => (upload_pack(repo, protocol).option("--stateless-rpc"), SILENT_BODY),
        Transport::Ssh => (upload_pack(repo, protocol), IDLE),
    };
    drive("upload-pack", program.operands([repo.path()]), (input, output), patience).await
}

/// Runs one `git archive --remote` to its end, as [`run`] does. Git itself takes only names of refs, and paths below
/// them: `uploadarchive.allowUnreachable` is off.
pub async fn archive(
    repo: &Repo,
    input: impl AsyncRead + Unpin + Send,
    output: impl AsyncWrite + Unpin + Send,
) -> Result<(), Error> {
    let _place = gates::enter(&repo.gates().archives).await?;
    // It takes one argument and no `--`; the path is absolute.
    let program = environment::in_repository("upload-archive", repo.path()).option(repo.path());
    drive("upload-archive", program, (input, output), SILENT_BODY).await
}

/// The program that tells of refs and packs objects, behind its walls.
pub(crate) fn upload_pack(repo: &Repo, protocol: Protocol) -> Program {
    environment::server("upload-pack")
        .confined(environment::walls("upload-pack", repo.path()))
        .env("GIT_PROTOCOL", protocol.variable())
        .option("--strict")
}

async fn drive(
    command: &'static str,
    program: Program,
    (input, output): (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin + Send),
    patience: Duration,
) -> Result<(), Error> {
    let mut running = Running::start(program)?;
    let (stdin, stdout, stderr) = (running.stdin.take(), running.stdout.take(), running.stderr.take());
    let progress = Progress::default();
    let feed = async {
        let Some(stdin) = stdin else { return Ok(()) };
        let copied = tokio::select! {
            copied = copy(input, stdin, &progress) => copied,
            () = progress.stall(patience) => return Err(Error::Transfer(io::ErrorKind::TimedOut.into())),
        };
        match copied {
            Err(Broken::Source(error)) => Err(Error::Transfer(error)),
            // Git ends when it has heard enough; what it has to say about it is on the other stream.
            Ok(()) | Err(Broken::Target(_)) => Ok(()),
        }
    };
    let drain = async {
        let Some(stdout) = stdout else { return Ok(()) };
        base::process::widen(&stdout);
        copy(stdout, output, &progress)
            .await
            .map_err(|(Broken::Source(error) | Broken::Target(error))| Error::Transfer(error))
    };
    // The client may keep its side open after Git is done, so the answer's end is the end; a lost client ends it too.
    let exchange = async {
        tokio::pin!(drain);
        tokio::select! {
            done = &mut drain => return done,
            fed = feed => fed?,
        }
        drain.await
    };
    let streams = async { tokio::try_join!(exchange, async { Ok(complaints(stderr, &progress).await) }) };
    let ((), said) = tokio::select! {
        done = streams => done?,
        () = progress.stall(IDLE) => return Err(Error::Stalled { command, seconds: IDLE.as_secs() }),
    };
    let status = running.wait().await?;
    match one_line(&said) {
        _ if status.success() => Ok(()),
        // A client that leaves before it asked for anything: nothing of ours is wrong.
        message if message.contains("hung up unexpectedly") => {
            Err(Error::Transfer(io::ErrorKind::UnexpectedEof.into()))
        }
        // A client that asked for what is not there: Git has told it so.
        message if message.contains("sent error to the client") || message.contains("not our ref") => {
            Err(Error::Transfer(io::Error::new(io::ErrorKind::NotFound, message)))
        }
        message => Err(Error::Git { command, message }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::Site;
    use crate::{Error, Protocol, Transport, upload};

    #[test]
    fn the_advertisement_has_its_service_line_unless_version_2_is_spoken() {
        let site = Site::start();
        let advertised = |protocol| {
            let mut output = Vec::new();
            site.block_on(upload::advertise(&site.repo, protocol, &mut output)).unwrap();
            String::from_utf8_lossy(&output).into_owned()
        };
        assert!(advertised(Protocol::V0).starts_with("001e# service=git-upload-pack\n0000"));
        assert!(advertised(Protocol::V2).starts_with("000eversion 2\n"));
        assert!(advertised(Protocol::V2).contains("fetch=shallow wait-for-done filter"));
    }

    #[test]
    fn what_is_no_request_ends_git_and_is_an_error() {
        let site = Site::start();
        let mut output = Vec::new();
        let done = upload::run(&site.repo, Transport::Http, Protocol::V2, &b"zzzz"[..], &mut output);
        assert!(matches!(site.block_on(done), Err(Error::Git { command: "upload-pack", .. })));
    }

    #[test]
    fn a_client_that_leaves_early_is_no_fault_of_git() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main"]);
        let done = upload::run(&site.repo, Transport::Ssh, Protocol::V0, &b""[..], tokio::io::sink());
        assert!(
            matches!(site.block_on(done), Err(Error::Transfer(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof)
        );
    }

    #[test]
    fn what_git_tells_the_client_itself_is_no_fault_of_ours() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main"]);
        let mut output = Vec::new();
        let done = site.block_on(upload::archive(&site.repo, &b"0014argument absent\n0000"[..], &mut output));
        assert!(matches!(done, Err(Error::Transfer(error)) if error.kind() == std::io::ErrorKind::NotFound));
        assert!(String::from_utf8_lossy(&output).contains("absent"), "{}", String::from_utf8_lossy(&output));
    }

    #[test]
    fn a_request_that_never_ends_gives_its_place_back() {
        let site = Site::start();
        let (_held, input) = tokio::io::duplex(16);
        let program = super::upload_pack(&site.repo, Protocol::V2).option("--stateless-rpc");
        let program = program.operands([site.repo.path()]);
        let streams = (input, tokio::io::sink());
        let done = site.block_on(super::drive("upload-pack", program, streams, Duration::from_millis(20)));
        assert!(matches!(done, Err(Error::Transfer(error)) if error.kind() == std::io::ErrorKind::TimedOut));
    }

    #[test]
    fn a_reader_that_is_gone_ends_git() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main"]);
        let (ours, theirs) = tokio::io::duplex(16);
        drop(ours);
        let (_still_open, input) = tokio::io::duplex(16);
        let running = upload::run(&site.repo, Transport::Ssh, Protocol::V0, input, theirs);
        let ended = site.block_on(async { tokio::time::timeout(Duration::from_secs(20), running).await });
        assert!(matches!(ended.unwrap(), Err(Error::Transfer(_))));
    }

    #[test]
    fn more_clones_than_places_wait_and_all_succeed() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", &vec![b'x'; 100_000]);
        tree.git(&["push", "--quiet", "origin", "main"]);
        std::thread::scope(|scope| {
            for number in 0..40 {
                let (site, tree) = (&site, &tree);
                scope.spawn(move || {
                    let place = site.root().join(format!("c{number}")).display().to_string();
                    tree.git(&["clone", "--quiet", "--bare", &site.url(), &place]);
                });
            }
        });
    }
}
