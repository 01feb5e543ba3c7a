//! Findings as text that others read: people, and the programs of a pipeline. Prints nothing itself.

use base::Finding;

use crate::{render_junit, render_sarif, render_terminal};

/// In which shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A paragraph for each finding.
    Terminal,
    /// JUnit's XML: a test case for each finding.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
}

/// What was looked at, for the head of a report.
#[derive(Clone, Copy, Debug)]
pub struct Report<'r> {
    /// The check, like `env check`.
    pub check: &'r str,
    /// The file that was looked at, if it was one.
    pub file: Option<&'r str>,
    /// What was found.
    pub findings: &'r [Finding],
}

/// The report in this shape, a line end at its end.
pub fn render(report: Report<'_>, shape: Shape) -> String {
    match shape {
        Shape::Terminal => render_terminal::render(report.findings),
        Shape::Junit => render_junit::render(report),
        Shape::Sarif => render_sarif::render(report),
    }
}
