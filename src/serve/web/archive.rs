//! A revision's files as one download: `/archive/…`. Streamed as the client takes it; when the client leaves, so does
//! what makes the archive.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use forge::{Archive, ArchiveFormat, Error};
use futures_util::stream::{self, Stream};

use super::failure::PageResult;
use super::frame::At;
use super::visit::Visit;
use crate::pump::pumped;
use crate::state::AppState;

/// `GET /{owner}/{repo}/archive/{rest}`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    Ok(answer(&state, state.forge.archive(&repo, &at.rest).await?))
}

/// The answer that carries the archive.
pub(crate) fn answer(state: &AppState, archive: Archive) -> Response {
    let kind = match archive.format {
        ArchiveFormat::TarGz => "application/gzip",
        ArchiveFormat::Zip => "application/zip",
    };
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", archive.name)),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, pumped(state.forge.settings().transfers, pieces(archive), ())).into_response()
}

/// One piece at a time: the next is made when this one was taken.
fn pieces(archive: Archive) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(archive, |mut archive| async move {
        let piece = archive.next().await.inspect_err(|error| tracing::warn!(%error, "an archive was cut short"))?;
        Ok(piece.map(|piece| (piece, archive)))
    })
}
