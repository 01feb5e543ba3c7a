//! The smoke test of the seeds: four checks, their exact lines and order. Each check runs whatever the others said;
//! none prints OK for something it did not do.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::catalogue::{self, Known};
use crate::egress::Egress;
use crate::gitlab;
use crate::isolation::Targets;
use crate::text::line;
use crate::trust::{Trust, TrustError};

/// How a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but look at it; never changes the exit code.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How it begins.
    pub status: Status,
    /// The finding's stable id.
    pub id: &'static str,
    /// The rest of the line.
    pub text: String,
}

impl Line {
    /// A check that passed.
    pub fn ok(known: &'static Known, text: String) -> Self {
        Self { status: Status::Ok, id: known.id, text }
    }

    /// A check that passed with a remark.
    pub fn warn(known: &'static Known, text: String) -> Self {
        Self { status: Status::Warn, id: known.id, text }
    }

    /// A check that failed.
    pub fn fail(known: &'static Known, text: String) -> Self {
        Self { status: Status::Fail, id: known.id, text }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Ok => "OK",
            Status::Warn => "WARN",
            Status::Fail => "FAIL",
        };
        write!(out, "{status:<4}  {}", self.text)
    }
}

/// The last line of a report.
pub fn closing(is_passed: bool) -> &'static str {
    if is_passed { "airgap_smoketest PASSED" } else { "airgap_smoketest FAILED — see lines marked FAIL above." }
}

/// What the smoke test is about.
#[derive(Clone, Debug)]
pub struct Questions {
    /// `GITLAB_URL`.
    pub gitlab_url: Option<String>,
    /// `REQUESTS_CA_BUNDLE`, or what stands in for it on a host.
    pub ca_bundle: Option<String>,
}

/// Runs the first three checks. `say` gets each line as soon as it is known.
pub async fn gitlab(questions: &Questions, say: &mut dyn FnMut(Line)) {
    let (line, base) = gitlab::address(questions.gitlab_url.as_deref());
    say(line);
    let (line, trust) = ca_bundle(questions.ca_bundle.as_deref());
    say(line);
    // Without an address or a trust store there is nothing to ask with; the line above names the one fault.
    let (Some(base), Some(trust)) = (base, trust) else { return };
    let trust = match trust {
        Store::Bundle(trust) => trust,
        Store::System => Trust::system(),
    };
    let result = match Egress::new(&base, &trust) {
        Ok(egress) => egress.get(gitlab::VERSION_PATH).await,
        Err(error) => Err(error),
    };
    say(gitlab::answer(&base, &result));
}

/// Runs the fourth check: `value` is GITGRIT_ISOLATION_TARGETS.
pub async fn isolation(value: Option<&str>, say: &mut dyn FnMut(Line)) {
    match Targets::parse(value) {
        Ok(targets) => targets.probe().await.into_iter().for_each(say),
        Err(error) => say(Line::fail(&catalogue::SMOKE_TARGETS, format!("GITGRIT_ISOLATION_TARGETS: {error}"))),
    }
}

/// What to verify with.
#[derive(Debug)]
enum Store {
    /// The operator's bundle.
    Bundle(Trust),
    /// The system's own, which is large and only read when a request is made.
    System,
}

/// Judges REQUESTS_CA_BUNDLE. No store after a FAIL.
fn ca_bundle(value: Option<&str>) -> (Line, Option<Store>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        let text = "REQUESTS_CA_BUNDLE is not set — TLS will fall back to the container's default trust store, which \
                    usually does not include your operator CA";
        return (Line::warn(&catalogue::SMOKE_CA_UNSET, text.into()), Some(Store::System));
    };
    let path = PathBuf::from(value);
    match Trust::load(&path) {
        Ok(trust) => {
            let text = format!("REQUESTS_CA_BUNDLE={} ({} bytes)", line(value), trust.bytes);
            (Line::ok(&catalogue::SMOKE_CA, text), Some(Store::Bundle(trust)))
        }
        Err(error) => (refused(&path, &error), None),
    }
}

fn refused(path: &Path, error: &TrustError) -> Line {
    let path = line(&path.display().to_string());
    let set = format!("REQUESTS_CA_BUNDLE={path}");
    match error {
        TrustError::Unreadable { .. } => Line::fail(
            &catalogue::SMOKE_CA_UNREADABLE,
            format!("{set} but the file is not readable from inside the container"),
        ),
        TrustError::Empty { .. } => {
            Line::fail(&catalogue::SMOKE_CA_EMPTY, format!("{path} is zero bytes — check the host-side file"))
        }
        TrustError::NotPem { .. } | TrustError::TooLarge { .. } => Line::fail(
            &catalogue::SMOKE_CA_NOT_PEM,
            format!("{set} but the file is not PEM (no BEGIN CERTIFICATE line) — check the host-side file"),
        ),
        TrustError::Der { .. } => Line::fail(
            &catalogue::SMOKE_CA_DER,
            format!("{set} but the file is DER, not PEM — convert it: openssl x509 -inform der -in {path} -out ca.pem"),
        ),
        TrustError::Damaged { reason, .. } => Line::fail(
            &catalogue::SMOKE_CA_DAMAGED,
            format!("{set} but the file is damaged: {reason} — check the host-side file"),
        ),
        TrustError::NoCertificate { .. } => Line::fail(
            &catalogue::SMOKE_CA_NONE,
            format!("{set} but the file holds no certificate — check the host-side file"),
        ),
        TrustError::OnlyLeaf { subject, issuer, .. } => Line::fail(
            &catalogue::SMOKE_CA_LEAF,
            format!(
                "{set} but the file holds no CA certificate, only '{subject}' issued by '{issuer}' — it must hold the CA \
                 chain that signed your GitLab's cert (not the server cert itself)"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bundle_is_a_warning_and_leaves_the_system_store() {
        for unset in [None, Some("")] {
            let (line, trust) = ca_bundle(unset);
            assert_eq!(
                line.to_string(),
                "WARN  REQUESTS_CA_BUNDLE is not set — TLS will fall back to the container's default trust store, which \
                 usually does not include your operator CA"
            );
            assert!(matches!(trust, Some(Store::System)));
        }
    }

    #[test]
    fn a_missing_bundle_is_one_fail_line_and_no_trust() {
        let (line, trust) = ca_bundle(Some("/no/such/ca.pem"));
        assert_eq!(
            line.to_string(),
            "FAIL  REQUESTS_CA_BUNDLE=/no/such/ca.pem but the file is not readable from inside the container"
        );
        assert!(trust.is_none());
    }

    #[test]
    fn statuses_are_padded_to_one_column() {
        let line = |status| Line { status, id: "", text: "x".into() }.to_string();
        assert_eq!([line(Status::Ok), line(Status::Warn), line(Status::Fail)], ["OK    x", "WARN  x", "FAIL  x"]);
    }
}
