//! The little HTTP that a read-only registry takes: a question without a body, and an answer whose length is known. Everything that is not
//! plainly a question is refused; nothing of it reaches a file.

use std::fmt;
use std::fmt::Write as _;
use std::io::Read;
use std::time::{Duration, Instant};

use super::Digest;

/// The longest question, in bytes.
const LONGEST: usize = 16 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if *self == Self::Get { "GET" } else { "HEAD" })
    }
}

/// A part of a blob, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// From this byte on, to this one when it is given.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl Range {
    /// Reads `bytes=1-5`, `bytes=1-` and `bytes=-5`; anything else counts as no range.
    fn parse(text: &str) -> Option<Self> {
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (from, to) {
            ("", to) => Some(Self::Last(number(to)?)),
            (from, "") => Some(Self::From(number(from)?, None)),
            (from, to) => Some(Self::From(number(from)?, Some(number(to)?))).filter(|range| match range {
                Self::From(from, Some(to)) => from <= to,
                _ => true,
            }),
        }
    }

    /// From where to before where that is in content of `size` bytes; `None` when it is nowhere.
    pub(crate) fn within(self, size: u64) -> Option<(u64, u64)> {
        let (from, to) = match self {
            Self::From(from, to) => (from, to.map_or(size, |to| to.saturating_add(1).min(size))),
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        (from < to).then_some((from, to))
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// Without what stands behind a `?`.
    pub(crate) path: String,
    pub(crate) range: Option<Range>,
}

impl Question {
    /// Reads a question, all of which must be there within `patience`. Nothing when whoever came says nothing.
    pub(crate) fn read(mut from: impl Read, patience: Duration) -> Result<Option<Self>, Answer> {
        let begun = Instant::now();
        let mut head: Vec<u8> = Vec::new();
        let mut piece = [0; 2048];
        loop {
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                head.truncate(end);
                break;
            }
            // Whoever begins with a TLS handshake is told at once that this is plain HTTP.
            if head.first().is_some_and(|first| !first.is_ascii_uppercase()) {
                return Err(Answer::refused(400, "UNSUPPORTED", "it is not HTTP"));
            }
            if head.len() > LONGEST {
                return Err(Answer::refused(431, "SIZE_INVALID", "the question is too long"));
            }
            if begun.elapsed() > patience {
                return Err(Answer::refused(408, "TOOMANYREQUESTS", "the question did not end"));
            }
            match from.read(&mut piece) {
                Ok(0) | Err(_) => return Ok(None),
                Ok(size) => head.extend_from_slice(piece.get(..size).unwrap_or_default()),
            }
        }
        Self::parse(&head).map(Some)
    }

    fn parse(head: &[u8]) -> Result<Self, Answer> {
        let wrong = |why| Answer::refused(400, "UNSUPPORTED", why);
        let head = std::str::from_utf8(head).map_err(|_| wrong("it is not plain text"))?;
        let mut lines = head.split("\r\n");
        let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, version] = words.as_slice() else { return Err(wrong("its first line is none")) };
        if !matches!(*version, "HTTP/1.1" | "HTTP/1.0") {
            return Err(Answer::refused(505, "UNSUPPORTED", "it is not HTTP/1.1"));
        }
        let method = match *method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => return Err(Answer::refused(405, "UNSUPPORTED", "this registry can be read alone")),
        };
        let path = target.split('?').next().unwrap_or_default();
        let is_plain = |sign: u8| sign.is_ascii_alphanumeric() || b"/._:-".contains(&sign);
        if !path.starts_with('/') || path.len() > 1024 || !path.bytes().all(is_plain) || path.contains("..") {
            return Err(wrong("its path is none of a registry"));
        }
        let mut range = None;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header is none"))?;
            match name.to_ascii_lowercase().as_str() {
                "range" => range = Range::parse(value),
                "transfer-encoding" => return Err(wrong("it has a body")),
                "content-length" if value.trim() != "0" => return Err(wrong("it has a body")),
                _ => {}
            }
        }
        Ok(Self { method, path: path.into(), range })
    }
}

/// An answer. Its length is known before its first byte goes out.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: &'static str,
    pub(crate) digest: Option<Digest>,
    /// The body, unless it is a blob's.
    pub(crate) body: Vec<u8>,
    pub(crate) is_blob: bool,
    /// Of a blob: from this byte to before this one, of so many.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) whole: u64,
}

