//! `ca check`, `show`, `split` and `trust` through the real binary.

use std::os::unix::process::ExitStatusExt;

use base::process::Finished;

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

/// A root and a server's certificate below it that even strict readers take.
fn sound() -> (String, String) {
    let key = || rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(rcgen::DnType::CommonName, "Acme Root");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let root = rcgen::CertifiedIssuer::self_signed(root, key()).unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["gitlab.acme.internal".to_owned()]).unwrap();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "gitlab.acme.internal");
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key(), &root).unwrap();
    (root.pem(), leaf.pem())
}

/// What the stacks are called in findings.
const STACKS: [&str; 5] = ["rustls", "OpenSSL", "OpenSSL strict", "Python 3.13", "GnuTLS"];

#[test]
fn every_stack_accepts_a_sound_chain_and_names_the_host_it_is_not_for() {
    let (root, leaf) = sound();
    let (code, text) = verdicts(&root, &leaf, "gitlab.acme.internal");
    for stack in STACKS {
        assert!(text.contains(&format!("GG-CA-030  gitlab.acme.internal: {stack} accepts\n")), "{stack}: {text}");
    }
    assert_eq!((code, text.matches("GG-CA-").count()), (0, 5), "{text}");
    assert!(text.ends_with("chain\n  CN=Acme Root (given)\n  └─ CN=gitlab.acme.internal (sent)\n"), "{text}");
    let (code, text) = verdicts(&root, &leaf, "other.acme.internal");
    for stack in STACKS {
        let refusal = format!("GG-CA-038  other.acme.internal: {stack} refuses `CN=gitlab.acme.internal`");
        assert!(text.contains(&refusal), "{stack}: {text}");
    }
    assert_eq!(code, 3);
    assert!(text.contains("GG-CA-046  other.acme.internal: replace the server's certificate"), "{text}");
}

/// The right root, but as a trusted certificate, and with a private key beside it: the stacks that can read it accept, and what
/// is wrong with the file is said all the same.
#[test]
fn what_is_wrong_with_the_file_of_authorities_is_said_beside_the_verdicts() {
    let (root, leaf) = sound();
    let trusted = root.replace("CERTIFICATE-----", "TRUSTED CERTIFICATE-----");
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (file, finding) in [(trusted, "GG-CA-023"), (format!("{root}{key}"), "GG-CA-013")] {
        let (code, text) = verdicts(&file, &leaf, "gitlab.acme.internal");
        let accepted = text.matches("GG-CA-030").count();
        assert!(code == 3 && accepted == 5 && text.contains(finding), "{text}");
    }
    let chain = leaf.replace("CERTIFICATE-----", "TRUSTED CERTIFICATE-----");
    assert_eq!(verdicts(&root, &chain, "gitlab.acme.internal").0, 0);
}

