//! Clients that must keep moving: a transfer ends when its time is over, and when a client that it waits for sends or takes
//! next to nothing for minutes. Only time spent waiting for the client counts; Git may think as long as it needs.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use base::settings::TransferSettings;
use forge::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// Time that is waited for a client before its rate is looked at.
const GRACE: Duration = Duration::from_mins(2);
/// What one wait counts at most: a client may think once, but not before every byte.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Time after which a client that takes nothing of what is there for it is given up.
pub(crate) const STALLED: Duration = Duration::from_mins(2);

/// Runs a transfer for as long as the site gives one.
pub(crate) async fn within<T>(
    settings: TransferSettings,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(deadline) = settings.deadline else { return work.await };
    let late = |_| Error::Transfer(io::Error::new(io::ErrorKind::TimedOut, "the transfer took too long in all"));
    tokio::time::timeout(deadline, work).await.map_err(late)?
}

/// Holds both ways of one transfer to the site's least rate.
pub(crate) fn paced<R, W>(settings: TransferSettings, input: R, output: W) -> (PacedReader<R>, PacedWriter<W>) {
    let has_answered = Arc::new(AtomicBool::new(false));
    let reader = PacedReader { inner: input, pace: Pace::new(settings), has_answered: Arc::clone(&has_answered) };
    let patience = settings.least_rate.map(|_| Patience::new(STALLED));
    (reader, PacedWriter { inner: output, pace: Pace::new(settings), has_answered, patience })
}

/// How long was waited for one way, and for how much.
#[derive(Debug)]
pub(crate) struct Pace {
    least_rate: Option<u64>,
    since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new(settings: TransferSettings) -> Self {
        Self { least_rate: settings.least_rate, since: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// Notes that the client is waited for from now on.
    pub(crate) fn waits(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Notes that `count` bytes moved. Fails with `TimedOut` when they were too few for the time that was waited.
    pub(crate) fn moved(&mut self, count: usize, now: Instant) -> io::Result<()> {
        if let Some(since) = self.since.take() {
            let waited = now.saturating_duration_since(since).min(LONGEST_WAIT);
            self.waited = self.waited.saturating_add(waited);
        }
        self.bytes = self.bytes.saturating_add(count as u64);
        let Some(least) = self.least_rate else { return Ok(()) };
        if self.waited > GRACE && self.bytes < self.waited.as_secs().saturating_mul(least) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow"));
        }
        Ok(())
    }

    fn begin_anew(&mut self) {
        (self.waited, self.bytes) = (Duration::ZERO, 0);
    }
}

/// What comes from the client.
pub(crate) struct PacedReader<R> {
    inner: R,
    pace: Pace,
    has_answered: Arc<AtomicBool>,
}

impl<R: AsyncRead + Unpin> AsyncRead for PacedReader<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        if polled.is_pending() {
            this.pace.waits(Instant::now());
        }
        ready!(polled)?;
        // What the client waited for meanwhile was ours.
        if this.has_answered.swap(false, Ordering::Relaxed) {
            this.pace.begin_anew();
        }
        let count = buffer.filled().len().saturating_sub(before);
        // The end is no slowness.
        Poll::Ready(if count == 0 { Ok(()) } else { this.pace.moved(count, Instant::now()) })
    }
}

/// What goes to the client.
pub(crate) struct PacedWriter<W> {
    inner: W,
    pace: Pace,
    has_answered: Arc<AtomicBool>,
    /// Runs while the client takes nothing.
    patience: Option<Patience>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for PacedWriter<W> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(context, bytes);
        if polled.is_pending() {
            this.pace.waits(Instant::now());
            let Some(patience) = &mut this.patience else { return Poll::Pending };
            ready!(patience.poll_over(context));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")));
        }
        if let Some(patience) = &mut this.patience {
            patience.rest();
        }
        let count = ready!(polled)?;
        this.has_answered.store(true, Ordering::Relaxed);
        this.pace.moved(count, Instant::now())?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: TransferSettings = TransferSettings {
        deadline: Some(Duration::from_millis(20)),
        least_rate: Some(512),
        per_user: None,
        per_repository: None,
        per_minute: None,
        per_repository_minute: None,
    };

    /// Waits `pause` before each of two hundred times `size` bytes; how long that went well.
    fn cut_after(pause: Duration, size: usize, answers: bool) -> Option<Duration> {
        let (mut pace, start) = (Pace::new(SETTINGS), Instant::now());
        let mut now = start;
        for _ in 0..200 {
            pace.waits(now);
            now += pause;
            if answers {
                pace.begin_anew();
            }
            if pace.moved(size, now).is_err() {
                return Some(now.duration_since(start));
            }
        }
        None
    }

    #[test]
    fn a_client_that_moves_a_byte_a_minute_is_cut_after_the_grace_and_a_slow_one_is_not() {
        for (pause, size, expected) in [
            (60, 1, Some(180)),
            (1, 1, Some(121)),
            (30, 20_000, None),
            // One long thought does not count in full.
            (3_600, 40_000, None),
        ] {
            let cut = cut_after(Duration::from_secs(pause), size, false);
            assert_eq!(cut, expected.map(Duration::from_secs), "{pause} s, {size} bytes");
        }
    }

    /// What a client sends before an answer is not held against what comes after it.
    #[test]
    fn a_client_that_thinks_between_answers_is_not_cut() {
        assert_eq!(cut_after(Duration::from_secs(50), 4, true), None);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (output, _client) = tokio::io::duplex(8);
        let (_, mut writer) = paced(SETTINGS, tokio::io::empty(), output);
        writer.patience = Some(Patience::new(Duration::from_millis(20)));
        let cut = tokio::io::AsyncWriteExt::write_all(&mut writer, &[0; 9]).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_transfer_ends_when_its_time_is_over() {
        let endless = std::future::pending::<Result<(), Error>>();
        assert!(matches!(within(SETTINGS, endless).await, Err(Error::Transfer(_))));
        let free = TransferSettings { deadline: None, ..SETTINGS };
        assert!(within(free, async { Ok(()) }).await.is_ok());
    }
}
