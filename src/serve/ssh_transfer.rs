//! One Git exchange over an SSH channel: permission, the streams, a line for people when it fails, the exit status.
//! Git is killed when the client is gone.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use base::name::RepoPath;
use forge::{Actor, Error, LFS_PASS_SECONDS, LfsCaller, LfsOperation, Protocol, Transport};
use russh::server::Msg;
use russh::{Channel, ChannelWriteHalf};
use tokio::io::AsyncWrite;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::{debug, error, info};

use crate::pace::{paced, within};
use crate::permitted::Permitted;
use crate::request::{chain, milliseconds};
use crate::service::Service;
use crate::ssh_command::Command;
use crate::state::AppState;
use crate::turns::Asker;

/// Standard error (RFC 4254, section 5.2).
const STDERR: u32 = 1;
/// The exit status of every failure, as git-shell gives it.
const FAILED: u32 = 128;

/// Why nothing runs.
pub(crate) enum Refusal {
    /// Another user name than `git`.
    User,
    /// Another program than Git's.
    Program,
    /// The key opens nothing any more, or it could not be found out.
    Key,
    /// No such repository, or none that this user may know of.
    Path,
    /// A shell was asked for; the one case in which the key's owner is greeted.
    Shell {
        /// The user's name.
        name: String,
    },
}

impl Refusal {
    fn text(&self) -> String {
        match self {
            Self::User => "sign in as the user `git`: git@host".into(),
            Self::Program => "only git clone, git fetch, git push, git archive and Git LFS work here".into(),
            Self::Key => "your key or your account is not in use any more".into(),
            Self::Path => "repository not found".into(),
            Self::Shell { name } => format!("hello {name}, your key works; there is no shell here, only git"),
        }
    }
}

/// A channel about to be used.
pub(crate) struct Transfer {
    pub(crate) state: AppState,
    pub(crate) channel: Channel<Msg>,
    pub(crate) protocol: Protocol,
    /// Whose turns it takes.
    pub(crate) from: IpAddr,
    /// Cancelled when the connection is over.
    pub(crate) gone: CancellationToken,
}

impl Transfer {
    /// Runs the command and closes the channel.
    pub(crate) async fn run(self, actor: &Actor, command: &Command) {
        let begun = Instant::now();
        let actor = &actor.clone().coming_from(self.from);
        let (path, service) = match command {
            Command::Git { service, path } => (path, *service),
            Command::LfsPass { path, operation } => return self.give_pass(actor, path, *operation).await,
        };
        let (mut input, output) = self.channel.split();
        let forge = &self.state.forge;
        // Before its turn: whether a repository that is hidden is busy is nothing to be told of.
        let permitted = match Permitted::begin(forge, actor, path, service).await {
            Ok(permitted) => permitted,
            Err(error) => {
                self.state.doors.metrics.transfer(service.name(), "ssh", false);
                return finish(&output, FAILED, Some(&told(&error))).await;
            }
        };
        let asker = Asker { user: actor.user().map(|user| user.id), from: self.from, repository: path };
        let turn = tokio::select! {
            turn = self.state.doors.transfers.turn(&asker) => turn,
            () = self.gone.cancelled() => return,
        };
        let turn = match turn {
            Ok(turn) => turn,
            Err(why) => return finish(&output, FAILED, Some(&why.text())).await,
        };
        let writer = Output::new(output.make_writer(), self.gone.clone());
        let limits = forge.settings().transfers;
        let (reader, writer) = paced(limits, input.make_reader(), writer);
        let run = Box::pin(within(limits, permitted.run(Transport::Ssh, self.protocol, reader, writer)));
        let result = if service == Service::ReceivePack {
            // A push is not cut down from here: once its pack has come whole it ends by itself, with the refs moved
            // or not. Before that, the end of its input ends it.
            run.await
        } else {
            tokio::select! {
                result = run => result,
                () = self.gone.cancelled() => Err(Error::Transfer(io::ErrorKind::ConnectionAborted.into())),
            }
        };
        drop(turn);
        let (service, duration_ms) = (service.name(), milliseconds(begun.elapsed()));
        self.state.doors.metrics.transfer(service, "ssh", result.is_ok());
        let user = actor.user().map(|user| user.id);
        info!(user.id = user, service, is_ok = result.is_ok(), duration_ms, "SSH command ended");
        match result {
            Ok(()) => finish(&output, 0, None).await,
            Err(error) => finish(&output, FAILED, Some(&told(&error))).await,
        }
    }

    /// Answers `git-lfs-authenticate`: where Git LFS is to be had over HTTP, and a pass for it.
    async fn give_pass(self, actor: &Actor, path: &RepoPath, operation: LfsOperation) {
        let forge = &self.state.forge;
        let (_, output) = self.channel.split();
        let given = async {
            let pass = forge.lfs_pass(actor, path, operation).await?;
            let repo = forge.lfs_read(&LfsCaller::from(actor.clone()), path).await?;
            Ok::<_, Error>(serde_json::json!({
                "href": forge.lfs_url(&repo),
                "header": { "Authorization": format!("Bearer {}", pass.expose()) },
                "expires_in": LFS_PASS_SECONDS,
            }))
        };
        match given.await {
            Ok(answer) => {
                let sent = output.data_bytes(format!("{answer}\n").into_bytes()).await;
                finish(&output, if sent.is_ok() { 0 } else { FAILED }, None).await;
            }
            Err(error) => finish(&output, FAILED, Some(&told(&error))).await,
        }
    }

    /// Says why nothing runs and closes the channel.
    pub(crate) async fn refuse(self, refusal: &Refusal) {
        let (_, output) = self.channel.split();
        finish(&output, FAILED, Some(&refusal.text())).await;
    }
}

/// What the user reads; faults of ours are logged and told without detail.
fn told(failed: &Error) -> String {
    match failed {
        Error::NotFound | Error::SignInNeeded | Error::Name(_) => "repository not found".into(),
        Error::Away(_) => {
            error!(error = chain(failed), "a Git transfer failed");
            failed.to_string()
        }
        Error::Store(_) | Error::Git(_) | Error::Vault(_) | Error::File(_) => {
            error!(error = chain(failed), "a Git transfer failed");
            "internal error".into()
        }
        other => {
            debug!(error = chain(other), "a Git transfer was refused or ended early");
            other.to_string()
        }
    }
}

/// Line, exit status, end. A client that is gone hears nothing of it, and that is no error.
async fn finish(output: &ChannelWriteHalf<Msg>, status: u32, line: Option<&str>) {
    let told = async {
        if let Some(line) = line {
            output.extended_data_bytes(STDERR, format!("gitgrit: {line}\r\n").into_bytes()).await?;
        }
        output.exit_status(status).await?;
        output.eof().await?;
        output.close().await
    };
    if let Err(error) = told.await {
        debug!(error = chain(&error), "an SSH client was gone before the end");
    }
}

/// The channel's standard output: stays open when the transfer is done with it, as the exit status follows, and fails
/// once the client is gone, also when it waits for the client's window.
struct Output<W> {
    writer: W,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<W> Output<W> {
    fn new(writer: W, gone: CancellationToken) -> Self {
        Self { writer, gone: Box::pin(gone.cancelled_owned()) }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Output<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gone.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        pin!(&mut self.writer).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
