//! The findings about a server's chain: what each TLS stack says, and the one certificate to add or replace.

use base::clock::Timestamp;
use base::{Finding, Severity};

use crate::authority::Bundle;
use crate::catalogue::{self, Known};
use crate::certificate::Certificate;
use crate::peer::Peer;
use crate::presented::{self, PresentedError, Target};
use crate::verdict::{self, Cause, Report, Stack, Verdict};

/// What there is to say of a server's chain.
#[derive(Debug)]
pub struct Served {
    /// The verdicts; none when there is no chain.
    pub report: Option<Report>,
    /// The same as findings.
    pub findings: Vec<Finding>,
}

/// Asks the server at `target` for its chain and judges it with `authorities`.
pub fn ask(target: &Target, authorities: &[Certificate], now: Timestamp) -> Served {
    match presented::chain(target, presented::DEADLINE) {
        Ok(chain) => judge(&chain, &target.peer, authorities, now),
        Err(error) => {
            let known = match error {
                PresentedError::Name { .. } | PresentedError::Connect { .. } => &catalogue::CA_NO_CONNECTION,
                PresentedError::Slow { .. } | PresentedError::Handshake { .. } => &catalogue::CA_NO_CHAIN,
            };
            Served {
                report: None,
                findings: vec![known.found(Severity::Error, target.peer.to_string(), error.to_string())],
            }
        }
    }
}

/// Judges the chain that was saved in a file, the server's own certificate first, with `authorities`. The file may be
/// wrapped in any way that [`crate::authority`] opens; what else there is to say of its certificates, the stacks say.
pub fn saved(chain: &Bundle, peer: &Peer, authorities: &[Certificate], now: Timestamp) -> Served {
    if chain.certificates.is_empty() {
        let mut findings = chain.findings.clone();
        findings.push(catalogue::CA_NO_CHAIN.found(Severity::Error, peer.to_string(), "the file holds no chain"));
        return Served { report: None, findings };
    }
    let ders: Vec<Vec<u8>> = chain.certificates.iter().map(|certificate| certificate.der.clone()).collect();
    judge(&ders, peer, authorities, now)
}

fn judge(chain: &[Vec<u8>], peer: &Peer, authorities: &[Certificate], now: Timestamp) -> Served {
    let subject = peer.to_string();
    let authorities: Vec<Vec<u8>> = authorities.iter().map(|authority| authority.der.clone()).collect();
    let Some(report) = verdict::judge(chain, &authorities, Some(peer), now.seconds()) else {
        let message = "the server's own certificate does not parse as X.509";
        return Served {
            report: None,
            findings: vec![catalogue::CA_NO_CHAIN.found(Severity::Error, subject, message)],
        };
    };
    let mut findings: Vec<Finding> = report.verdicts.iter().map(|verdict| finding(verdict, &subject)).collect();
    if let Some(remedy) = &report.remedy {
        findings.push(catalogue::CA_REMEDY.found(Severity::Warning, subject.clone(), remedy.clone()));
    }
    for oddity in &report.oddities {
        findings.push(catalogue::CA_ODD_CHAIN.found(Severity::Warning, subject.clone(), oddity.clone()));
    }
    Served { report: Some(report), findings }
}

fn finding(verdict: &Verdict, subject: &str) -> Finding {
    let name = verdict.stack.name();
    let Some(refusal) = &verdict.refusal else {
        return catalogue::CA_STACK_FINE.found(Severity::Ok, subject, format!("{name} accepts"));
    };
    if refusal.cause == Cause::NotComputed {
        let message = format!("{name}: cannot say: `{}`: {}", refusal.subject, refusal.why);
        return catalogue::CA_STACK_UNSAID.found(Severity::Warning, subject, message);
    }
    // Nothing is strict by default but Python 3.13, which has its own line.
    let severity = if verdict.stack == Stack::OpensslStrict { Severity::Warning } else { Severity::Error };
    known(refusal.cause).found(severity, subject, format!("{name} refuses `{}`: {}", refusal.subject, refusal.why))
}

fn known(cause: Cause) -> &'static Known {
    match cause {
        Cause::Untrusted => &catalogue::CA_STACK_UNTRUSTED,
        Cause::Signature => &catalogue::CA_STACK_SIGNATURE,
        Cause::NotAuthority => &catalogue::CA_STACK_NOT_AUTHORITY,
        Cause::PathLength => &catalogue::CA_STACK_PATH_LENGTH,
        Cause::Purpose => &catalogue::CA_STACK_PURPOSE,
        Cause::Expired => &catalogue::CA_STACK_EXPIRED,
        Cause::NotYetValid => &catalogue::CA_STACK_NOT_YET,
        Cause::Name => &catalogue::CA_STACK_NAME,
        Cause::NameConstraints => &catalogue::CA_STACK_CONSTRAINTS,
        Cause::WeakSignature => &catalogue::CA_STACK_WEAK,
        Cause::ShortKey => &catalogue::CA_STACK_SHORT,
        Cause::CriticalExtension => &catalogue::CA_STACK_CRITICAL,
        Cause::Form => &catalogue::CA_STACK_FORM,
        Cause::Version => &catalogue::CA_STACK_VERSION,
        Cause::Malformed => &catalogue::CA_STACK_MALFORMED,
        Cause::Algorithm => &catalogue::CA_STACK_ALGORITHM,
        Cause::NotComputed => &catalogue::CA_STACK_UNSAID,
    }
}
