//! The CA check: what OpenSSL, rustls and git will each stumble over in a CA bundle. Reads one file; trusts nothing in it.

use std::collections::BTreeSet;
use std::path::Path;

use base::clock::Timestamp;
use base::{Finding, Severity};

use crate::catalogue::{self, Known};
use crate::certificate::Certificate;
use crate::container;
use crate::pem::{self, PemFault};
use crate::text::{line, moment};

/// The largest file that is looked at, in bytes.
const LIMIT: u64 = 16 << 20;

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
    Bundle { certificates: Vec::new(), findings: vec![known.found(Severity::Error, subject, message)] }
}

/// Judges the content of a CA bundle that is called `subject`, as of `now`.
pub fn read(bytes: &[u8], subject: &str, now: Timestamp) -> Bundle {
    if bytes.is_empty() {
        return only(&catalogue::CA_EMPTY, subject, "zero bytes".into());
    }
    let mut bundle = Bundle { certificates: Vec::new(), findings: Vec::new() };
    let ders = match open(bytes, subject, &mut bundle.findings) {
        Ok(ders) => ders,
        Err((known, message)) => return only(known, subject, message),
    };
    if ders.is_empty() {
        bundle.findings.push(catalogue::CA_NONE.found(Severity::Error, subject, "holds no certificate"));
    }
    for (index, der) in ders.iter().enumerate() {
        match Certificate::parse(der) {
            Some(certificate) => bundle.certificates.push(certificate),
            None => bundle.findings.push(catalogue::CA_DAMAGED.found(
                Severity::Error,
                format!("{subject}, certificate {}", index + 1),
                "does not parse as X.509",
            )),
        }
    }
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
fn judge(certificates: &[Certificate], now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has_authority = certificates.iter().any(Certificate::is_ca);
    let mut fingerprints = BTreeSet::new();
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
            issuer(certificate, certificates, &mut say);
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
    let claims_to_sign = certificate.key_usage.as_ref().is_some_and(|usage| usage.can_sign_certificates);
    let is_meant_as_authority = certificate.is_self_issued() || claims_to_sign;
    if is_meant_as_authority && certificate.basic_constraints.is_none() {
        let message = format!("an X.509 version {} certificate without basicConstraints", certificate.version);
        say(&catalogue::CA_NO_CONSTRAINTS, severity, message);
    } else {
        say(&catalogue::CA_LEAF, severity, format!("is no authority, it was issued by `{}`", certificate.issuer));
    }
}

fn issuer(certificate: &Certificate, all: &[Certificate], say: Say<'_>) {
    let is_there = all.iter().any(|other| other.is_ca() && other.subject_der == certificate.issuer_der);
    if !certificate.is_self_issued() && !is_there {
        let message = format!("its issuer `{}` is not in the file", certificate.issuer);
        say(&catalogue::CA_NO_ROOT, Severity::Warning, message);
    }
}

fn dates(certificate: &Certificate, now: i64, say: Say<'_>) {
    let end = moment(certificate.not_after);
    if certificate.not_after < now {
        say(&catalogue::CA_EXPIRED, Severity::Error, format!("expired on {end}, and it is {} here", moment(now)));
    } else if certificate.not_before > now {
        let start = moment(certificate.not_before);
        say(&catalogue::CA_NOT_YET, Severity::Error, format!("is valid from {start}, and it is {} here", moment(now)));
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
        "RSA" => 2048,
        "EC" => 256,
        _ => 0,
    };
    if certificate.key.bits < needed {
        let message = format!("has an {} key of {} bits", certificate.key.kind, certificate.key.bits);
        say(&catalogue::CA_SHORT_KEY, Severity::Error, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair, KeyUsagePurpose,
    };

    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        params
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn own(params: CertificateParams) -> String {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    /// The ids and severities that a file of this text gives.
    fn ids(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        base::file::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
        let show = |finding: &Finding| format!("{} {:?}", finding.id, finding.severity);
        check(&path, NOW).findings.iter().map(show).collect()
    }

    #[test]
    fn a_sound_root_has_nothing_against_it() {
        assert_eq!(ids(&own(authority("Root"))), ["GG-CA-020 Ok"]);
    }

    #[test]
    fn files_that_are_no_bundle_are_told_apart() {
        assert_eq!(check(Path::new("/no/such"), NOW).findings[0].id, "GG-CA-001");
        let key = KeyPair::generate().unwrap().serialize_pem();
        for (text, expected) in [
            ("", vec!["GG-CA-002 Error"]),
            ("junk", vec!["GG-CA-003 Error"]),
            (&key, vec!["GG-CA-013 Error", "GG-CA-005 Error"]),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", vec!["GG-CA-018 Error"]),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", vec!["GG-CA-018 Error"]),
        ] {
            assert_eq!(ids(text), expected, "{text}");
        }
    }

    /// A cut of 1 GiB, which takes no room on the disk.
    #[test]
    fn a_file_of_a_gibibyte_is_refused_without_being_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        let began = std::time::Instant::now();
        assert_eq!(check(&path, NOW).findings[0].id, "GG-CA-021");
        assert!(began.elapsed().as_secs() < 2);
    }

    #[test]
    fn a_certificate_with_ten_thousand_names_is_read_in_time_and_shown_in_part() {
        let mut many = params("many");
        many.subject_alt_names =
            (0..10_000).map(|n| rcgen::SanType::DnsName(format!("h{n}.acme.internal").try_into().unwrap())).collect();
        let text = own(many);
        let began = std::time::Instant::now();
        assert_eq!(ids(&text), ["GG-CA-007 Error", "GG-CA-024 Warning"]);
        assert!(began.elapsed().as_secs() < 5);
        let names = Certificate::parse(&der(&text)).unwrap().names;
        assert_eq!((names.len(), names[100].as_str()), (101, "and 9900 more"));
    }

    /// The same root as DER, in PKCS#7 in both forms, as a trusted certificate, and pasted among words with CRLF.
    #[test]
    fn every_wrapping_is_opened_and_named() {
        use crate::corpus_certificate::{oid, pem as block, sequence, tlv};
        let text = own(authority("Root"));
        let plain = der(&text);
        let data =
            sequence(&[&[2, 1, 1], &tlv(0x31, &[]), &sequence(&[&oid("1.2.840.113549.1.7.1")]), &tlv(0xa0, &[&plain])]);
        let container = sequence(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&data])]);
        let remarked = [&plain[..], &sequence(&[])].concat();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca");
        for (bytes, expected) in [
            (plain.clone(), "GG-CA-004"),
            (container.clone(), "GG-CA-022"),
            (block("PKCS7", &container).into_bytes(), "GG-CA-022"),
            (block("TRUSTED CERTIFICATE", &remarked).into_bytes(), "GG-CA-023"),
            (format!("\u{feff}Dear all,\r\n{}\r\nYours", text.replace('\n', "\r\n")).into_bytes(), "GG-CA-020"),
        ] {
            base::file::write_atomic(&path, &bytes, 0o600).unwrap();
            let bundle = check(&path, NOW);
            let ids: Vec<_> = bundle.findings.iter().map(|finding| finding.id).collect();
            assert_eq!((ids, bundle.certificates.len()), (vec![expected], 1));
        }
        base::file::write_atomic(&path, b"\x30\x82\x01\x00\xff\xfe", 0o600).unwrap();
        assert_eq!(check(&path, NOW).findings[0].message, "DER, but neither a certificate nor PKCS#7");
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = base::process::Program::new("mkfifo").operands([&path]).run(b"").unwrap();
        assert!(made.status.success(), "{}", made.stderr);
        assert_eq!(check(&path, NOW).findings[0].id, "GG-CA-001");
    }

    #[test]
    fn a_leaf_in_place_of_a_ca_is_an_error_and_beside_one_a_warning() {
        let root = CertifiedIssuer::self_signed(authority("Root"), KeyPair::generate().unwrap()).unwrap();
        let leaf = params("gitlab.acme.internal").signed_by(&KeyPair::generate().unwrap(), &root).unwrap().pem();
        assert_eq!(ids(&leaf), ["GG-CA-006 Error"]);
        assert_eq!(ids(&format!("{}{leaf}", root.pem())), ["GG-CA-006 Warning"]);
    }

    #[test]
    fn a_self_made_ca_without_its_extensions_is_named() {
        assert_eq!(ids(&own(params("Home-made CA"))), ["GG-CA-007 Error"]);
        let mut no_usage = authority("Root");
        no_usage.key_usages.clear();
        assert_eq!(ids(&own(no_usage)), ["GG-CA-009 Warning"]);
        let mut cannot_sign = authority("Root");
        cannot_sign.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        assert_eq!(ids(&own(cannot_sign)), ["GG-CA-010 Error"]);
        let mut not_critical = params("Root");
        not_critical.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let constraints = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 1, 1, 0xff]);
        not_critical.custom_extensions.push(constraints);
        assert_eq!(ids(&own(not_critical)), ["GG-CA-008 Warning"]);
    }

    #[test]
    fn dates_are_held_against_the_clock() {
        let mut past = authority("Root");
        past.not_after = rcgen::date_time_ymd(2026, 2, 1);
        assert_eq!(ids(&own(past)), ["GG-CA-011 Error"]);
        let mut future = authority("Root");
        future.not_before = rcgen::date_time_ymd(2030, 1, 1);
        assert_eq!(ids(&own(future)), ["GG-CA-012 Error"]);
        let mut soon = authority("Root");
        soon.not_after = rcgen::date_time_ymd(2026, 11, 30);
        assert_eq!(ids(&own(soon)), ["GG-CA-019 Warning"]);
    }

    #[test]
    fn an_intermediate_wants_its_root_and_nothing_twice() {
        let root = CertifiedIssuer::self_signed(authority("Root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate = authority("Issuing").signed_by(&KeyPair::generate().unwrap(), &root).unwrap().pem();
        assert_eq!(ids(&intermediate), ["GG-CA-017 Warning"]);
        assert_eq!(ids(&format!("{intermediate}{}", root.pem())), ["GG-CA-020 Ok"]);
        assert_eq!(ids(&format!("{0}{0}", root.pem())), ["GG-CA-014 Warning"]);
    }

    #[test]
    fn weak_signatures_and_short_keys_are_errors() {
        let mut weak = Certificate::parse(&der(&own(authority("Root")))).unwrap();
        weak.signature.is_weak = true;
        weak.key = crate::certificate::Key { kind: "RSA".into(), bits: 1024 };
        let found: Vec<_> = judge(&[weak], NOW).iter().map(|finding| finding.id).collect();
        assert_eq!(found, ["GG-CA-015", "GG-CA-016"]);
    }

    fn der(text: &str) -> Vec<u8> {
        pem::read(text.as_bytes()).unwrap().certificates.remove(0)
    }
}
