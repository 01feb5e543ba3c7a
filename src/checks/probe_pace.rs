//! How long the parts of an attempt may take. A connection has seconds; whoever is to answer has until the end, for a slow
//! answer leads out as well as a quick one.

use std::time::Duration;

use tokio::time::Instant;

use crate::probe::{OUT_OF_TIME, Outcome};
use crate::probe_attempt::Seen;

/// The longest for one connection, and for what only adds to an answer.
pub(crate) const STEP: Duration = Duration::from_millis(2_500);
/// Silence for less than this says nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Kept back, so that whoever waits until the end still says what was seen.
const MARGIN: Duration = Duration::from_millis(100);

/// The times of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    began: Instant,
    end: Instant,
}

impl Pace {
    /// Beginning now, over before `end`.
    pub(crate) fn until(end: std::time::Instant) -> Self {
        let now = Instant::now();
        let end = Instant::from_std(end);
        Self { began: now, end: end.checked_sub(MARGIN).map_or(now, |end| end.max(now)) }
    }

    /// Beginning now, and over after one step at the latest.
    pub(crate) fn short(self) -> Self {
        Self { began: Instant::now(), end: self.step() }
    }

    /// Beginning now.
    pub(crate) fn anew(self) -> Self {
        Self { began: Instant::now(), ..self }
    }

    /// When everything is over.
    pub(crate) fn end(self) -> Instant {
        self.end
    }

    /// When a step that begins now is over.
    pub(crate) fn step(self) -> Instant {
        (Instant::now() + STEP).min(self.end)
    }

    /// What is left of it all.
    pub(crate) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// What silence since this pace began says.
    pub(crate) fn silence(self) -> Seen {
        if self.began.elapsed() < PATIENCE {
            return Seen::new(Outcome::Broken, OUT_OF_TIME);
        }
        Seen::new(Outcome::Filtered, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_cut_by_the_end_and_short_silence_says_nothing() {
        let pace = Pace::until(std::time::Instant::now() + Duration::from_secs(10));
        assert!(pace.step() < pace.end() && pace.short().left() <= STEP);
        assert_eq!(pace.silence().outcome, Outcome::Broken);
        let patient = Pace { began: Instant::now().checked_sub(PATIENCE).unwrap(), ..pace };
        assert_eq!(patient.silence().outcome, Outcome::Filtered);
        assert_eq!(patient.anew().silence().detail, OUT_OF_TIME);
        let over = Pace::until(std::time::Instant::now());
        assert_eq!(over.left(), Duration::ZERO);
    }
}
