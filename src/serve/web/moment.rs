//! Times on pages: an absolute one for machines and hovering, a relative one to read. Always UTC; asks no clock.

use base::clock::Timestamp;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const MACHINE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const PEOPLE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none] [month repr:long] [year]");

/// A `<time>` element with a relative text, as in `3 hours ago`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    element(at, &relative(at, now))
}

/// A `<time>` element with the absolute time and the relative one behind it.
pub(crate) fn absolute(at: Timestamp, now: Timestamp) -> String {
    element(at, &format!("{} ({})", written(at, PEOPLE), relative(at, now)))
}

/// The element of [`ago`], or `never`.
pub(crate) fn ago_or_never(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "never".into(), |at| ago(at, now))
}

/// The day of a moment, as in `7 March 2026`.
pub(crate) fn day(at: Timestamp) -> String {
    written(at, DAY)
}

/// How far `at` is from `now`, in the largest unit that fits.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let distance = now.seconds().saturating_sub(at.seconds());
    let (count, unit) = match distance.unsigned_abs() {
        0..=44 => return if distance < 0 { "in a moment".into() } else { "just now".into() },
        seconds @ 45..=3_569 => ((seconds + 30) / 60, "minute"),
        seconds @ 3_570..=84_599 => ((seconds + 1_800) / 3_600, "hour"),
        seconds @ 84_600..=2_591_999 => ((seconds + 43_200) / 86_400, "day"),
        seconds @ 2_592_000..=31_535_999 => (seconds / 2_592_000, "month"),
        seconds => (seconds / 31_536_000, "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if distance < 0 { format!("in {count} {unit}{plural}") } else { format!("{count} {unit}{plural} ago") }
}

fn element(at: Timestamp, text: &str) -> String {
    format!(r#"<time datetime="{}" title="{} UTC">{text}</time>"#, written(at, MACHINE), written(at, PEOPLE))
}

/// Commits may carry times that no calendar has; those become the epoch's start.
fn written(at: Timestamp, format: &[BorrowedFormatItem<'_>]) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_use_the_largest_unit_that_fits() {
        let now = Timestamp(0);
        for (seconds, expected) in [
            (0, "just now"),
            (-44, "just now"),
            (-60, "1 minute ago"),
            (-3_600, "1 hour ago"),
            (-86_400, "1 day ago"),
            (-2_592_000, "1 month ago"),
            (-63_072_000, "2 years ago"),
            (7_200, "in 2 hours"),
            (10, "in a moment"),
        ] {
            assert_eq!(relative(now.plus_seconds(seconds), now), expected, "{seconds}");
        }
    }

    #[test]
    fn a_time_that_no_calendar_has_is_no_failure() {
        for at in [Timestamp(i64::MAX), Timestamp(i64::MIN)] {
            assert!(ago(at, Timestamp(0)).starts_with("<time datetime=\""));
        }
    }

    #[test]
    fn elements_carry_the_absolute_time() {
        assert_eq!(
            ago(Timestamp(1_700_000_000_000_000), Timestamp(1_700_003_600_000_000)),
            r#"<time datetime="2023-11-14T22:13:20Z" title="2023-11-14 22:13 UTC">1 hour ago</time>"#
        );
        assert_eq!(day(Timestamp(1_700_000_000_000_000)), "14 November 2023");
    }
}
