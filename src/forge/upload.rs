//! Clone and fetch: permission first, then Git's own upload-pack with both streams passed through.

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
        let _ = (actor, path);
        todo!("skeleton")
    }
}

impl Upload {
    /// HTTP only: writes the body of `info/refs?service=git-upload-pack`, service line included.
    pub async fn advertise(self, protocol: Protocol, output: impl AsyncWrite + Unpin + Send) -> Result<(), Error> {
        let _ = (protocol, output, self.repo, self.forge);
        todo!("skeleton")
    }

    /// Runs the exchange. Kills Git when `output` is gone, on the deadline, or when dropped.
    pub async fn run(
        self,
        transport: Transport,
        protocol: Protocol,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        let _ = (transport, protocol, input, output);
        todo!("skeleton")
    }
}
