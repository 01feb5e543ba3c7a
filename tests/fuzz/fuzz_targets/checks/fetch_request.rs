//! What must hold of every request of protocol version 2 that is answered without Git: it is whole pkt-lines up to its first
//! flush, and neither less nor more than these is that request. Run by the fuzzer, and over the committed corpus by the
//! ordinary tests. Never touches a repository.

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    let Some(length) = git::upload::understood(bytes) else { return };
    let request = &bytes[..length];
    assert!(request.starts_with(b"001"), "it begins with no command");
    assert_eq!(whole_lines(request), Some(length), "its lines do not end where it ends");
    assert_eq!(git::upload::understood(request), Some(length), "what follows it decides what it is");
    assert_eq!(git::upload::understood(&request[..length - 1]), None, "it is understood before it is whole");
}

/// The bytes up to the first flush, counted as gitprotocol-common(5) has it.
fn whole_lines(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let digits = std::str::from_utf8(bytes.get(at..at + 4)?).ok()?;
        match usize::from_str_radix(digits, 16).ok()? {
            0 => return Some(at + 4),
            1 => at += 4,
            length => at += length,
        }
    }
}
