//! Clone and fetch: git's own upload-pack with both streams passed through.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Error, Repo};

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

/// HTTP only: writes the body of `info/refs?service=git-upload-pack`, service line included.
pub async fn advertise(
    repo: &Repo,
    protocol: Protocol,
    output: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<(), Error> {
    let _ = (repo, protocol, output);
    todo!("skeleton")
}

/// Runs one exchange to its end. Git's process group is killed when a stream fails, when nothing moves for ten
/// minutes, and when the future is dropped. Waits for a free place when too many run.
pub async fn run(
    repo: &Repo,
    transport: Transport,
    protocol: Protocol,
    input: impl AsyncRead + Unpin + Send,
    output: impl AsyncWrite + Unpin + Send,
) -> Result<(), Error> {
    let _ = (repo, transport, protocol, input, output);
    todo!("skeleton")
}
