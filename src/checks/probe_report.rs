//! The isolation probe's report: findings, one for each vantage point and kind of leak, and the matrix as people read it,
//! within 80 columns. Looks at nothing itself.

use std::fmt::Write;

use base::{Finding, Severity};

use crate::catalogue::{
    ISO_BROKEN, ISO_BUDGET, ISO_CLOSED, ISO_ENGINE, ISO_INTERCEPTED, ISO_METADATA, ISO_MIRROR, ISO_NAME, ISO_NTP,
    ISO_PASSWORD, ISO_PROXY, ISO_PUZZLE, ISO_QUIC, ISO_RESOLVER, ISO_SITES_OWN, ISO_TCP, ISO_UNSEEN, Known,
};
use crate::probe::{ASKS_PASSWORD, HAS_PASSWORD, Kind, Look, OUT_OF_TIME, Outcome, Row, SITES_OWN, State};
use crate::probe_vantage::{Probed, Vantage};

/// Targets that one finding names.
const NAMED: usize = 5;
/// Vantage points side by side.
const ACROSS: usize = 3;
/// The width of a target, and of an outcome with its gap.
const TARGET: usize = 33;
const OUTCOME: usize = 13;

/// The findings, in the order of the vantage points. `asked` are those that the operator named: of them nobody may be left
/// out without a failure.
pub fn findings(probed: &Probed, asked: &[Vantage]) -> Vec<Finding> {
    let asked: Vec<_> = asked.iter().map(Vantage::name).collect();
    let mut findings = Vec::new();
    if let Some(why) = &probed.engine {
        let message = format!("the engine does not answer, so its networks were not looked from: {why}");
        findings.push(ISO_ENGINE.found(Severity::Warning, "docker", message));
    } else if !probed.has_engine {
        let message = "no `docker` program on this host, so there are no networks of containers to look from";
        findings.push(ISO_ENGINE.found(Severity::Ok, "docker", message));
    }
    for (subject, why) in &probed.puzzles {
        findings.push(ISO_PUZZLE.found(Severity::Warning, subject, why));
    }
    let is_blind = probed.looks.iter().all(|look| look.unseen.is_some());
    let own = Vantage::Host.name();
    for look in &probed.looks {
        match &look.unseen {
            Some(why) => {
                let is_needed = is_blind || look.vantage == own || asked.contains(&look.vantage) || why == OUT_OF_TIME;
                let severity = if is_needed { Severity::Error } else { Severity::Warning };
                findings.push(ISO_UNSEEN.found(severity, &look.vantage, format!("nobody could look from here: {why}")));
            }
            None => findings.extend(of_look(look)),
        }
    }
    findings
}

/// What a row can be found to be, in the order of reports.
static GROUPS: [(&Known, Severity); 14] = [
    (&ISO_TCP, Severity::Error),
    (&ISO_RESOLVER, Severity::Error),
    (&ISO_NAME, Severity::Error),
    (&ISO_QUIC, Severity::Error),
    (&ISO_NTP, Severity::Error),
    (&ISO_PROXY, Severity::Error),
    (&ISO_METADATA, Severity::Error),
    (&ISO_MIRROR, Severity::Warning),
    (&ISO_INTERCEPTED, Severity::Error),
    (&ISO_BROKEN, Severity::Error),
    (&ISO_BUDGET, Severity::Error),
    (&ISO_PASSWORD, Severity::Error),
    (&ISO_PASSWORD, Severity::Warning),
    (&ISO_SITES_OWN, Severity::Warning),
];

fn of_look(look: &Look) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (known, severity) in GROUPS {
        let is_own = |row: &&Row| of_row(row).is_some_and(|own| (own.0.id, own.1) == (known.id, severity));
        let rows: Vec<&Row> = look.rows.iter().filter(is_own).collect();
        let control = look.controls.iter().find(|control| control.state == State::Broken && known.id == ISO_BROKEN.id);
        let control = control.map(|control| format!("control: {}", control.detail));
        let said: Vec<_> = (!rows.is_empty()).then(|| named(&rows)).into_iter().chain(control).collect();
        if !said.is_empty() {
            findings.push(known.found(severity, &look.vantage, said.join("; ")));
        }
    }
    if look.rows.is_empty() {
        findings.push(ISO_BROKEN.found(Severity::Error, &look.vantage, "nothing was looked for"));
    }
    if findings.is_empty() {
        findings.push(ISO_CLOSED.found(Severity::Ok, &look.vantage, counted(look)));
    }
    findings
}

