//! A file's bytes as they are: `/raw/…`. The type never comes from the file's name or content beyond telling text and
//! four kinds of pictures apart; nothing served here may run, load or frame anything.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base::name::Oid;
use bytes::Bytes;
use forge::RawFile;
use futures_util::stream;

use super::failure::PageResult;
use super::frame::At;
use super::target::encode_value;
use super::unchanged;
use super::visit::Visit;
use crate::state::AppState;

/// Bytes that are handed to a connection at a time.
const PIECE: usize = 64 << 10;
/// No script, no request, an origin of its own.
const POLICY: &str = "sandbox; default-src 'none'";

/// `GET /{owner}/{repo}/raw/{rest}`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At, headers: HeaderMap) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let file = state.forge.raw(&repo, &at.rest).await?;
    if visit.actor.user().is_some() {
        return Ok(respond(&at.rest, &file.bytes).map(|_| pieces(file)));
    }
    let is_fixed = at
        .rest
        .split(|byte| *byte == b'/')
        .next()
        .is_some_and(|name| std::str::from_utf8(name).is_ok_and(|name| Oid::parse(name).is_ok()));
    let (marks, is_known) = unchanged::raw(&file.id, &headers, is_fixed);
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, marks).into_response());
    }
    let mut response = respond(&at.rest, &file.bytes).map(|_| pieces(file));
    response.headers_mut().extend(marks);
    Ok(response)
}

/// The head of the answer.
fn respond(rest: &[u8], bytes: &[u8]) -> Response {
    let kind = kind(bytes);
    let disposition = if kind == "application/octet-stream" { "attachment" } else { "inline" };
    let name = rest.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = encode_value(&String::from_utf8_lossy(name));
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, format!("{disposition}; filename*=UTF-8''{name}")),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_LENGTH, bytes.len().to_string()),
    ];
    headers.into_response()
}

/// The body, in pieces of their own: what waits in a connection's buffers must not keep the whole file in memory.
fn pieces(file: RawFile) -> Body {
    Body::from_stream(stream::unfold((file, 0), |(file, sent)| async move {
        let piece = Bytes::copy_from_slice(file.bytes.get(sent..)?.chunks(PIECE).next()?);
        let sent = sent + piece.len();
        Some((Ok::<_, Infallible>(piece), (file, sent)))
    }))
}

/// The type to serve bytes as: a picture that cannot hold script, text, or bytes to keep.
fn kind(bytes: &[u8]) -> &'static str {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        _ if is_webp => "image/webp",
        _ if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_chooses_the_type_that_it_is_served_as() {
        for (bytes, expected) in [
            (&b"<script>alert(1)</script>"[..], "text/plain; charset=utf-8"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text/plain; charset=utf-8"),
            (b"%PDF-1.7\x00", "application/octet-stream"),
            (b"\xff\xfe<\0s\0", "application/octet-stream"),
            (b"\x89PNG\r\n\x1a\n..", "image/png"),
            (b"", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(kind(bytes), expected);
        }
    }

    #[test]
    fn a_raw_answer_is_sandboxed_and_its_name_is_encoded() {
        let response = respond(b"main/a \"b\"\r\nX: y.bin", &[0]);
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header(CONTENT_SECURITY_POLICY), "sandbox; default-src 'none'");
        assert_eq!(header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(CONTENT_DISPOSITION), "attachment; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%20y%2Ebin");
    }
}
