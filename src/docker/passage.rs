//! Archives on their way: out of the engine as something to read, and into it from something that reads. Holds a few pieces
//! at a time, never an archive.

use std::io::{self, Read};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

/// How many pieces may wait.
const WAITING: usize = 4;
/// How much is sent as one piece, in bytes.
pub(crate) const PIECE: usize = 256 << 10;

/// An archive that the engine writes, read as it comes. Ends with an error when the engine stops half-way.
#[derive(Debug)]
pub struct Archive<'e> {
    runtime: &'e Runtime,
    pieces: Receiver<io::Result<Bytes>>,
    rest: Bytes,
    patience: Duration,
    has_failed: bool,
}

impl<'e> Archive<'e> {
    /// Reads what `stream` brings, each piece within `patience`.
    pub(crate) fn new<S, E>(runtime: &'e Runtime, stream: S, patience: Duration) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let (sender, pieces) = mpsc::channel(WAITING);
        runtime.spawn(async move {
            let mut stream = pin!(stream);
            while let Some(piece) = stream.next().await {
                // Nobody reads any more: the request ends with this task.
                if sender.send(piece.map_err(io::Error::other)).await.is_err() {
                    return;
                }
            }
        });
        Self { runtime, pieces, rest: Bytes::new(), patience, has_failed: false }
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !buffer.is_empty() {
            if self.has_failed {
                return Err(io::Error::other("the engine stopped half-way"));
            }
            let next = async { timeout(self.patience, self.pieces.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(Ok(piece))) => self.rest = piece,
                Ok(Some(Err(error))) => {
                    self.has_failed = true;
                    return Err(error);
                }
                Ok(None) => return Ok(0),
                Err(_) => {
                    let words = format!("the engine sent nothing for {} s", self.patience.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, words));
                }
            }
        }
        let size = self.rest.len().min(buffer.len());
        let piece = self.rest.split_to(size);
        if let Some(space) = buffer.get_mut(..size) {
            space.copy_from_slice(&piece);
        }
        Ok(size)
    }
}

/// Reads `archive` to its end into `sender`. A reader that failed is told to the other side, so that the request breaks
/// off there; a receiver that went away ends it.
pub(crate) async fn pump(
    archive: &mut (dyn Read + Send),
    sender: Sender<io::Result<Bytes>>,
    patience: Duration,
) -> Result<(), Stopped> {
    loop {
        let mut piece = vec![0; PIECE];
        match fill(archive, &mut piece) {
            Ok(0) => return Ok(()),
            Ok(size) => {
                piece.truncate(size);
                match timeout(patience, sender.send(Ok(piece.into()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => return Err(Stopped::Silent),
                }
            }
            Err(source) => {
                let _ = timeout(patience, sender.send(Err(io::Error::other("not all of it could be read")))).await;
                return Err(Stopped::Archive(source));
            }
        }
    }
}

/// Why an archive was not sent whole.
pub(crate) enum Stopped {
    /// The engine takes nothing more.
    Silent,
    /// It did not read.
    Archive(io::Error),
}

fn fill(archive: &mut (dyn Read + Send), piece: &mut [u8]) -> io::Result<usize> {
    let mut size = 0;
    while let Some(space) = piece.get_mut(size..).filter(|space| !space.is_empty()) {
        match archive.read(space) {
            Ok(0) => break,
            Ok(more) => size += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size)
}

/// What a receiver brings, as a stream.
pub(crate) fn stream(receiver: Receiver<io::Result<Bytes>>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}