impl Answer {
    /// A document.
    pub(crate) fn json(body: Vec<u8>) -> Self {
        let to = body.len() as u64;
        Self { status: 200, media_type: "application/json", digest: None, body, is_blob: false, from: 0, to, whole: to }
    }

    /// A part of a blob, or all of it.
    pub(crate) const fn blob(status: u16, from: u64, to: u64, whole: u64) -> Self {
        let media_type = "application/octet-stream";
        Self { status, media_type, digest: None, body: Vec::new(), is_blob: true, from, to, whole }
    }

    /// No, and why, in the form that registries have for it.
    pub(crate) fn refused(status: u16, code: &str, why: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": why }] });
        Self { status, ..Self::json(serde_json::to_vec(&body).unwrap_or_default()) }
    }

    /// No repository of that name.
    pub(crate) fn unknown_name() -> Self {
        Self::refused(404, "NAME_UNKNOWN", "the bundle has no such repository")
    }

    /// Everything before the body.
    pub(crate) fn head(&self) -> String {
        let reason = match self.status {
            200 => "OK",
            206 => "Partial Content",
            404 => "Not Found",
            405 => "Method Not Allowed",
            416 => "Range Not Satisfiable",
            _ => "Refused",
        };
        let mut head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Docker-Distribution-Api-Version: registry/2.0\r\nX-Content-Type-Options: nosniff\r\n",
            self.status,
            self.media_type,
            self.to - self.from
        );
        // Writing to a text has no way to fail.
        if let Some(digest) = &self.digest {
            let _ = write!(head, "Docker-Content-Digest: sha256:{digest}\r\nETag: \"sha256:{digest}\"\r\n");
        }
        if self.is_blob {
            head.push_str("Accept-Ranges: bytes\r\n");
        }
        match self.status {
            206 => {
                let _ = write!(head, "Content-Range: bytes {}-{}/{}\r\n", self.from, self.to - 1, self.whole);
            }
            405 => head.push_str("Allow: GET, HEAD\r\n"),
            416 => {
                let _ = write!(head, "Content-Range: bytes */{}\r\n", self.whole);
            }
            _ => {}
        }
        head.push_str("\r\n");
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Option<Question>, u16> {
        Question::read(text.as_bytes(), Duration::from_secs(5)).map_err(|answer| answer.status)
    }

    #[test]
    fn a_question_is_read_and_anything_else_is_refused() {
        let found =
            asked("GET /v2/a/blobs/sha256:00?ns=x HTTP/1.1\r\nHost: a\r\nRange: bytes=1-5\r\n\r\n").unwrap().unwrap();
        assert_eq!((found.method, found.path.as_str()), (Method::Get, "/v2/a/blobs/sha256:00"));
        assert_eq!(found.range, Some(Range::From(1, Some(5))));
        let cases = [
            ("POST /v2/ HTTP/1.1\r\n\r\n", 405),
            ("GET /v2/ HTTP/2\r\n\r\n", 505),
            ("GET  /v2/ HTTP/1.1\r\n\r\n", 400),
            ("GET http://a/v2/ HTTP/1.1\r\n\r\n", 400),
            ("GET /v2/../etc HTTP/1.1\r\n\r\n", 400),
            ("GET /v2/%2e%2e HTTP/1.1\r\n\r\n", 400),
            ("GET /v2/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
            ("GET /v2/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET /v2/ HTTP/1.1\r\nnonsense\r\n\r\n", 400),
        ];
        for (text, status) in cases {
            assert_eq!(asked(text), Err(status), "{text}");
        }
        assert_eq!(asked(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(40_000))), Err(431));
        assert_eq!(asked("\u{16}\u{3}\u{1}"), Err(400), "a handshake is answered before it ends");
        assert_eq!(asked("GET /v2/"), Ok(None), "whoever goes before the end gets no answer");
    }

    #[test]
    fn a_range_is_a_part_of_what_there_is() {
        let within = |text: &str| Range::parse(text).map(|range| range.within(10));
        for (text, found) in [
            ("bytes=0-", Some(Some((0, 10)))),
            ("bytes=3-4", Some(Some((3, 5)))),
            ("bytes=3-400", Some(Some((3, 10)))),
            ("bytes=-4", Some(Some((6, 10)))),
            ("bytes=-40", Some(Some((0, 10)))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=0-18446744073709551615", Some(Some((0, 10)))),
            ("bytes=5-4", None),
            ("bytes=a-", None),
            ("bytes=+1-2", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(within(text), found, "{text}");
        }
    }
}
