//! The CA check: what OpenSSL, rustls and git will each stumble over in a CA bundle. Reads one file; trusts nothing in it.

use std::collections::BTreeSet;
use std::path::Path;

use base::clock::Timestamp;
use base::{Finding, Severity};

use crate::catalogue::{self, Known};
use crate::certificate::Certificate;
use crate::container;
use crate::pem::{self, PemFault};
use crate::text::{ahead, behind, line, moment};

/// The largest file that is looked at, in bytes.
const LIMIT: u64 = 16 << 20;

/// How many certificates of a file are looked at. The whole web's authorities are fewer than 200.
pub(crate) const MOST: usize = 2000;

/// How many names a certificate may have before it is spoken of: some TLS stacks refuse to compare more.
const MANY: usize = 1000;

/// How long before its end a certificate is spoken of, in seconds.
const SOON: i64 = 30 * 24 * 3600;

/// What a CA file holds and what there is to say about it.
#[derive(Debug)]
pub struct Bundle {
    /// The certificates that parse, in the file's order.
    pub certificates: Vec<Certificate>,
    /// What is wrong with file or certificates; one [`Severity::Ok`] when nothing is.
    pub findings: Vec<Finding>,
    /// How many of the findings, from the first, are about the file.
    of_file: usize,
}

impl Bundle {
    /// What there is to say of the file itself: how it is wrapped, what else is inside, what cannot be read.
    pub fn of_file(&self) -> &[Finding] {
        self.findings.get(..self.of_file).unwrap_or_default()
    }

    /// Says whether the file holds more certificates than were looked at.
    pub fn is_cut(&self) -> bool {
        self.of_file().iter().any(|finding| finding.id == catalogue::CA_TOO_MANY.id)
    }
}

/// Reads and judges the CA bundle at `path`, as of `now`.
pub fn check(path: &Path, now: Timestamp) -> Bundle {
    let subject = line(&path.display().to_string());
    // A named pipe that nobody writes to would be waited for.
    let is_file = std::fs::metadata(path).is_ok_and(|facts| facts.is_file());
    match is_file.then(|| base::file::read_bytes(path, LIMIT)) {
        Some(Ok(bytes)) => read(&bytes, &subject, now),
        Some(Err(base::file::FileError::TooLarge { .. })) => {
            only(&catalogue::CA_TOO_LARGE, &subject, "larger than 16 MiB".into())
        }
        _ => only(&catalogue::CA_UNREADABLE, &subject, "not a readable file".into()),
    }
}

/// A bundle that is nothing but one finding.
fn only(known: &'static Known, subject: &str, message: String) -> Bundle {
    Bundle { certificates: Vec::new(), findings: vec![known.found(Severity::Error, subject, message)], of_file: 1 }
}

/// Judges the content of a CA bundle that is called `subject`, as of `now`.
pub fn read(bytes: &[u8], subject: &str, now: Timestamp) -> Bundle {
    if bytes.is_empty() {
        return only(&catalogue::CA_EMPTY, subject, "zero bytes".into());
    }
    let mut bundle = Bundle { certificates: Vec::new(), findings: Vec::new(), of_file: 0 };
    let ders = match open(bytes, subject, &mut bundle.findings) {
        Ok(ders) => ders,
        Err((known, message)) => return only(known, subject, message),
    };
    if ders.is_empty() {
        bundle.findings.push(catalogue::CA_NONE.found(Severity::Error, subject, "holds no certificate"));
    }
    if ders.len() > MOST {
        let message = format!("holds {} certificates; the first {MOST} were looked at", ders.len());
        bundle.findings.push(catalogue::CA_TOO_MANY.found(Severity::Error, subject, message));
    }
    for (index, der) in ders.iter().take(MOST).enumerate() {
        match Certificate::parse(der) {
            Some(certificate) => bundle.certificates.push(certificate),
            None => bundle.findings.push(catalogue::CA_DAMAGED.found(
                Severity::Error,
                format!("{subject}, certificate {}", index + 1),
                "does not parse as X.509",
            )),
        }
    }
    bundle.of_file = bundle.findings.len();
    bundle.findings.extend(judge(&bundle.certificates, now));
    if bundle.findings.is_empty() {
        let message = format!("{} certificate(s), nothing to say against them", bundle.certificates.len());
        bundle.findings.push(catalogue::CA_FINE.found(Severity::Ok, subject, message));
    }
    bundle
}

/// The certificates of a file, whatever they are wrapped in, with a finding for each wrapping that most readers do not open.
fn open(bytes: &[u8], subject: &str, findings: &mut Vec<Finding>) -> Result<Vec<Vec<u8>>, (&'static Known, String)> {
    let mut say = |known: &'static Known, message: String| {
        findings.push(known.found(Severity::Error, subject, message));
    };
    let blocks = match pem::read(bytes) {
        Ok(blocks) => blocks,
        Err(PemFault::NotPem) => return Err((&catalogue::CA_NOT_PEM, "no BEGIN CERTIFICATE line".into())),
        Err(PemFault::Damaged(reason)) => return Err((&catalogue::CA_DAMAGED, reason)),
        Err(PemFault::Der) => {
            if let Some(ders) = container::signed_data(bytes) {
                say(&catalogue::CA_CONTAINER, format!("a PKCS#7 container with {} certificate(s)", ders.len()));
                return Ok(ders);
            }
            if Certificate::parse(bytes).is_none() {
                return Err((&catalogue::CA_DER, "DER, but neither a certificate nor PKCS#7".into()));
            }
            say(&catalogue::CA_DER, "a DER certificate, not PEM".into());
            return Ok(vec![bytes.to_vec()]);
        }
    };
    if blocks.private_keys > 0 {
        say(&catalogue::CA_PRIVATE_KEY, format!("holds {} private key(s)", blocks.private_keys));
    }
    let mut ders = blocks.certificates;
    for container in &blocks.containers {
        let inside = container::signed_data(container).unwrap_or_default();
        say(&catalogue::CA_CONTAINER, format!("a PKCS7 block with {} certificate(s)", inside.len()));
        ders.extend(inside);
    }
    for trusted in &blocks.trusted {
        say(&catalogue::CA_TRUSTED, "a TRUSTED CERTIFICATE block".into());
        ders.extend(container::first(trusted).map(<[u8]>::to_vec));
    }
    Ok(ders)
}

