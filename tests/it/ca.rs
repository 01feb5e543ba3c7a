//! `ca check` and `ca show` through the real binary.

use crate::gitlab_stub::Authorities;
use crate::site::out;
use crate::snapshot::Run;

/// Exit code and output of `ca VERB ca.pem` with this content.
fn ca<const N: usize>(arguments: [&str; N], content: &str) -> (i32, String) {
    let done = Run::new(arguments).file("ca.pem", content).finished();
    assert_eq!(done.stderr, "");
    (done.status.code().unwrap(), out(&done))
}

#[test]
fn a_sound_bundle_passes() {
    let pem = Authorities::new("Acme Root").root_pem();
    let expected = "ok       GG-CA-020  ca.pem: 1 certificate(s), nothing to say against them\n";
    assert_eq!(ca(["ca", "check", "ca.pem"], &pem), (0, expected.to_owned()));
}

#[test]
fn the_leaf_for_ca_trap_is_named_with_its_issuer() {
    let leaf = Authorities::new("Acme Root").leaf(&["gitlab.acme.internal"]);
    let (code, text) = ca(["ca", "check", "ca.pem"], leaf.leaf_pem());
    let first = "error    GG-CA-006  certificate 1 `CN=gitlab.acme.internal`: is no authority, it was issued by `CN=Acme Root`\n";
    assert!(code == 3 && text.starts_with(first), "{text}");
}

#[test]
fn warnings_fail_only_when_strict() {
    let pem = Authorities::new("Acme Root").intermediate_pem();
    let (code, text) = ca(["ca", "check", "ca.pem"], &pem);
    assert!(code == 0 && text.starts_with("warning  GG-CA-017"), "{text}");
    assert_eq!(ca(["ca", "check", "--strict", "ca.pem"], &pem).0, 4);
}

#[test]
fn show_prints_every_certificate_and_json_the_same_facts() {
    let authorities = Authorities::new("Acme Root");
    let bundle = format!("{}{}", authorities.intermediate_pem(), authorities.root_pem());
    let (code, text) = ca(["ca", "show", "ca.pem"], &bundle);
    assert!(code == 0 && text.contains("certificate 1\n  subject      CN=Acme Root Issuing\n"), "{text}");
    assert!(text.contains("certificate 2\n  subject      CN=Acme Root\n"), "{text}");
    assert!(text.contains("  constraints  critical, CA:TRUE\n"), "{text}");
    assert!(text.contains("  key usage    critical, digitalSignature, keyCertSign, cRLSign\n"), "{text}");
    let (code, text) = ca(["ca", "show", "--json", "ca.pem"], &bundle);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let root = &report["certificates"][1];
    assert_eq!((code, &root["subject"], &root["is_self_signed"]), (0, &"CN=Acme Root".into(), &true.into()));
    assert_eq!(root["basic_constraints"]["is_ca"], true);
}

#[test]
fn what_is_no_bundle_is_exit_3_for_both_verbs() {
    for verb in ["check", "show"] {
        let (code, text) = ca(["ca", verb, "ca.pem"], "junk\n");
        assert!(code == 3 && text.starts_with("error    GG-CA-003  ca.pem: no BEGIN CERTIFICATE line\n"), "{text}");
        let (code, text) = ca(["ca", verb, "none.pem"], "");
        assert!(code == 3 && text.starts_with("error    GG-CA-001  none.pem: not a readable file\n"), "{text}");
    }
}
