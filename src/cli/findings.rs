//! Prints findings in the shape that was asked for, and turns them into an exit code.

use std::io::{self, Write};

use base::{Finding, Severity};
use checks::render::{Report, Shape, render};
use clap::ValueEnum;

use super::{Console, Exit};

/// Shapes that the pipelines of others read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JUnit XML, a test case for each finding
    Junit,
    /// SARIF 2.1.0
    Sarif,
}

/// One finding a paragraph: id, subject and message; then, when there is something to do, why and what.
pub(crate) fn print(findings: &[Finding], console: &mut Console) -> io::Result<()> {
    let report = Report { check: "", file: None, findings };
    console.out.write_all(render(report, Shape::Terminal).as_bytes())
}

/// The report in a shape for pipelines.
pub(crate) fn print_as(format: Format, report: Report<'_>, console: &mut Console) -> io::Result<()> {
    let shape = match format {
        Format::Junit => Shape::Junit,
        Format::Sarif => Shape::Sarif,
    };
    console.out.write_all(render(report, shape).as_bytes())
}

/// 3 when one is an error; 4 when warnings are the worst and `is_strict`; else 0.
pub(crate) fn exit(findings: &[Finding], is_strict: bool) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Exit::ChecksFailed,
        Some(Severity::Warning) if is_strict => Exit::Warnings,
        _ => Exit::Ok,
    }
}