#[test]
fn findings_are_printed_for_a_pipeline() {
    let done = Run::new(["ca", "check", "--report", "sarif", "ca.pem"]).file("ca.pem", "junk\n").finished();
    let text = out(&done);
    assert!(done.status.code() == Some(3) && text.contains("\"2.1.0\"") && text.contains("GG-CA-003"), "{text}");
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

/// A host's file system with nothing in its store, for update-ca-certificates.
struct Host {
    folder: tempfile::TempDir,
    pem: String,
}

impl Host {
    /// `None` where update-ca-certificates is not at hand.
    fn new() -> Option<Self> {
        let program = require::program("update-ca-certificates").map(|_| ());
        if !require::has("update-ca-certificates", program) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for below in [
            "etc/ssl/certs",
            "etc/ca-certificates/update.d",
            "usr/share/ca-certificates",
            "usr/local/share/ca-certificates",
        ] {
            std::fs::create_dir_all(folder.path().join(below)).unwrap();
        }
        base::file::write_atomic(&folder.path().join("etc/ca-certificates.conf"), b"", 0o644).unwrap();
        Some(Self { folder, pem: Authorities::new("Acme Root").root_pem() })
    }

    /// `ca trust` in this root; `fault` is where it is killed.
    fn run(&self, path: &str, fault: &str, more: &[&str]) -> Finished {
        let root = self.folder.path().to_str().unwrap();
        let arguments = ["ca", "trust", "--root", root, more[0], more.get(1).copied().unwrap_or("--json")];
        Run::new(arguments).env("PATH", path).env("GITGRIT_FAULT", fault).file("ca.pem", &self.pem).finished()
    }

    fn trust(&self, more: &[&str]) -> String {
        let done = self.run(PATH, "", more);
        assert_eq!((done.status.code(), done.stderr.as_str()), (Some(0), ""), "{more:?}");
        out(&done)
    }

    /// Says whether the authority is in the host's bundle.
    fn is_trusted(&self) -> bool {
        let path = self.folder.path().join("etc/ssl/certs/ca-certificates.crt");
        let line = self.pem.lines().nth(1).unwrap();
        std::fs::read_to_string(path).is_ok_and(|text| text.contains(line))
    }

    fn registry(&self) -> bool {
        self.folder.path().join("etc/docker/certs.d/registry.acme.internal:5000/ca.crt").is_file()
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const NOTHING: &str = "{\"changes\":[],\"findings\":[]}";

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// In a root of its own: the machine's store is not touched.
#[test]
fn what_is_trusted_is_in_the_hosts_bundle_until_it_is_taken_back() {
    let Some(host) = Host::new() else { return };
    assert!(host.trust(&["--dry-run", "ca.pem"]).starts_with("write    ") && !host.is_trusted());
    host.trust(&["--docker=registry.acme.internal:5000", "ca.pem"]);
    assert!(host.is_trusted() && host.registry());
    assert_eq!(squeezed(&host.trust(&["ca.pem"])), NOTHING);
    host.trust(&["--undo"]);
    assert!(!host.is_trusted() && !host.registry());
}

#[test]
fn a_host_without_update_ca_certificates_is_finished_when_it_is_there() {
    let Some(host) = Host::new() else { return };
    let done = host.run("/nowhere", "", &["--docker=registry.acme.internal:5000", "ca.pem"]);
    let said = done.stderr.contains("bundle was not made anew");
    assert!(done.status.code() == Some(1) && said, "{:?} {}", done.status, done.stderr);
    host.trust(&["ca.pem"]);
    assert!(host.is_trusted());
    assert_eq!(host.run("/nowhere", "", &["--undo"]).status.code(), Some(1));
    host.trust(&["--undo"]);
    assert!(!host.is_trusted());
    assert_eq!(std::fs::read_dir(host.folder.path().join("etc/ssl/certs")).unwrap().filter(is_link).count(), 0);
}

fn is_link(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
}

/// Killed as by `kill -9` at each point, forward and back: the next run finishes.
#[test]
fn a_run_that_is_killed_is_finished_or_taken_back_by_the_next() {
    for point in ["trust:recorded", "trust:written", "trust:refreshed"] {
        let Some(host) = Host::new() else { return };
        let given = &["--docker=registry.acme.internal:5000", "ca.pem"];
        assert_eq!(host.run(PATH, point, given).status.signal(), Some(9), "{point}");
        host.trust(given);
        assert!(host.is_trusted() && host.registry(), "{point}");
        host.trust(&["--undo"]);
        assert!(!host.is_trusted() && !host.registry(), "{point}");
        assert_eq!(host.run(PATH, point, given).status.signal(), Some(9), "{point}");
        host.trust(&["--undo"]);
        assert!(!host.is_trusted() && !host.registry(), "{point}, taken back at once");
    }
    for point in ["trust:recorded", "trust:removed", "trust:refreshed"] {
        let Some(host) = Host::new() else { return };
        host.trust(&["--docker=registry.acme.internal:5000", "ca.pem"]);
        assert_eq!(host.run(PATH, point, &["--undo"]).status.signal(), Some(9), "{point}");
        host.trust(&["--undo"]);
        assert!(!host.is_trusted() && !host.registry(), "{point}");
        assert_eq!(squeezed(&host.trust(&["--undo"])), NOTHING, "{point}");
    }
}

fn expired_root() -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2024, 1, 1);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn an_authority_that_has_expired_is_not_trusted_and_the_reason_is_said() {
    let mut host = Host::new().unwrap_or_else(|| Host { folder: tempfile::tempdir().unwrap(), pem: String::new() });
    host.pem = expired_root();
    let done = host.run(PATH, "", &["ca.pem"]);
    let text = out(&done);
    assert!(done.status.code() == Some(3) && text.contains("GG-CA-011") && text.contains("ahead"), "{text}");
    assert!(!host.is_trusted());
    host.pem = "junk\n".into();
    let done = host.run(PATH, "", &["ca.pem"]);
    let report: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
    assert_eq!(report["findings"][0]["id"], "GG-CA-003");
}
