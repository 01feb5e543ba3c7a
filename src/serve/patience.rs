//! A clock that runs while somebody is waited for. It is kept between waits: a timer made for each of them would wake the
//! runtime's driver as often as a stream has to wait.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long one wait may take.
#[derive(Debug)]
pub(crate) struct Patience {
    length: Duration,
    is_running: bool,
    clock: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// One that lasts so long, and does not run yet.
    pub(crate) const fn new(length: Duration) -> Self {
        Self { length, is_running: false, clock: None }
    }

    /// Begins to run, if it does not yet. Ready when it is over.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_new = !std::mem::replace(&mut self.is_running, true);
        let length = self.length;
        let clock = match &mut self.clock {
            Some(clock) => {
                if is_new && let Some(over) = Instant::now().checked_add(length) {
                    clock.as_mut().reset(over);
                }
                clock
            }
            none => none.insert(Box::pin(sleep(length))),
        };
        clock.as_mut().poll(context)
    }

    /// The wait has ended well.
    pub(crate) const fn rest(&mut self) {
        self.is_running = false;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn each_wait_has_the_whole_time() {
        let length = Duration::from_millis(400);
        let mut patience = Patience::new(length);
        for _ in 0..3 {
            let first = poll_fn(|context| Poll::Ready(patience.poll_over(context))).await;
            assert!(first.is_pending());
            sleep(length / 8).await;
            patience.rest();
        }
        let begun = Instant::now();
        poll_fn(|context| patience.poll_over(context)).await;
        assert!(begun.elapsed() >= length);
    }
}
