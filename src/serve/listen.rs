//! Accepts connections: a socket, a bound number of them, a deadline for everything a client has to do first.
//! One bad connection never ends the loop.

use std::future::Future;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt::set_tcp_quickack;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::limits::{Slot, Slots};
use crate::patience::Patience;

/// Connections that wait in the kernel to be accepted.
const BACKLOG: u32 = 1024;
/// Time that a client may take no byte of what is sent to it: what it keeps waiting holds memory and a place.
const STALL: Duration = Duration::from_mins(5);

/// How connections end when the server does. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    /// Asked to stop: finish what runs, take nothing new.
    pub(crate) stop: CancellationToken,
    /// Out of patience: what still runs is cut.
    pub(crate) cut: CancellationToken,
    /// Every connection's task, and those of transfers.
    pub(crate) tasks: TaskTracker,
}

/// Binds `address`, also when a connection of the last run is still closing.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until asked to stop, and gives each connection a task of its own. Over the limit, it is closed at once.
pub(crate) async fn accept<S, R>(listener: TcpListener, slots: Slots, ending: Ending, serve: S)
where
    S: Fn(TcpStream, SocketAddr, Slot) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ending.stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "could not accept a connection");
                // Out of file descriptors, most likely: the next try would fail as fast.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(slot) = slots.take(peer.ip()) else {
            debug!("closed a connection over the limit");
            continue;
        };
        if stream.set_nodelay(true).is_ok() {
            ending.tasks.spawn(serve(stream, peer, slot));
        }
    }
}

/// Counts what runs on one connection, so that an idle one can be closed.
#[derive(Clone)]
pub(crate) struct Activity(Arc<watch::Sender<usize>>);

/// One thing that runs; over when dropped.
pub(crate) struct Running(Arc<watch::Sender<usize>>);

impl Activity {
    /// Nothing runs yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts one thing that runs.
    pub(crate) fn begin(&self) -> Running {
        self.0.send_modify(|count| *count += 1);
        Running(Arc::clone(&self.0))
    }

    /// How many things run.
    pub(crate) fn running(&self) -> usize {
        *self.0.borrow()
    }

    /// Ends when nothing has run for `patience`.
    pub(crate) async fn idle_for(&self, patience: Duration) {
        let mut changes = self.0.subscribe();
        loop {
            let is_idle = *changes.borrow_and_update() == 0;
            let patience = if is_idle { patience } else { Duration::MAX };
            match tokio::time::timeout(patience, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// How many reads of an SSH connection are acknowledged at once: those of its handshake and of its first request.
const PROMPT_READS: u8 = 32;

/// A client's stream. It fails once its token is cancelled, or when its client takes nothing for five minutes: how a
/// connection that is in the hands of a library is cut.
pub(crate) struct Cuttable {
    stream: TcpStream,
    /// Bytes that were read already, and go first.
    front: Vec<u8>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    prompt_reads: u8,
    patience: Patience,
}

impl Cuttable {
    /// Fails with `ConnectionAborted` after `cut` is cancelled, and with `TimedOut` when the client takes nothing.
    pub(crate) fn new(stream: TcpStream, cut: CancellationToken) -> Self {
        let cut = Box::pin(cut.cancelled_owned());
        Self { stream, front: Vec::new(), cut, prompt_reads: 0, patience: Patience::new(STALL) }
    }

    /// With bytes of the client's that were read already.
    pub(crate) fn after(self, front: Vec<u8>) -> Self {
        Self { front, ..self }
    }

    /// For an SSH client: acknowledges its first reads at once.
    pub(crate) fn prompt(self) -> Self {
        Self { prompt_reads: PROMPT_READS, ..self }
    }

    fn check(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(std::io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn timed(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<std::io::Result<usize>>,
    ) -> Poll<std::io::Result<usize>> {
        if written.is_ready() {
            self.patience.rest();
            return written;
        }
        self.patience.poll_over(context).map(|()| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// OpenSSH's client keeps its next message back until the one before is acknowledged, and the kernel would take
    /// 40 ms over that. The option lasts for one acknowledgement; without it nothing breaks.
    fn acknowledge(&mut self) {
        if let Some(left) = self.prompt_reads.checked_sub(1) {
            self.prompt_reads = left;
            let _ = set_tcp_quickack(&self.stream, true);
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.check(context)?;
        if !self.front.is_empty() {
            let count = self.front.len().min(buffer.remaining());
            buffer.put_slice(&self.front.drain(..count).collect::<Vec<_>>());
            return Poll::Ready(Ok(()));
        }
        ready!(pin!(&mut self.stream).poll_read(context, buffer))?;
        self.acknowledge();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.check(context)?;
        let written = pin!(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.check(context)?;
        let written = pin!(&mut self.stream).poll_write_vectored(context, pieces);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.check(context)?;
        pin!(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        pin!(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = Cuttable::new(listener.accept().await.unwrap().0, CancellationToken::new());
        stream.patience = Patience::new(Duration::from_millis(20));
        let error = stream.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        drop(client);
    }
}
