//! A file's bytes as they are: `/raw/…`, handed on piece by piece. The type never comes from the file's name or content
//! beyond telling text and four kinds of pictures apart; nothing served here may run, load or frame anything.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base::name::Oid;
use bytes::Bytes;
use forge::{Error, LfsObject, LfsPointer, LfsState, RawFile, RepoRead};
use futures_util::stream::{self, Stream};
use tokio_util::io::ReaderStream;

use super::failure::PageResult;
use super::frame::At;
use super::missing;
use super::patch::POLICY;
use super::target::encode_value;
use super::unchanged;
use super::visit::Visit;
use crate::git_answer::no_turn;
use crate::pump::pumped;
use crate::request::Peer;
use crate::state::AppState;
use crate::turns::{Asker, Turn};

/// Bytes that are handed to a connection at a time.
const PIECE: usize = 64 << 10;

/// `GET /{owner}/{repo}/raw/{rest}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    Extension(peer): Extension<Peer>,
    visit: Visit,
    at: At,
    headers: HeaderMap,
) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let file = match state.forge.raw(&repo, &at.rest).await {
        Ok(file) => file,
        Err(error) => return Err(missing::explained(&state, &repo, &at.rest, error).await),
    };
    let user = visit.actor.user().map(|user| user.id);
    let asker = Asker { user, from: peer.address(), repository: &at.repository };
    if let Some(response) = stood_for(&state, (&repo, &asker), &at.rest, &file).await? {
        return Ok(response);
    }
    if visit.actor.user().is_some() {
        return Ok(answer(&state, &at.rest, file));
    }
    let revision = at.rest.split(|byte| *byte == b'/').next().unwrap_or_default();
    let is_fixed = std::str::from_utf8(revision).is_ok_and(|name| Oid::parse(name).is_ok());
    let (marks, is_known) = unchanged::raw(&file.id, &headers, is_fixed);
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, marks).into_response());
    }
    let mut response = answer(&state, &at.rest, file);
    response.headers_mut().extend(marks);
    Ok(response)
}

/// The answer that carries the file; `path` ends with its name.
pub(crate) fn answer(state: &AppState, path: &[u8], file: RawFile) -> Response {
    let is_whole = file.first().len() as u64 == file.size;
    let limits = state.forge.settings().transfers;
    respond(path, file.first(), file.size).map(|_| match pieces(file) {
        // Nothing more is held for it than these bytes.
        pieces if is_whole => Body::from_stream(pieces),
        pieces => pumped(limits, pieces, ()),
    })
}

/// The answer that carries what the file stands for, when it is a pointer of Git LFS to what the repository has.
pub(crate) async fn stood_for(
    state: &AppState,
    (repo, asker): (&RepoRead, &Asker<'_>),
    path: &[u8],
    file: &RawFile,
) -> Result<Option<Response>, Error> {
    let Some(pointer) = LfsPointer::parse(file.first()) else { return Ok(None) };
    if state.forge.lfs_state(repo, &pointer).await? != LfsState::Present {
        return Ok(None);
    }
    let turn = match state.doors.transfers.turn(asker).await {
        Ok(turn) => turn,
        Err(why) => return Ok(Some(no_turn(why))),
    };
    large(state, state.forge.lfs_object(repo, &pointer.oid).await?, path, turn).await.map(Some)
}

/// What a pointer of Git LFS stands for: a picture as one, anything else to keep.
async fn large(state: &AppState, mut object: LfsObject, rest: &[u8], turn: Turn) -> Result<Response, Error> {
    let beginning = object.beginning(16).await?;
    let size = object.size;
    // Too few bytes to tell text by.
    let first: &[u8] = if kind(&beginning, true).starts_with("image/") { &beginning } else { &[0] };
    let head = respond(rest, first, size);
    let content = ReaderStream::with_capacity(object.part(0, size).await?, PIECE);
    Ok(head.map(|_| pumped(state.forge.settings().transfers, content, turn)))
}

/// The head of the answer; `first` are the bytes that come first.
fn respond(rest: &[u8], first: &[u8], size: u64) -> Response {
    let kind = kind(first, size > first.len() as u64);
    let disposition = if kind == "application/octet-stream" { "attachment" } else { "inline" };
    let name = rest.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = encode_value(&String::from_utf8_lossy(name));
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, format!("{disposition}; filename*=UTF-8''{name}")),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
    ];
    headers.into_response()
}

/// The body: the next piece is read when this one was taken.
fn pieces(file: RawFile) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(file, |mut file| async move {
        let piece = file.next().await.inspect_err(|error| tracing::warn!(%error, "a file was cut short"))?;
        Ok(piece.map(|piece| (piece, file)))
    })
}

/// The type to serve bytes as: a picture that cannot hold script, text, or bytes to keep.
fn kind(bytes: &[u8], has_more: bool) -> &'static str {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        _ if is_webp => "image/webp",
        _ if !bytes.contains(&0) && is_text(bytes, has_more) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Says whether it is UTF-8, but for a character that the next piece ends.
fn is_text(bytes: &[u8], has_more: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => has_more && error.error_len().is_none(),
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
            assert_eq!(kind(bytes, false), expected);
        }
        assert_eq!(kind("aä".as_bytes().get(..2).unwrap(), true), "text/plain; charset=utf-8");
        assert_eq!(kind("aä".as_bytes().get(..2).unwrap(), false), "application/octet-stream");
    }

    #[test]
    fn a_raw_answer_is_sandboxed_and_its_name_is_encoded() {
        let response = respond(b"main/a \"b\"\r\nX: y.bin", &[0], 1);
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header(CONTENT_SECURITY_POLICY), "sandbox; default-src 'none'");
        assert_eq!(header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(CONTENT_DISPOSITION), "attachment; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%20y%2Ebin");
    }
}
