//! What must hold of any bytes that come back to the isolation probe: over UDP from what should be a resolver, a time
//! server or a QUIC server, over TCP from what should be an HTTP server or a proxy. Run by the fuzzer and by the tests.

#[path = "../../../../src/checks/probe_dns.rs"]
mod probe_dns;
#[path = "../../../../src/checks/probe_http.rs"]
mod probe_http;
#[path = "../../../../src/checks/probe_ntp.rs"]
mod probe_ntp;
#[path = "../../../../src/checks/probe_quic.rs"]
mod probe_quic;

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    for kind in [probe_dns::A, probe_dns::AAAA, probe_dns::NS] {
        resolver(bytes, kind);
    }
    let question = probe_ntp::query(*b"a moment");
    if probe_ntp::read(&question, bytes).is_some() {
        assert!(bytes.len() >= 48 && bytes[24..32] == *b"a moment");
    }
    let question = probe_quic::query(*b"destined", *b"our own.");
    if let Some(count) = probe_quic::read(&question, bytes) {
        assert!(count > 0 && bytes.len() == 23 + 4 * count);
    }
    if let probe_http::Said::Status(status) = probe_http::said(bytes) {
        assert!((100..600).contains(&status) && bytes.starts_with(b"HTTP/1."));
    }
    assert_eq!(probe_http::said(bytes) == probe_http::Said::Nothing, bytes.is_empty());
    assert!(probe_http::is_whole(bytes) || bytes.len() < probe_http::HEAD);
    // What the probe's own control makes of a stranger's question is an answer to it.
    for answer in [probe_dns::answer(bytes), probe_ntp::answer(bytes), probe_quic::answer(bytes)] {
        assert!(answer.is_none_or(|answer| answer.len() <= bytes.len().max(48) + 16));
    }
}

fn resolver(bytes: &[u8], kind: u16) {
    let Some(question) = probe_dns::query(0x1234, "www.google.com", kind) else { return };
    let Some(answer) = probe_dns::read(&question, bytes) else { return };
    assert!(bytes.starts_with(&[0x12, 0x34]) && bytes[2] & 0x80 != 0);
    assert!(answer.address.is_none() || answer.records > 0, "{answer:?}");
    assert!(!answer.is_found() || answer.code == 0, "{answer:?}");
    assert!(!answer.is_found() || answer.is_asked_on(), "{answer:?}");
    let word = answer.word();
    assert!(!word.is_empty() && !word.chars().any(char::is_control), "{word}");
}
