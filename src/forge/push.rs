//! The push gate: sees ref changes while their objects are still in quarantine and says yes or no.
//! Nothing here may move a ref before every rule has passed.

use tokio::io::{AsyncRead, AsyncWrite};

use base::name::RepoPath;

use crate::upload::Transport;
use crate::{Actor, Error, Forge, RepoWrite};

/// A permitted push. Got from [`Forge::begin_push`] alone.
pub struct Push {
    pub(crate) repo: RepoWrite,
    pub(crate) forge: Forge,
    pub(crate) actor: Actor,
}

impl Forge {
    /// Permission to push to `path`. `SignInNeeded` for an anonymous actor, `NotFound` for hidden and absent alike,
    /// `Denied` for who may read but not push (a read-only token, say).
    pub async fn begin_push(&self, actor: &Actor, path: &RepoPath) -> Result<Push, Error> {
        let _ = (actor, path);
        todo!("skeleton")
    }
}

impl Push {
    /// HTTP only: writes the body of `info/refs?service=git-receive-pack`, service line included.
    pub async fn advertise(self, output: impl AsyncWrite + Unpin + Send) -> Result<(), Error> {
        let _ = (output, self.repo, self.forge, self.actor);
        todo!("skeleton")
    }

    /// Reads commands and pack, judges them in quarantine, moves refs, reports. Over SSH the advertisement comes first.
    /// A refusal of the push is part of the report, not an error here.
    pub async fn run(
        self,
        transport: Transport,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        let _ = (transport, input, output);
        todo!("skeleton")
    }
}
