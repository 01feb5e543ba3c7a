//! Tests of authority.rs: what is said of files of every kind.

use std::path::Path;

use base::Finding;
use base::clock::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::authority::{MOST, check, judge, read};
use crate::certificate::Certificate;
use crate::pem;

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
    assert!(began.elapsed().as_secs() < 30);
}

#[test]
fn a_certificate_with_ten_thousand_names_is_read_in_time_and_shown_in_part() {
    let mut many = params("many");
    many.subject_alt_names =
        (0..10_000).map(|n| rcgen::SanType::DnsName(format!("h{n}.acme.internal").try_into().unwrap())).collect();
    let text = own(many);
    let began = std::time::Instant::now();
    assert_eq!(ids(&text), ["GG-CA-007 Error", "GG-CA-024 Warning"]);
    assert!(began.elapsed().as_secs() < 60);
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
fn of_very_many_certificates_the_first_are_looked_at_and_it_is_said() {
    let text = own(authority("Root")).repeat(MOST + 500);
    let began = std::time::Instant::now();
    let bundle = read(text.as_bytes(), "ca.pem", NOW);
    assert_eq!(bundle.certificates.len(), MOST);
    assert_eq!(bundle.of_file()[0].message, "holds 2500 certificates; the first 2000 were looked at");
    assert!(began.elapsed().as_secs() < 120);
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
