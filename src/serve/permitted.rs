//! What the forge let through for a Git client, whichever door it came by. The right is proven here, before anything else
//! is spent on the client.

use base::name::RepoPath;
use forge::{Actor, Error, Forge, Protocol, Push, Transport, Upload};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::service::Service;

/// A permitted exchange.
pub(crate) enum Permitted {
    /// Clone and fetch.
    Upload(Upload),
    /// Push.
    Push(Push),
    /// `git archive --remote`.
    Archive(Upload),
}

impl Permitted {
    /// Asks for the right that the program needs.
    pub(crate) async fn begin(forge: &Forge, actor: &Actor, path: &RepoPath, service: Service) -> Result<Self, Error> {
        Ok(match service {
            Service::UploadPack => Self::Upload(forge.begin_upload(actor, path).await?),
            Service::ReceivePack => Self::Push(forge.begin_push(actor, path).await?),
            Service::UploadArchive => Self::Archive(forge.begin_upload(actor, path).await?),
        })
    }

    /// HTTP only: writes the body of `info/refs`.
    pub(crate) async fn advertise(
        self,
        protocol: Protocol,
        output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        match self {
            Self::Upload(upload) | Self::Archive(upload) => upload.advertise(protocol, output).await,
            Self::Push(push) => push.advertise(output).await,
        }
    }

    /// Runs the exchange to its end.
    pub(crate) async fn run(
        self,
        transport: Transport,
        protocol: Protocol,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        match self {
            Self::Upload(upload) => upload.run(transport, protocol, input, output).await,
            Self::Push(push) => push.run(transport, input, output).await,
            Self::Archive(upload) => upload.archive(transport, input, output).await,
        }
    }
}
