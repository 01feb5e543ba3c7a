//! What a check says: a stable id, how bad, about what, why, and the fix.

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The check passed; kept so that a report shows what was looked at.
    Ok,
    /// The check could not look, or was not asked to; the message says why. Proves nothing either way.
    Unknown,
    /// Works today, but the operator should know.
    Warning,
    /// Does not work, or will not.
    Error,
}

/// One result of one check. Texts are lower case without a full stop and never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, `GG-<AREA>-<NNN>`; never reused for another meaning.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The thing looked at: a variable, a file, a host.
    pub subject: String,
    /// The line of the file that was looked at, from 1, where one is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What was seen.
    pub message: String,
    /// Why it is so, as far as the check can tell; empty when the message says it all.
    pub cause: String,
    /// What to do; empty on [`Severity::Ok`] and [`Severity::Unknown`].
    pub fix: String,
    /// The manual's page, as a path under `docs/`.
    pub doc: String,
}
