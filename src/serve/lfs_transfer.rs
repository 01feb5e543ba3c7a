//! The objects of Git LFS on their way: up, streamed into the forge, and down, whole or from where a broken download
//! ended. Never holds an object in memory, and serves none of them as anything that a browser would run.

use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forge::{Error, LfsOid, LfsPointer};
use serde::Deserialize;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::body;
use crate::lfs::Asked;
use crate::lfs_answer::{answer, not_understood, refused};
use crate::lfs_request::{Part, part};
use crate::pace::{paced, within};
use crate::pump::pumped;

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;
/// No script, no request, an origin of its own.
const POLICY: &str = "sandbox; default-src 'none'";
/// What has this name never changes, but who may have it does: for the reader's own store alone.
const KEPT: &str = "private, max-age=31536000, immutable";

/// The object that a path names, parsed by nobody yet.
#[derive(Deserialize)]
pub(crate) struct Object {
    oid: String,
}

/// `PUT objects/{oid}`. The right is proven before a byte of the body is read.
pub(crate) async fn upload(asked: Asked, Path(Object { oid }): Path<Object>, request: Request) -> Response {
    let result = async {
        let repo = asked.for_write().await?;
        let Some(oid) = LfsOid::parse(&oid) else {
            return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "this names no object"));
        };
        let Some(size) = length(request.headers()) else {
            return Ok(refused(StatusCode::LENGTH_REQUIRED, "say how long the object is"));
        };
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Ok(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "objects are taken as they are, not compressed"));
        }
        let _turn = match asked.turn().await {
            Ok(turn) => turn,
            Err(answer) => return Ok(answer),
        };
        let limits = asked.state.forge.settings().transfers;
        let (input, _) = paced(limits, StreamReader::new(body::plain(request.into_body())), tokio::io::sink());
        let object = LfsPointer { oid, size };
        let taken = asked.state.forge.lfs_take_in(&asked.caller, &repo, object, input);
        let done = Box::pin(within(limits, taken)).await;
        asked.state.doors.metrics.transfer("lfs-upload", "http", done.is_ok());
        done?;
        Ok(answer(StatusCode::OK, &serde_json::json!({})))
    };
    asked.told(result.await)
}

/// `GET objects/{oid}`, also a part of it.
pub(crate) async fn download(asked: Asked, Path(Object { oid }): Path<Object>, headers: HeaderMap) -> Response {
    let result = async {
        let repo = asked.for_read().await?;
        let oid = LfsOid::parse(&oid).ok_or(Error::NotFound)?;
        let object = asked.state.forge.lfs_object(&repo, &oid).await?;
        let tag = format!("\"{oid}\"");
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|one| one.trim() == tag)) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
        }
        // A part of another version than the client has would be mixed with it.
        let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|known| known == tag));
        let size = object.size;
        let part = match part(range, size) {
            Ok(part) => part,
            Err(error) => {
                return Ok(
                    ([(header::CONTENT_RANGE, format!("bytes */{size}"))], not_understood(error)).into_response()
                );
            }
        };
        let turn = match asked.turn().await {
            Ok(turn) => turn,
            Err(answer) => return Ok(answer),
        };
        let (first, length) = part.map_or((0, size), |part| (part.first, part.last - part.first + 1));
        let content = object.part(first, length).await?;
        asked.state.doors.metrics.transfer("lfs-download", "http", true);
        let content = ReaderStream::with_capacity(content, PIECE);
        let limits = asked.state.forge.settings().transfers;
        Ok(head(part, size, length, tag).map(|_| pumped(limits, content, turn)))
    };
    asked.told(result.await)
}

/// Status and headers of a download.
fn head(part: Option<Part>, size: u64, length: u64, tag: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, KEPT.to_owned()),
        (header::ETAG, tag),
    ];
    match part {
        None => headers.into_response(),
        Some(Part { first, last }) => {
            let range = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}"))];
            (StatusCode::PARTIAL_CONTENT, headers, range).into_response()
        }
    }
}

/// The one `Content-Length`; a body in chunks has none.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
