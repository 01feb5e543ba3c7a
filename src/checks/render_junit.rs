//! Findings as JUnit's XML, which pipelines show beside their tests. An error is a failure, a warning a passed case that
//! says so, for JUnit knows nothing between; what could not be looked at is skipped.

use std::collections::BTreeMap;

use base::{Finding, Severity};

use crate::render::Report;

/// The whole document.
pub(crate) fn render(report: Report<'_>) -> String {
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let (failures, skipped) = (count(Severity::Error), count(Severity::Unknown));
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"0\"", report.findings.len());
    let name = escaped(report.check);
    let cases: String = report
        .findings
        .iter()
        .zip(names(report.findings))
        .map(|(finding, name)| case(finding, &name, report.check))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"gitgrit-ops\" {counts}>\n  \
         <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\">\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

/// A name of its own for each: of several cases of one name, pipelines show one. What is said of one thing more than once has
/// its message in the name, and what is said twice its number.
fn names(findings: &[Finding]) -> Vec<String> {
    let short = |finding: &Finding| format!("{} {}", finding.id, finding.subject);
    let mut often: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings {
        *often.entry(short(finding)).or_default() += 1;
    }
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
    let mut name = |finding: &Finding| {
        let short = short(finding);
        let is_alone = often.get(&short).is_some_and(|times| *times == 1);
        let name = if is_alone { short } else { format!("{short}: {}", finding.message) };
        let times = given.entry(name.clone()).or_default();
        *times += 1;
        if *times == 1 { name } else { format!("{name} ({times})") }
    };
    findings.iter().map(&mut name).collect()
}

fn case(finding: &Finding, name: &str, check: &str) -> String {
    let head = format!("    <testcase classname=\"{}\" name=\"{}\" time=\"0\"", escaped(check), escaped(name));
    let message = escaped(&finding.message);
    let text = escaped(&format!("{}\nfix: {}\nsee docs/{}", finding.cause, finding.fix, finding.doc));
    match finding.severity {
        Severity::Ok => format!("{head}/>\n"),
        Severity::Unknown => format!("{head}>\n      <skipped message=\"{message}\"/>\n    </testcase>\n"),
        Severity::Warning => format!("{head}>\n      <system-out>{message}\n{text}</system-out>\n    </testcase>\n"),
        Severity::Error => {
            let failure = format!("<failure type=\"{}\" message=\"{message}\">{text}</failure>", finding.id);
            format!("{head}>\n      {failure}\n    </testcase>\n")
        }
    }
}

/// Text for an element or an attribute. What XML cannot hold at all becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn each_case_has_a_name_of_its_own() {
        let found = |subject: &str, message: &str| catalogue::CA_STACK_FINE.found(Severity::Ok, subject, message);
        let findings =
            [found("a", "rustls accepts"), found("b", "x"), found("a", "GnuTLS accepts"), found("a", "GnuTLS accepts")];
        let id = catalogue::CA_STACK_FINE.id;
        let expected = ["a: rustls accepts", "b", "a: GnuTLS accepts", "a: GnuTLS accepts (2)"];
        assert_eq!(names(&findings), expected.map(|name| format!("{id} {name}")));
    }

    #[test]
    fn errors_are_failures_and_nothing_escapes_its_element() {
        let findings = [
            catalogue::ENV_PORT.found(Severity::Error, "APP_PORT", "`<&\">\u{1}` is not a port"),
            catalogue::ENV_MODE.found(Severity::Warning, ".env", "has mode 0644, not 0600"),
            catalogue::ENV_FINE.found(Severity::Ok, ".env", "3 variables"),
        ];
        let text = render(Report { check: "env check", file: Some(".env"), findings: &findings });
        assert!(
            text.contains(
                "<testsuite name=\"env check\" tests=\"3\" failures=\"1\" errors=\"0\" time=\"0\" skipped=\"0\">"
            ),
            "{text}"
        );
        let failure = "<failure type=\"GG-ENV-012\" message=\"`&lt;&amp;&quot;&gt;\u{fffd}` is not a port\">";
        assert!(text.contains(failure), "{text}");
        assert_eq!(text.matches("<testcase ").count(), 3);
        assert_eq!(text.matches("</testcase>").count() + text.matches("\"/>").count(), 3);
    }
}
