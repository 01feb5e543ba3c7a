//! Live events of a repository, as a stream that a browser keeps open. Says what changed and nothing of what is in it;
//! the forge looks at the right again before each word. Ends when the server does.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use forge::{Told, Watch};
use futures_util::stream::{self, Stream};
use tokio_util::sync::CancellationToken;

use super::failure::PageResult;
use super::frame::At;
use super::visit::Visit;
use crate::limits::Slot;
use crate::request::Peer;
use crate::state::AppState;

/// Time without a word, after which a stream says that it is alive: proxies cut what is silent for a minute.
const BEAT: Duration = Duration::from_secs(20);
/// What a stream says first: how long a browser waits, in milliseconds, before it comes again.
const GREETING: &[u8] = b"retry: 5000\n\n";

struct Open {
    watch: Watch,
    stop: CancellationToken,
    is_new: bool,
    _slot: Slot,
}

/// `GET /{owner}/{repo}/events`.
pub(crate) async fn stream(
    State(state): State<AppState>,
    visit: Visit,
    Extension(peer): Extension<Peer>,
    at: At,
) -> PageResult {
    let watch = state.forge.watch(&visit.actor, &at.repository).await?;
    let Some(slot) = state.doors.streams.take(peer.address()) else {
        return Ok((StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "60")], "too many open streams\n").into_response());
    };
    let open = Open { watch, stop: state.doors.stop.clone(), is_new: true, _slot: slot };
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // nginx would gather the words until there are enough of them.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(words(open))).into_response())
}

fn words(open: Open) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(open, |mut open| async {
        if open.is_new {
            open.is_new = false;
            return Some((Ok(Bytes::from_static(GREETING)), open));
        }
        let told = tokio::select! {
            told = open.watch.next(BEAT) => told?,
            () = open.stop.cancelled() => return None,
        };
        Some((Ok(said(&told)), open))
    })
}

/// One event, or a comment that says nothing. JSON has no line end of its own, so it is one line of data.
fn said(told: &Told) -> Bytes {
    match told {
        Told::Nothing => Bytes::from_static(b":\n\n"),
        Told::Changed(change) => {
            let data = serde_json::to_string(change).unwrap_or_default();
            Bytes::from(format!("event: moved\ndata: {data}\n\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forge::{Change, MovedRef};

    #[test]
    fn an_event_is_one_line_whatever_a_ref_is_called() {
        let name = "refs/heads/a\nevent: forged".to_owned();
        let change = Change { refs: vec![MovedRef { name, id: None }] };
        let text = String::from_utf8(said(&Told::Changed(change)).to_vec()).unwrap();
        assert_eq!(
            text,
            "event: moved\ndata: {\"refs\":[{\"name\":\"refs/heads/a\\nevent: forged\",\"id\":null}]}\n\n"
        );
        assert_eq!(said(&Told::Nothing), ":\n\n");
    }
}
