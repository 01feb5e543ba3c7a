//! What is looked for. Compiled under a limit: an expression that would need more memory than that is refused.

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a pattern.
const LENGTH: usize = 500;
/// Bytes that a compiled expression may take: what it costs for each byte that it is shown.
const COMPILED: usize = 256 << 10;
/// Bytes that it may take to remember while it runs, which makes it fast.
const REMEMBERED: usize = 2 << 20;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// There is nothing to look for.
    #[error("is empty")]
    Empty,
    /// It is longer than is looked for.
    #[error("is longer than {LENGTH} bytes")]
    Long,
    /// It is no regular expression.
    #[error("is no regular expression: {0}")]
    Syntax(String),
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern(pub(super) Regex);

impl Pattern {
    /// Looks for the text itself.
    pub fn text(text: &str, has_case: bool) -> Result<Self, PatternProblem> {
        check(text)?;
        compile(&regex::escape(text), has_case)
    }

    /// Looks for what a regular expression describes; `^` and `$` are the ends of a line.
    pub fn expression(text: &str, has_case: bool) -> Result<Self, PatternProblem> {
        check(text)?;
        compile(text, has_case)
    }

    /// Fits paths: those that hold the text, or with `*` and `?` in it, those that end so (`*.rs`, `docs/*.md`).
    pub fn paths(text: &str) -> Result<Self, PatternProblem> {
        check(text)?;
        if !text.contains(['*', '?']) {
            return compile(&regex::escape(text), false);
        }
        let star = |c: char| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            other => regex::escape(other.encode_utf8(&mut [0; 4])),
        };
        let inner: String = text.trim_start_matches('/').chars().map(star).collect();
        compile(&format!("(?:^|/){inner}$"), false)
    }

    pub(super) fn fits(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

fn check(text: &str) -> Result<(), PatternProblem> {
    match text.len() {
        0 => Err(PatternProblem::Empty),
        1..=LENGTH => Ok(()),
        _ => Err(PatternProblem::Long),
    }
}

fn compile(expression: &str, has_case: bool) -> Result<Pattern, PatternProblem> {
    let built = RegexBuilder::new(expression)
        .case_insensitive(!has_case)
        .multi_line(true)
        .crlf(true)
        .size_limit(COMPILED)
        .dfa_size_limit(REMEMBERED)
        .build();
    built.map(Pattern).map_err(|error| {
        let said = error.to_string();
        let last = said.lines().last().unwrap_or_default();
        PatternProblem::Syntax(base::name::shown(last.trim_start_matches("error: ")))
    })
}
