//! Bodies that are pushed to their readers and not fetched by them: whoever stops taking, or takes next to nothing, loses
//! what was held for them, also when nobody asks the body for more (HTTP/2 with a window of nought). Never ends a body
//! that was cut as if it were whole.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use base::settings::TransferSettings;
use bytes::Bytes;
use forge::Error;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;

use crate::pace::{Pace, STALLED, within};

/// A body of these pieces, made one ahead of the reader, under the site's limits of transfers. `kept` is dropped with
/// the last of them, or when the reader is given up.
pub(crate) fn pumped<S, E>(limits: TransferSettings, pieces: S, kept: impl Send + 'static) -> Body
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<axum::BoxError> + Send,
{
    body(limits, STALLED, pieces, kept)
}

fn body<S, E>(limits: TransferSettings, stalled: Duration, pieces: S, kept: impl Send + 'static) -> Body
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<axum::BoxError> + Send,
{
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let is_whole = Arc::new(AtomicBool::new(false));
    let whole = Arc::clone(&is_whole);
    tokio::spawn(async move {
        let _kept = kept;
        let sent = tokio::select! {
            sent = within(limits, send(limits, stalled, pieces, &sender)) => sent,
            () = sender.closed() => return,
        };
        match sent {
            Ok(()) => whole.store(true, Ordering::Release),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "an answer was cut short"),
        }
    });
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut short");
    Body::from_stream(stream::unfold(Some(receiver), move |receiver| {
        let is_whole = Arc::clone(&is_whole);
        async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(piece) => Some((Ok(piece), Some(receiver))),
                None if is_whole.load(Ordering::Acquire) => None,
                None => Some((Err(cut()), None)),
            }
        }
    }))
}

/// Sends piece after piece; the time that each waits for its reader is held against the reader.
async fn send<S, E>(
    limits: TransferSettings,
    stalled: Duration,
    pieces: S,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<axum::BoxError>,
{
    let mut pieces = pin!(pieces);
    let mut pace = Pace::new(limits);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Error::Transfer(io::Error::other(error)))?;
        let count = piece.len();
        pace.waits(Instant::now());
        let sending = sender.send(piece);
        let sent = match limits.least_rate {
            Some(_) => tokio::time::timeout(stalled, sending).await,
            None => Ok(sending.await),
        };
        let late = |_| Error::Transfer(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"));
        sent.map_err(late)?.map_err(|_| Error::Transfer(io::ErrorKind::BrokenPipe.into()))?;
        pace.moved(count, Instant::now()).map_err(Error::Transfer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use tokio::sync::oneshot;

    use super::*;

    const LIMITS: TransferSettings = TransferSettings {
        deadline: None,
        least_rate: Some(512),
        per_user: None,
        per_repository: None,
        per_minute: None,
        per_repository_minute: None,
    };
    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_hours(1);

    fn endless() -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1024])))
    }

    /// What is held comes free although nobody asks the body for anything, and the body that is asked after all is cut.
    #[tokio::test]
    async fn a_reader_that_takes_nothing_holds_nothing_for_long() {
        let none = TransferSettings { least_rate: None, ..LIMITS };
        let in_all = TransferSettings { deadline: Some(SHORT), ..none };
        for (limits, stalled) in [(LIMITS, SHORT), (in_all, LONG)] {
            let (kept, freed) = oneshot::channel::<()>();
            let body = body(limits, stalled, endless(), kept);
            assert!(freed.await.is_err(), "dropped, not sent");
            assert!(body.into_data_stream().try_collect::<Vec<_>>().await.is_err(), "a cut body is no whole one");
        }
    }

    #[tokio::test]
    async fn a_body_comes_whole_and_a_reader_that_leaves_frees_what_is_held() {
        let three = stream::iter([b"a", b"b", b"c"]).map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece)));
        let whole: Vec<_> = pumped(LIMITS, three, ()).into_data_stream().try_collect().await.unwrap();
        assert_eq!(whole.concat(), b"abc");
        let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(io::Error::other("gone"))]);
        assert!(pumped(LIMITS, broken, ()).into_data_stream().try_collect::<Vec<_>>().await.is_err());
        let (kept, freed) = oneshot::channel::<()>();
        drop(body(LIMITS, LONG, endless(), kept));
        assert!(freed.await.is_err());
    }
}
