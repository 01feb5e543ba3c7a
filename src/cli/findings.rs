//! Prints findings for people, and turns them into an exit code.

use std::io::{self, Write};

use base::{Finding, Severity};

use super::{Console, Exit};

/// One finding a paragraph: id, subject and message; then, when there is something to do, why and what.
pub(crate) fn print(findings: &[Finding], console: &mut Console) -> io::Result<()> {
    for finding in findings {
        let severity = match finding.severity {
            Severity::Ok => "ok",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(console.out, "{severity:<7}  {}  {}: {}", finding.id, finding.subject, finding.message)?;
        if !finding.cause.is_empty() {
            writeln!(console.out, "         {}", finding.cause)?;
        }
        if !finding.fix.is_empty() {
            writeln!(console.out, "         fix: {}", finding.fix)?;
        }
    }
    Ok(())
}

/// 3 when one is an error; 4 when warnings are the worst and `is_strict`; else 0.
pub(crate) fn exit(findings: &[Finding], is_strict: bool) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Exit::ChecksFailed,
        Some(Severity::Warning) if is_strict => Exit::Warnings,
        _ => Exit::Ok,
    }
}
