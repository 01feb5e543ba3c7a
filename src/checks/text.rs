//! Text from outside, made fit for one line of a report.

use url::{Host, Url};

/// The longest text from outside that one line repeats, in characters.
const LIMIT: usize = 400;

/// One line: control and direction-changing characters become U+FFFD, the rest is cut after 400 characters.
pub(crate) fn line(text: &str) -> String {
    text.chars().take(LIMIT).map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}

/// Says whether an address, however malformed, seems to hold a user name or a password and so must not be repeated. A
/// password may itself hold `/`, `#` and `?`, so an `@` anywhere is enough.
pub(crate) fn has_credentials(address: &str) -> bool {
    address.contains('@')
}

/// Says whether an address is this very host by its own text. A name that only begins like an address is somebody else's.
pub(crate) fn is_here(address: &Url) -> bool {
    address.host().is_some_and(|host| match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    })
}

/// Seconds since the epoch as `2026-11-21 02:30 UTC`.
pub(crate) fn moment(seconds: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(format).ok())
        .unwrap_or_else(|| format!("second {seconds}"))
}

/// How far this host's clock would have to be ahead, so that what has ended has not.
pub(crate) fn ahead(seconds: i64) -> String {
    format!("unless the clock is {} or more ahead", span(seconds))
}

/// How far this host's clock would have to be behind, so that what has not begun has.
pub(crate) fn behind(seconds: i64) -> String {
    format!("unless the clock is {} or more behind", span(seconds))
}

/// Seconds in the largest unit that fits.
fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// How many single-character edits (insert, remove, replace, swap of neighbours) lie between two short texts.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut older: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    for (i, from) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in right.iter().enumerate() {
            let mut best = (at(&last, j) + usize::from(from != to)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let is_swap = i > 0 && j > 0 && left.get(i - 1) == Some(to) && right.get(j - 1) == Some(from);
            if is_swap {
                best = best.min(at(&older, j - 1) + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut last, row);
    }
    at(&last, right.len())
}

fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_no_line_break_and_has_an_end() {
        assert_eq!(line("a\nb\u{1b}[31m"), "a\u{fffd}b\u{fffd}[31m");
        assert_eq!(line(&"x".repeat(1000)).len(), LIMIT);
    }

    #[test]
    fn distances_count_swaps_as_one() {
        for (left, right, expected) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("SITE_ULR", "SITE_URL", 1),
            ("PORT", "APP_PORT", 4),
            ("TAGS", "TAG", 1),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn spans_are_in_the_largest_unit() {
        for (seconds, expected) in
            [(1, "1 second"), (59, "59 seconds"), (7199, "1 hour"), (86400, "1 day"), (863_999, "9 days")]
        {
            assert_eq!(span(seconds), expected);
        }
        assert_eq!(ahead(7200), "unless the clock is 2 hours or more ahead");
    }

    #[test]
    fn moments_are_utc_to_the_minute() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(i64::MAX), "second 9223372036854775807");
    }
}