/// Judges the certificates of one bundle, each by itself and all together.
pub(crate) fn judge(certificates: &[Certificate], now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has_authority = certificates.iter().any(Certificate::is_ca);
    let mut fingerprints = BTreeSet::new();
    let subjects: BTreeSet<&[u8]> = certificates
        .iter()
        .filter(|certificate| certificate.is_ca())
        .map(|certificate| certificate.subject_der.as_slice())
        .collect();
    for (index, certificate) in certificates.iter().enumerate() {
        let subject = format!("certificate {} `{}`", index + 1, certificate.subject);
        let mut say = |known: &'static Known, severity: Severity, message: String| {
            findings.push(known.found(severity, subject.clone(), message));
        };
        if !fingerprints.insert(certificate.fingerprint.as_str()) {
            say(&catalogue::CA_DUPLICATE, Severity::Warning, "stands in the file before".into());
            continue;
        }
        if certificate.is_ca() {
            authority(certificate, &mut say);
            issuer(certificate, &subjects, &mut say);
        } else {
            not_an_authority(certificate, has_authority, &mut say);
        }
        if certificate.name_count > MANY {
            say(&catalogue::CA_MANY_NAMES, Severity::Warning, format!("is for {} names", certificate.name_count));
        }
        dates(certificate, now.seconds(), &mut say);
        strength(certificate, &mut say);
    }
    findings
}

type Say<'s> = &'s mut dyn FnMut(&'static Known, Severity, String);

fn authority(certificate: &Certificate, say: Say<'_>) {
    if certificate.basic_constraints.is_some_and(|constraints| !constraints.is_critical) {
        say(&catalogue::CA_NOT_CRITICAL, Severity::Warning, "basicConstraints is not critical".into());
    }
    match &certificate.key_usage {
        None => say(&catalogue::CA_NO_USAGE, Severity::Warning, "has no keyUsage".into()),
        Some(usage) if !usage.can_sign_certificates => {
            let uses = usage.uses.join(", ");
            say(&catalogue::CA_CANNOT_SIGN, Severity::Error, format!("keyUsage is {uses}, without keyCertSign"));
        }
        Some(_) => {}
    }
}

fn not_an_authority(certificate: &Certificate, has_authority: bool, say: Say<'_>) {
    let severity = if has_authority { Severity::Warning } else { Severity::Error };
    if certificate.is_meant_as_authority() && certificate.basic_constraints.is_none() {
        let message = format!("an X.509 version {} certificate without basicConstraints", certificate.version);
        say(&catalogue::CA_NO_CONSTRAINTS, severity, message);
    } else {
        say(&catalogue::CA_LEAF, severity, format!("is no authority, it was issued by `{}`", certificate.issuer));
    }
}

fn issuer(certificate: &Certificate, authorities: &BTreeSet<&[u8]>, say: Say<'_>) {
    let is_there = authorities.contains(certificate.issuer_der.as_slice());
    if !certificate.is_self_issued() && !is_there {
        let message = format!("its issuer `{}` is not in the file", certificate.issuer);
        say(&catalogue::CA_NO_ROOT, Severity::Warning, message);
    }
}

fn dates(certificate: &Certificate, now: i64, say: Say<'_>) {
    let end = moment(certificate.not_after);
    if certificate.not_after < now {
        say(
            &catalogue::CA_EXPIRED,
            Severity::Error,
            format!("expired on {end}, and it is {} here; {}", moment(now), ahead(now - certificate.not_after)),
        );
    } else if certificate.not_before > now {
        let start = moment(certificate.not_before);
        let message =
            format!("is valid from {start}, and it is {} here; {}", moment(now), behind(certificate.not_before - now));
        say(&catalogue::CA_NOT_YET, Severity::Error, message);
    } else if certificate.not_after - now < SOON {
        say(&catalogue::CA_SOON, Severity::Warning, format!("expires on {end}"));
    }
}

fn strength(certificate: &Certificate, say: Say<'_>) {
    if certificate.signature.is_weak {
        // Nobody verifies a root's signature on itself; below it, libraries refuse.
        let severity = if certificate.is_self_issued() { Severity::Warning } else { Severity::Error };
        say(&catalogue::CA_WEAK_SIGNATURE, severity, format!("is signed with {}", certificate.signature.algorithm));
    }
    let needed = match certificate.key.kind.as_str() {
        "RSA" | "RSA-PSS" => 2048,
        "EC" => 256,
        _ => 0,
    };
    if certificate.key.bits < needed {
        let message = format!("has an {} key of {} bits", certificate.key.kind, certificate.key.bits);
        say(&catalogue::CA_SHORT_KEY, Severity::Error, message);
    }
}
