//! Findings for people.

use base::{Finding, Severity};

/// One finding a paragraph: id, subject and message; then, when there is something to do, why and what.
pub(crate) fn render(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Ok => "ok",
            Severity::Unknown => "unknown",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        lines.push(format!("{severity:<7}  {}  {}: {}\n", finding.id, finding.subject, finding.message));
        if !finding.cause.is_empty() {
            lines.push(format!("         {}\n", finding.cause));
        }
        if !finding.fix.is_empty() {
            lines.push(format!("         fix: {}\n", finding.fix));
        }
    }
    lines.concat()
}
