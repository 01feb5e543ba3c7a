//! The isolation probe's report: findings, one for each vantage point and kind of leak, and the matrix as people read it,
//! within 80 columns. Looks at nothing itself.

use std::fmt::Write;

use base::{Finding, Severity};

use crate::catalogue::{
    ISO_BROKEN, ISO_BUDGET, ISO_CLOSED, ISO_ENGINE, ISO_INTERCEPTED, ISO_METADATA, ISO_MIRROR, ISO_NAME, ISO_NTP,
    ISO_PROXY, ISO_QUIC, ISO_RESOLVER, ISO_TCP, ISO_UNSEEN, Known,
};
use crate::probe::{Kind, Look, OUT_OF_TIME, Outcome, Row, State};
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
    for look in &probed.looks {
        match &look.unseen {
            Some(why) => {
                let severity = if asked.contains(&look.vantage) { Severity::Error } else { Severity::Warning };
                findings.push(ISO_UNSEEN.found(severity, &look.vantage, format!("nobody could look from here: {why}")));
            }
            None => findings.extend(of_look(look)),
        }
    }
    findings
}

fn of_look(look: &Look) -> Vec<Finding> {
    let mut findings = Vec::new();
    let groups: [(&'static Known, Severity); 11] = [
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
    ];
    for (known, severity) in groups {
        let rows: Vec<&Row> =
            look.rows.iter().filter(|row| of_row(row).is_some_and(|own| own.id == known.id)).collect();
        if !rows.is_empty() {
            let control =
                look.controls.iter().find(|control| control.state == State::Broken && known.id == ISO_BROKEN.id);
            let control = control.map_or(String::new(), |control| format!("; control: {}", control.detail));
            findings.push(known.found(severity, &look.vantage, format!("{}{control}", named(&rows))));
        }
    }
    if findings.is_empty() {
        findings.push(ISO_CLOSED.found(Severity::Ok, &look.vantage, counted(look)));
    }
    findings
}

/// The finding that a row belongs to; none when it is closed.
fn of_row(row: &Row) -> Option<&'static Known> {
    match row.outcome {
        Outcome::NoName | Outcome::NoRoute | Outcome::Filtered | Outcome::Refused => None,
        Outcome::Intercepted => Some(&ISO_INTERCEPTED),
        Outcome::Broken if row.detail == OUT_OF_TIME => Some(&ISO_BUDGET),
        Outcome::Broken => Some(&ISO_BROKEN),
        Outcome::Reachable => Some(match row.kind {
            Kind::Tcp | Kind::Http => &ISO_TCP,
            Kind::Quic => &ISO_QUIC,
            Kind::Dns => &ISO_RESOLVER,
            Kind::Ntp => &ISO_NTP,
            Kind::Name => &ISO_NAME,
            Kind::Proxy => &ISO_PROXY,
            Kind::Metadata => &ISO_METADATA,
            Kind::Mirror => &ISO_MIRROR,
        }),
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
                let row = look.rows.iter().find(|row| label(row) == kind && row.target == subject);
                let _ = write!(text, "{:<OUTCOME$}", row.map_or("–", |row| row.outcome.word()));
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
    let family = if row.kind == Kind::Metadata { None } else { row.family };
    format!("{}{}", row.kind.word(), family.map_or("", |family| family.word()))
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
        let probed = Probed { looks, targets: Vec::new(), engine: None, has_engine: true, took: Duration::ZERO };
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
    fn a_place_nobody_could_look_from_fails_only_when_it_was_asked_for() {
        let unseen = || vec![Look::unseen("network a", "no image")];
        assert_eq!(found(unseen(), &[])[0].1, Severity::Warning);
        let (id, severity, message) = found(unseen(), &[Vantage::Network("a".into())]).remove(0);
        assert_eq!((id, severity), ("GG-ISO-012", Severity::Error));
        assert_eq!(message, "nobody could look from here: no image");
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
