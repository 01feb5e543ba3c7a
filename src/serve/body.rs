//! Bodies in pieces: an answer that knows when it ended, and a request that is inflated under a limit.
//! Never holds a whole body in memory.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use hyper::body::{Frame, SizeHint};

/// Time to wait for the next piece of a request's body.
const NEXT_PIECE: Duration = Duration::from_mins(2);
/// Compressed bytes that are inflated at a time: no more than 4 MiB come out of them.
const STEP: usize = 4096;

/// A stream of a request's body.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A body that keeps something until it has been sent or given up.
pub(crate) struct Tracked<T> {
    body: Body,
    _kept: T,
}

impl<T> Tracked<T> {
    /// Drops `kept` together with the body.
    pub(crate) const fn new(body: Body, kept: T) -> Self {
        Self { body, _kept: kept }
    }
}

impl<T: Unpin> HttpBody for Tracked<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body as it came. Fails with `TimedOut` when nothing comes for two minutes.
pub(crate) fn plain(body: Body) -> Pieces {
    let pieces = body.into_data_stream().map_err(io::Error::other);
    Box::pin(stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match tokio::time::timeout(NEXT_PIECE, pieces.next()).await {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    }))
}

/// Fails with `FileTooLarge` once more than `limit` bytes have come.
pub(crate) fn limited(pieces: Pieces, limit: u64) -> Pieces {
    let mut left = limit;
    Box::pin(pieces.map(move |piece| {
        let piece = piece?;
        left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(piece)
    }))
}

/// Inflates a gzip body; fails with what flate2 says of a damaged one, and when it ends in the middle.
pub(crate) fn inflated(pieces: Pieces) -> Pieces {
    let steps = pieces.flat_map(|piece| match piece {
        Ok(piece) => stream::iter(steps(&piece)).left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    });
    let inflate = (Some(MultiGzDecoder::new(Vec::new())), Box::pin(steps));
    Box::pin(stream::try_unfold(inflate, |(decoder, mut steps)| async move {
        let Some(mut decoder) = decoder else { return Ok(None) };
        while let Some(step) = steps.next().await {
            decoder.write_all(&step?)?;
            decoder.flush()?;
            let out = std::mem::take(decoder.get_mut());
            if !out.is_empty() {
                return Ok(Some((Bytes::from(out), (Some(decoder), steps))));
            }
        }
        Ok(Some((Bytes::from(decoder.finish()?), (None, steps))))
    }))
}

fn steps(piece: &Bytes) -> Vec<io::Result<Bytes>> {
    let starts = (0..piece.len()).step_by(STEP);
    starts.map(|start| Ok(piece.slice(start..(start + STEP).min(piece.len())))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(pieces: Pieces) -> io::Result<Vec<u8>> {
        let all: Vec<Bytes> = pieces.try_collect().await?;
        Ok(all.concat())
    }

    #[tokio::test]
    async fn a_bomb_is_stopped_at_the_limit() {
        let bomb = Body::from(gzip(&vec![0; 64 << 20]));
        let error = read(limited(inflated(plain(bomb)), 1 << 20)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[tokio::test]
    async fn a_body_cut_in_half_or_damaged_is_an_error() {
        let whole = gzip(&b"0032want 0123".repeat(1000));
        let half = whole.get(..whole.len() / 2).unwrap().to_vec();
        assert!(read(inflated(plain(Body::from(half)))).await.is_err());
        assert!(read(inflated(plain(Body::from("not gzip at all")))).await.is_err());
    }

    #[tokio::test]
    async fn what_was_packed_comes_out() {
        let text = b"0032want 0123456789".repeat(10_000);
        assert_eq!(read(inflated(plain(Body::from(gzip(&text))))).await.unwrap(), text);
    }
}