/// The finding that a row belongs to; none when it is closed.
fn of_row(row: &Row) -> Option<(&'static Known, Severity)> {
    let error = |known| Some((known, Severity::Error));
    match row.outcome {
        Outcome::Refused if row.detail == ASKS_PASSWORD => Some((&ISO_PASSWORD, Severity::Warning)),
        Outcome::NoName if row.detail.starts_with(SITES_OWN) => Some((&ISO_SITES_OWN, Severity::Warning)),
        Outcome::NoName | Outcome::NoRoute | Outcome::Filtered | Outcome::Refused => None,
        Outcome::Intercepted => error(&ISO_INTERCEPTED),
        Outcome::Broken if row.detail == OUT_OF_TIME => error(&ISO_BUDGET),
        Outcome::Broken if row.detail == HAS_PASSWORD => error(&ISO_PASSWORD),
        Outcome::Broken => error(&ISO_BROKEN),
        Outcome::Reachable => match row.kind {
            Kind::Tcp | Kind::Http => error(&ISO_TCP),
            Kind::Quic => error(&ISO_QUIC),
            Kind::Dns => error(&ISO_RESOLVER),
            Kind::Ntp => error(&ISO_NTP),
            Kind::Name => error(&ISO_NAME),
            Kind::Proxy => error(&ISO_PROXY),
            Kind::Metadata => error(&ISO_METADATA),
            Kind::Mirror => Some((&ISO_MIRROR, Severity::Warning)),
        },
    }
}

fn named(rows: &[&Row]) -> String {
    let one = |row: &&Row| {
        let family = row.family.map_or(String::new(), |family| format!(" over IPv{}", family.word()));
        let detail = if row.detail.is_empty() { String::new() } else { format!(" ({})", row.detail) };
        format!("{} {}{family}{detail}", row.kind.word(), row.target)
    };
    let shown: Vec<_> = rows.iter().take(NAMED).map(one).collect();
    let more = rows.len().saturating_sub(NAMED);
    if more == 0 { shown.join("; ") } else { format!("{}; and {more} more", shown.join("; ")) }
}

fn counted(look: &Look) -> String {
    let count = |outcome| look.rows.iter().filter(|row| row.outcome == outcome).count();
    let of = [Outcome::NoName, Outcome::NoRoute, Outcome::Refused, Outcome::Filtered];
    let parts = of.map(|outcome| (count(outcome), outcome));
    let parts: Vec<_> =
        parts.iter().filter(|(many, _)| *many > 0).map(|(many, outcome)| format!("{many} {outcome}")).collect();
    format!("none of {} targets answers ({})", look.rows.len(), parts.join(", "))
}

/// The matrix: a line for each target, a column for each vantage point that somebody looked from, three side by side.
pub fn matrix(looks: &[Look]) -> String {
    let mut text = String::new();
    for (index, look) in looks.iter().enumerate() {
        let _ = writeln!(text, "[{}] {}: {}", index + 1, cut(&look.vantage, 40), controls(look));
    }
    let seen: Vec<_> = looks.iter().enumerate().filter(|(_, look)| look.unseen.is_none()).collect();
    for part in seen.chunks(ACROSS) {
        let _ = write!(text, "\n{:8} {:TARGET$}", "", "");
        for (index, _) in part {
            let _ = write!(text, "{:<OUTCOME$}", format!("[{}]", index + 1));
        }
        end_line(&mut text);
        for (kind, subject) in lines(part) {
            let _ = write!(text, "{kind:8} {:TARGET$}", cut(&subject, TARGET - 1));
            for (_, look) in part {
                let own = look.rows.iter().filter(|row| label(row) == kind && row.target == subject);
                // Where several looks share a line, it shows the worst.
                let worst = own.map(|row| row.outcome).max();
                let _ = write!(text, "{:<OUTCOME$}", worst.map_or("–", Outcome::word));
            }
            end_line(&mut text);
        }
    }
    text
}

fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// Every pair of kind and target in some of these columns, as they come.
fn lines(part: &[(usize, &Look)]) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for row in part.iter().flat_map(|(_, look)| &look.rows) {
        let line = (label(row), row.target.clone());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn label(row: &Row) -> String {
    // A literal address shows its version itself, and a proxy is one line whichever of its addresses answered.
    let is_literal = row.target.starts_with('[') || row.target.split(':').next().is_some_and(is_four);
    let is_told = row.kind == Kind::Proxy || (row.kind == Kind::Metadata && is_literal);
    let family = if is_told { None } else { row.family };
    format!("{}{}", row.kind.word(), family.map_or("", |family| family.word()))
}

fn is_four(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

fn controls(look: &Look) -> String {
    if let Some(why) = &look.unseen {
        return cut(&format!("not seen, {why}"), 34);
    }
    let with = |state| look.controls.iter().filter(move |control| control.state == state);
    let broken: Vec<_> =
        with(State::Broken).map(|control| format!("{}{}", control.kind.word(), control.family.word())).collect();
    if broken.is_empty() {
        let six = if with(State::Absent).next().is_some() { ", no IPv6" } else { "" };
        return if look.controls.is_empty() { "no control ran".into() } else { format!("controls work{six}") };
    }
    cut(&format!("broken: {}", broken.join(" ")), 34)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Control, Family};
    use std::time::Duration;

    fn row(kind: Kind, target: &str, outcome: Outcome) -> Row {
        Row { kind, family: Some(Family::V4), target: target.into(), outcome, detail: String::new(), took_ms: 1 }
    }

    fn seen(vantage: &str, rows: Vec<Row>) -> Look {
        let control = Control { kind: Kind::Tcp, family: Family::V4, state: State::Works, detail: String::new() };
        Look { vantage: vantage.into(), controls: vec![control], rows, unseen: None }
    }

    fn found(looks: Vec<Look>, asked: &[Vantage]) -> Vec<(&'static str, Severity, String)> {
        let probed = Probed {
            looks,
            targets: Vec::new(),
            engine: None,
            has_engine: true,
            puzzles: Vec::new(),
            took: Duration::ZERO,
        };
        findings(&probed, asked).into_iter().map(|found| (found.id, found.severity, found.message)).collect()
    }

    #[test]
    fn every_kind_that_answers_has_its_own_finding() {
        for (kind, id) in [
            (Kind::Tcp, "GG-ISO-002"),
            (Kind::Http, "GG-ISO-002"),
            (Kind::Dns, "GG-ISO-003"),
            (Kind::Name, "GG-ISO-004"),
            (Kind::Quic, "GG-ISO-005"),
            (Kind::Ntp, "GG-ISO-006"),
            (Kind::Proxy, "GG-ISO-007"),
            (Kind::Metadata, "GG-ISO-008"),
            (Kind::Mirror, "GG-ISO-009"),
        ] {
            let ids: Vec<_> = found(vec![seen("host", vec![row(kind, "a:1", Outcome::Reachable)])], &[]);
            assert_eq!(ids.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [id]);
        }
    }

    #[test]
    fn a_closed_place_is_counted_and_an_open_one_named() {
        let closed = vec![row(Kind::Tcp, "a:1", Outcome::Filtered), row(Kind::Tcp, "b:1", Outcome::NoRoute)];
        let open: Vec<_> = (0..7).map(|port| row(Kind::Tcp, &format!("a:{port}"), Outcome::Reachable)).collect();
        let found = found(vec![seen("host", closed), seen("network a", open)], &[]);
        assert_eq!(found[0], ("GG-ISO-001", Severity::Ok, "none of 2 targets answers (1 no route, 1 filtered)".into()));
        assert!(found[1].2.starts_with("tcp a:0 over IPv4; ") && found[1].2.ends_with("; and 2 more"), "{found:?}");
    }

    #[test]
    fn a_broken_probe_says_once_what_its_control_met() {
        let mut look =
            seen("host", vec![row(Kind::Tcp, "a:1", Outcome::Broken), row(Kind::Tcp, "b:1", Outcome::Broken)]);
        look.controls[0].state = State::Broken;
        look.controls[0].detail = "no listener".into();
        let (id, severity, message) = found(vec![look], &[]).remove(0);
        assert_eq!((id, severity), ("GG-ISO-011", Severity::Error));
        assert_eq!(message, "tcp a:1 over IPv4; tcp b:1 over IPv4; control: no listener");
    }

    #[test]
    fn a_place_nobody_could_look_from_fails_where_it_matters() {
        let host = || seen("host", vec![row(Kind::Tcp, "a:1", Outcome::Filtered)]);
        let last = |looks: Vec<Look>, asked: &[Vantage]| found(looks, asked).pop().unwrap();
        let unseen = |vantage, why| Look::unseen(vantage, why);
        assert_eq!(last(vec![host(), unseen("network a", "no image")], &[]).1, Severity::Warning);
        for (looks, asked, what) in [
            (vec![host(), unseen("network a", "no image")], &[Vantage::Network("a".into())][..], "asked for"),
            (vec![host(), unseen("network a", OUT_OF_TIME)], &[], "out of time"),
            (vec![unseen("network a", "no image")], &[], "no look at all"),
            (vec![seen("network a", host().rows), unseen("host", "too many open files")], &[], "the host"),
        ] {
            let (id, severity, message) = last(looks, asked);
            assert_eq!((id, severity), ("GG-ISO-012", Severity::Error), "{what}");
            assert!(message.starts_with("nobody could look from here: "), "{message}");
        }
    }

    #[test]
    fn a_look_at_nothing_and_one_with_a_broken_control_are_not_closed() {
        let (id, severity, message) = found(vec![seen("host", Vec::new())], &[]).remove(0);
        assert_eq!((id, severity, message.as_str()), ("GG-ISO-011", Severity::Error, "nothing was looked for"));
        let mut look = seen("host", vec![row(Kind::Name, "a @b", Outcome::NoName)]);
        look.controls[0].state = State::Broken;
        look.controls[0].detail = "no files left".into();
        let all = found(vec![look], &[]);
        assert_eq!(all, [("GG-ISO-011", Severity::Error, "control: no files left".to_owned())]);
    }

    #[test]
    fn passwords_the_sites_own_answers_and_what_cannot_be_read_are_warned_of() {
        let with = |outcome, detail: &str| Row { detail: detail.into(), ..row(Kind::Proxy, "a:1", outcome) };
        let own = format!("{SITES_OWN}: 127.0.0.1");
        for (row, id, severity) in [
            (with(Outcome::Refused, ASKS_PASSWORD), "GG-ISO-015", Severity::Warning),
            (with(Outcome::Broken, HAS_PASSWORD), "GG-ISO-015", Severity::Error),
            (with(Outcome::NoName, &own), "GG-ISO-017", Severity::Warning),
        ] {
            let all = found(vec![seen("host", vec![row])], &[]);
            assert_eq!(all.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(), [(id, severity)]);
        }
        let looks = vec![seen("host", vec![row(Kind::Tcp, "a:1", Outcome::Refused)])];
        let puzzles = vec![("SANDBOX_DNS".to_owned(), "why".to_owned())];
        let probed =
            Probed { looks, targets: Vec::new(), engine: None, has_engine: true, puzzles, took: Duration::ZERO };
        let ids: Vec<_> = findings(&probed, &[]).iter().map(|one| (one.id, one.severity)).collect();
        assert_eq!(ids, [("GG-ISO-016", Severity::Warning), ("GG-ISO-001", Severity::Ok)]);
    }

    #[test]
    fn rows_that_differ_have_lines_of_their_own_and_those_that_do_not_show_the_worst() {
        let six = |row: Row| Row { family: Some(Family::V6), ..row };
        let rows = vec![
            row(Kind::Metadata, "cloud:80", Outcome::Filtered),
            six(row(Kind::Metadata, "cloud:80", Outcome::Reachable)),
            row(Kind::Tcp, "a:1", Outcome::Filtered),
            row(Kind::Tcp, "a:1", Outcome::Reachable),
        ];
        let text = matrix(&[seen("host", rows)]);
        let lines: Vec<_> = text.lines().skip(3).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        let expected = [
            ["metadata4", "cloud:80", "filtered"],
            ["metadata6", "cloud:80", "reachable"],
            ["tcp4", "a:1", "reachable"],
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_matrix_fits_80_columns_whatever_the_names() {
        let long = "x".repeat(200);
        let looks: Vec<_> = (0..5)
            .map(|number| seen(&format!("network {number}{long}"), vec![row(Kind::Name, &long, Outcome::Intercepted)]))
            .chain([Look::unseen("netns /run/netns/x", long.clone())])
            .collect();
        let text = matrix(&looks);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.matches("intercepted").count(), 5);
        let short = matrix(&[seen("host", vec![row(Kind::Tcp, "192.0.2.1:443", Outcome::NoRoute)])]);
        let head = format!("{:42}[1]", "");
        assert_eq!(
            short,
            format!("[1] host: controls work\n\n{head}\ntcp4     192.0.2.1:443                    no route\n")
        );
    }
}
