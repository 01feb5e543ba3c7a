//! What must hold of any answer that comes from GITLAB_URL, and of any value of it: one line, one verdict, no secret, and
//! nothing but a 401 with JSON is a GitLab's. Run by the fuzzer and by the tests.

use checks::egress::Answer;
use checks::gitlab;

/// Panics when it does not hold for `bytes`: a status, a line with the type of the content, and the body.
pub(crate) fn holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    address(&text);
    let (head, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let head = String::from_utf8_lossy(head);
    let (status, kind) = head.split_once(' ').unwrap_or((&head, ""));
    let status = status.parse().unwrap_or(401);
    let content_type = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
    let body = body.get(1..).unwrap_or_default().to_vec();
    let answer = Answer { status, content_type, date: None, body };
    let line = gitlab::answer("https://gitlab.acme.internal", &Ok(answer)).to_string();
    assert!(line.starts_with("OK ") || line.starts_with("FAIL "), "{line}");
    assert!(status == 401 || line.starts_with("FAIL "), "{line}");
    assert!(kind.to_ascii_lowercase().contains("json") || line.starts_with("FAIL "), "{line}");
}

fn address(value: &str) {
    let (line, base) = gitlab::address(Some(value));
    let line = line.to_string();
    assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line:?}");
    assert_eq!(base.is_none(), line.starts_with("FAIL "), "{line}");
    if let Some((before, _)) = value.rsplit_once('@') {
        assert!(before.len() < 12 || !line.contains(before), "{line}");
    }
    if let Some(base) = base {
        assert!(!base.ends_with('/') && base.to_ascii_lowercase().starts_with("https://"), "{base}");
    }
}
