//! Clone and fetch: permission first, then Git's own upload-pack with both streams passed through.
//! Looks at their first bytes alone, to know what to put on record, and changes none.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use base::name::RepoPath;

use crate::{Actor, Error, Forge, RepoRead};

/// How a request of protocol version 2 begins that asks for nothing but refs, gitprotocol-v2(5).
const LIST_REFS: &[u8] = b"0014command=ls-refs\n";

/// How a Git client talks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Smart HTTP: the advertisement is a request of its own, each exchange another.
    Http,
    /// SSH: one connection, both ways.
    Ssh,
}

/// What the client said of protocol versions (`GIT_PROTOCOL`), parsed: only `version=0`, `1` and `2` are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Nothing, or version 0.
    #[default]
    V0,
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

impl Protocol {
    /// Reads a `Git-Protocol` header or `GIT_PROTOCOL` variable; what is not known is version 0.
    pub fn parse(text: &str) -> Self {
        let has = |wanted: &str| text.split(':').any(|part| part == wanted);
        if has("version=2") {
            Self::V2
        } else if has("version=1") {
            Self::V1
        } else {
            Self::V0
        }
    }
}

/// A permitted clone or fetch. Got from [`Forge::begin_upload`] alone.
pub struct Upload {
    pub(crate) repo: RepoRead,
    pub(crate) forge: Forge,
}

impl Forge {
    /// Permission to read `path` for a Git client. `NotFound` for hidden and absent alike; an anonymous actor gets
    /// `SignInNeeded` in both of these cases, so that the client asks for credentials.
    pub async fn begin_upload(&self, actor: &Actor, path: &RepoPath) -> Result<Upload, Error> {
        match self.repo(actor, path).await {
            Ok(repo) => Ok(Upload { repo, forge: self.clone() }),
            Err(Error::NotFound) if actor.is_anonymous() => Err(Error::SignInNeeded),
            Err(error) => Err(error),
        }
    }
}

impl Upload {
    /// HTTP only: writes the body of `info/refs?service=git-upload-pack`, service line included.
    pub async fn advertise(self, protocol: Protocol, mut output: impl AsyncWrite + Unpin + Send) -> Result<(), Error> {
        let repo = self.forge.0.repositories.repo(self.repo.id)?;
        Ok(git::upload::advertise(&repo, protocol.into(), &mut output).await?)
    }

    /// Runs the exchange. Kills Git when `output` is gone, on the deadline, or when dropped.
    pub async fn run(
        self,
        transport: Transport,
        protocol: Protocol,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        let repo = self.forge.0.repositories.repo(self.repo.id)?;
        if transport == Transport::Ssh {
            self.tell(transport);
        }
        let input = Watched { input, seen: Some(Vec::new()), upload: &self, transport };
        Ok(git::upload::run(&repo, transport.into(), protocol.into(), input, output).await?)
    }
}

impl Upload {
    /// Runs one `git archive --remote`. Only what refs lead to is handed out.
    pub async fn archive(
        self,
        transport: Transport,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        let repo = self.forge.0.repositories.repo(self.repo.id)?;
        self.tell(transport);
        Ok(git::upload::archive(&repo, input, output).await?)
    }

    fn tell(&self, transport: Transport) {
        self.forge.tell_fetched(&self.repo, if transport == Transport::Ssh { "ssh" } else { "http" });
    }
}

/// What the client sends, passed through. Over HTTP its beginning says whether it asks for objects or for the list of
/// refs alone, which every fetch asks for first; over SSH both are one exchange.
struct Watched<'u, R> {
    input: R,
    /// What has passed, until it says enough.
    seen: Option<Vec<u8>>,
    upload: &'u Upload,
    transport: Transport,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<'_, R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.input).poll_read(context, buffer);
        if this.transport == Transport::Http
            && matches!(polled, Poll::Ready(Ok(())))
            && let Some(seen) = &mut this.seen
        {
            let fresh = buffer.filled().get(before..).unwrap_or_default();
            let room = LIST_REFS.len().saturating_sub(seen.len());
            seen.extend(fresh.iter().take(room));
            if !LIST_REFS.starts_with(seen) {
                // Ahead of the objects, so that a transfer that is cut short is told of as well.
                this.upload.tell(this.transport);
                this.seen = None;
            } else if seen.len() == LIST_REFS.len() {
                this.seen = None;
            }
        }
        polled
    }
}

impl From<Transport> for git::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Http => Self::Http,
            Transport::Ssh => Self::Ssh,
        }
    }
}

impl From<Protocol> for git::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::V0 => Self::V0,
            Protocol::V1 => Self::V1,
            Protocol::V2 => Self::V2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protocol;

    #[test]
    fn only_known_protocol_versions_are_heard() {
        for (text, expected) in [
            ("", Protocol::V0),
            ("version=2", Protocol::V2),
            ("foo:version=1", Protocol::V1),
            ("version=1:version=2", Protocol::V2),
            ("version=22", Protocol::V0),
            ("version=2\n--x", Protocol::V0),
        ] {
            assert_eq!(Protocol::parse(text), expected, "{text:?}");
        }
    }
}
