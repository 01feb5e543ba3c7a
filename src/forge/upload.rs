//! Clone and fetch: permission first, then Git's own upload-pack with both streams passed through.
//! Looks at no byte of them.

use tokio::io::{AsyncRead, AsyncWrite};

use base::name::RepoPath;

use crate::{Actor, Error, Forge, RepoRead};

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
            Err(Error::NotFound) if actor.user().is_none() => Err(Error::SignInNeeded),
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
        Ok(git::upload::run(&repo, transport.into(), protocol.into(), input, output).await?)
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
