//! What must hold for any bytes that are taken for a CA bundle or a server's chain. Used by the fuzzer and by the tests.

use base::clock::Timestamp;
use checks::peer::Peer;
use checks::{authority, split, verdict};

/// Whatever a file holds is named, what is read can be written and read again, and a verdict is given by every stack.
pub(crate) fn holds(bytes: &[u8]) {
    let now = Timestamp(1_795_000_000_000_000);
    let bundle = authority::read(bytes, "file", now);
    assert!(!bundle.findings.is_empty());
    for finding in &bundle.findings {
        assert!(!finding.message.contains('\n') && !finding.subject.contains('\n'), "{finding:?}");
    }
    let parts = split::plan(&bundle.certificates, std::path::Path::new("."));
    let text: String = parts.iter().map(|part| part.text.as_str()).collect();
    let again = authority::read(text.as_bytes(), "file", now);
    let prints =
        |all: &authority::Bundle| all.certificates.iter().map(|one| one.fingerprint.clone()).collect::<Vec<_>>();
    assert_eq!(prints(&again), prints(&bundle));
    let ders: Vec<Vec<u8>> = bundle.certificates.iter().map(|one| one.der.clone()).collect();
    let peer = Peer::parse("git.acme.internal");
    for authorities in [&ders[..], &[]] {
        if let Some(report) = verdict::judge(&ders, authorities, peer.as_ref(), now.seconds()) {
            assert_eq!(report.verdicts.len(), verdict::Stack::ALL.len());
            assert!(report.verdicts.iter().all(|verdict| (verdict.accepts == Some(true)) == verdict.refusal.is_none()));
            let is_refused = report.verdicts.iter().any(|verdict| verdict.accepts == Some(false));
            assert_eq!(report.remedy.is_some(), is_refused);
        }
    }
}
