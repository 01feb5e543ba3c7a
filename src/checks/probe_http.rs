//! What a server or a proxy says first over HTTP/1: the status of its answer, read from hostile bytes. Opens nothing, and
//! reads no header and no body.

/// The most of an answer's head that is read, in bytes.
pub(crate) const HEAD: usize = 8 << 10;

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An answer with this status.
    Status(u16),
    /// Something that is no HTTP.
    Other,
    /// Nothing.
    Nothing,
}

/// Says whether no more of the head is to come, or to be taken.
pub(crate) fn is_whole(head: &[u8]) -> bool {
    head.len() >= HEAD || head.windows(4).any(|four| four == b"\r\n\r\n")
}

/// Reads the status line of an answer's head.
pub(crate) fn said(head: &[u8]) -> Said {
    if head.is_empty() {
        return Said::Nothing;
    }
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..5)).filter(|rest| rest[0] == b' ');
    let digits = status.and_then(|rest| std::str::from_utf8(rest.get(1..)?).ok());
    let number = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match number.and_then(|digits| digits.parse().ok()).filter(|status| (100..600).contains(status)) {
        Some(status) => Said::Status(status),
        None => Said::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_nothing_else() {
        for (head, expected) in [
            ("HTTP/1.1 204 No Content\r\n", Said::Status(204)),
            ("HTTP/1.0 407 \r\n\r\n", Said::Status(407)),
            ("HTTP/1.1 200", Said::Status(200)),
            ("HTTP/1.1 20", Said::Other),
            ("HTTP/1.1 999 X", Said::Other),
            ("HTTP/1.1 +20 X", Said::Other),
            ("HTTP/1.", Said::Other),
            ("SSH-2.0-OpenSSH", Said::Other),
            ("\0\0\0", Said::Other),
            ("", Said::Nothing),
        ] {
            assert_eq!(said(head.as_bytes()), expected, "{head}");
        }
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n") && is_whole(&[b'x'; HEAD]) && !is_whole(b"HTTP/1.1 200 OK\r\n"));
    }
}
