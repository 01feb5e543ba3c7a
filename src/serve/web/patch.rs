//! Patches as plain text: streamed as the reader takes them, never something that a browser runs.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use forge::Pieces;
use futures_util::stream;

use crate::pump::pumped;
use crate::state::AppState;

/// No script, no request, an origin of its own.
pub(crate) const POLICY: &str = "sandbox; default-src 'none'";

/// The answer that a patch is.
pub(crate) fn respond(state: &AppState, pieces: Pieces) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body(state, pieces)).into_response()
}

/// One piece at a time: the next is made when this one was taken.
pub(crate) fn body(state: &AppState, pieces: Pieces) -> Body {
    let pieces = stream::try_unfold(pieces, |mut pieces| async move {
        let piece = pieces.next().await.inspect_err(|error| tracing::warn!(%error, "a patch was cut short"))?;
        Ok::<_, forge::Error>(piece.map(|piece| (piece, pieces)))
    });
    pumped(state.forge.settings().transfers, pieces, ())
}
