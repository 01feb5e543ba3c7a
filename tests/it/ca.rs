//! `ca check` and `ca show` through the real binary.

use crate::gitlab_stub::{Authorities, Stub};
use crate::require;
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

/// What `ca check --host` says of `chain`, with an empty PATH, so that nothing but the program itself can judge.
fn verdicts(authorities: &str, chain: &str, host: &str) -> (i32, String) {
    let arguments = ["ca", "check", "--host", host, "--chain", "chain.pem", "ca.pem"];
    let done = Run::new(arguments).env("PATH", "").file("ca.pem", authorities).file("chain.pem", chain).finished();
    assert_eq!(done.stderr, "");
    (done.status.code().unwrap(), out(&done))
}

#[test]
fn every_stack_accepts_a_sound_chain_and_names_the_host_it_is_not_for() {
    let authorities = Authorities::new("Acme Root");
    let leaf = authorities.leaf(&["gitlab.acme.internal"]);
    let (_, text) = verdicts(&authorities.root_pem(), leaf.leaf_pem(), "gitlab.acme.internal");
    assert!(text.contains("GG-CA-030  gitlab.acme.internal: rustls accepts\n"), "{text}");
    assert!(text.contains("GG-CA-030  gitlab.acme.internal: GnuTLS accepts\n"), "{text}");
    let (code, text) = verdicts(&authorities.root_pem(), leaf.leaf_pem(), "other.acme.internal");
    assert!(
        code == 3 && text.contains("GG-CA-038  other.acme.internal: rustls refuses `CN=gitlab.acme.internal`"),
        "{text}"
    );
    assert!(text.contains("GG-CA-046  other.acme.internal: replace the server's certificate"), "{text}");
}

#[test]
fn a_leaf_given_for_the_ca_is_told_with_the_stacks_that_take_it() {
    let leaf = Authorities::new("Acme Root").leaf(&["gitlab.acme.internal"]);
    let (code, text) = verdicts(leaf.leaf_pem(), leaf.leaf_pem(), "gitlab.acme.internal");
    let remedy = "add `CN=Acme Root`, which issued the server's certificate, to the authorities; accepted as it is by";
    assert!(
        code == 3 && text.contains(remedy) && text.contains("refused by rustls, OpenSSL, OpenSSL strict"),
        "{text}"
    );
}

#[test]
fn a_server_is_asked_for_its_chain_although_it_does_not_verify() {
    let (ours, theirs) = (Authorities::new("Acme Root"), Authorities::new("Beta Root"));
    let stub = Stub::start(theirs.leaf(&["gitlab.acme.internal"]), crate::gitlab_stub::gitlab());
    let host = format!("gitlab.acme.internal:{}", stub.port());
    let arguments = ["ca", "check", "--host", &host, "--connect", "127.0.0.1", "ca.pem"];
    let done = Run::new(arguments).file("ca.pem", &ours.root_pem()).finished();
    let text = out(&done);
    assert_eq!((done.status.code(), text.matches("GG-CA-031").count()), (Some(3), 5), "{text}");
    assert!(text.contains("add `CN=Beta Root`"), "{text}");
}

#[test]
fn a_bundle_is_split_into_named_files_and_never_over_others() {
    let authorities = Authorities::new("Acme Root");
    let bundle = format!("{}{}", authorities.intermediate_pem(), authorities.root_pem());
    let named = "./01-acme-root-issuing.pem  CN=Acme Root Issuing\n./02-acme-root.pem  CN=Acme Root\n";
    assert_eq!(ca(["ca", "split", "--dry-run", "ca.pem"], &bundle), (0, named.to_owned()));
    let done = Run::new(["ca", "split", "ca.pem"]).file("ca.pem", &bundle).file("02-acme-root.pem", "mine").finished();
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stderr.contains("`./02-acme-root.pem` is there already"), "{}", done.stderr);
}

/// In a root of its own: the machine's store is not touched.
#[test]
fn what_is_trusted_is_in_the_hosts_bundle_until_it_is_taken_back() {
    let program = require::program("update-ca-certificates").map(|_| ());
    if !require::has("update-ca-certificates", program) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    for below in [
        "etc/ssl/certs",
        "etc/ca-certificates/update.d",
        "usr/share/ca-certificates",
        "usr/local/share/ca-certificates",
    ] {
        std::fs::create_dir_all(folder.path().join(below)).unwrap();
    }
    base::file::write_atomic(&folder.path().join("etc/ca-certificates.conf"), b"", 0o644).unwrap();
    let pem = Authorities::new("Acme Root").root_pem();
    let trust = |more: &[&str]| {
        let arguments = ["ca", "trust", "--root", root, more[0], more.get(1).copied().unwrap_or("--json")];
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let done = Run::new(arguments).env("PATH", path).file("ca.pem", &pem).finished();
        assert_eq!((done.status.code(), done.stderr.as_str()), (Some(0), ""), "{more:?}");
        out(&done)
    };
    let bundle =
        || std::fs::read_to_string(folder.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap_or_default();
    let line = pem.lines().nth(1).unwrap();
    assert!(trust(&["--dry-run", "ca.pem"]).starts_with("write    ") && bundle().is_empty());
    trust(&["--docker=registry.acme.internal:5000", "ca.pem"]);
    assert!(bundle().contains(line));
    assert!(folder.path().join("etc/docker/certs.d/registry.acme.internal:5000/ca.crt").is_file());
    assert_eq!(trust(&["ca.pem"]), "[]\n");
    trust(&["--undo"]);
    assert!(!bundle().contains(line));
    assert!(!folder.path().join("etc/docker/certs.d/registry.acme.internal:5000/ca.crt").exists());
}
