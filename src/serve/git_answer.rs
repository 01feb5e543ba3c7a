//! Answers to Git clients: a stream fed by a transfer, or a line of text that Git shows to its user after `remote:`.
//! A hidden repository and an absent one get the same answer here, as the forge gives one error for both.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use forge::Error;
use futures_util::sink::SinkMapErr;
use futures_util::{SinkExt, stream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::io::{CopyToBytes, SinkWriter};
use tokio_util::sync::{PollSendError, PollSender};
use tracing::{debug, error};

use crate::request::{RequestId, chain, internal_error};
use crate::service::Service;
use crate::state::Doors;
use crate::turns::NoTurn;

/// Pieces between a transfer and its client, each as long as what the transfer writes at once; when there are as many,
/// Git waits.
const PIECES: usize = 2;
/// What proxies and clients must never keep, as Git's own server says it.
const NOT_KEPT: &str = "no-cache, max-age=0, must-revalidate";

/// What an answer is sent as.
pub(crate) struct Answer {
    /// The request.
    pub(crate) id: RequestId,
    /// Git's own content type.
    pub(crate) content_type: String,
    /// The program.
    pub(crate) service: Service,
    /// Where the outcome is counted.
    pub(crate) doors: Arc<Doors>,
}

/// Runs a transfer and streams what it writes. The status waits for the first bytes, so that a failure before them is
/// an error and no cut stream.
pub(crate) async fn streamed<T, R>(answer: Answer, transfer: T) -> Response
where
    T: FnOnce(Outlet) -> R,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (sender, mut pieces) = mpsc::channel(PIECES);
    let service = answer.service;
    let task = answer.doors.tasks.spawn(transfer(outlet(sender)));
    // A push is not cut down from here: once its pack has come whole it ends by itself, with the refs moved or not.
    let guard = (service != Service::ReceivePack).then(|| Cut(task.abort_handle()));
    let first = pieces.recv().await;
    let mut rest = Rest { pieces, task, answer, _guard: guard };
    if first.is_none()
        && let Err(error) = rest.end().await
    {
        return failure(&error, &rest.answer.id);
    }
    let content_type = rest.answer.content_type.clone();
    let begun = first.map(|first| (Some(first), Some(rest)));
    let body = stream::unfold(begun.unwrap_or_default(), |(first, rest)| async move {
        match first {
            Some(first) => Some((Ok(first), (None, rest))),
            None => Rest::next(rest?).await,
        }
    });
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, NOT_KEPT.to_owned())];
    (headers, Body::from_stream(body)).into_response()
}

/// Where a transfer writes.
pub(crate) type Outlet = SinkWriter<CopyToBytes<SinkMapErr<PollSender<Bytes>, Gone>>>;
type Gone = fn(PollSendError<Bytes>) -> io::Error;

fn outlet(sender: mpsc::Sender<Bytes>) -> Outlet {
    let gone: Gone = |_| io::ErrorKind::BrokenPipe.into();
    SinkWriter::new(CopyToBytes::new(PollSender::new(sender).sink_map_err(gone)))
}

/// What is still to come of a transfer.
struct Rest {
    pieces: mpsc::Receiver<Bytes>,
    task: JoinHandle<Result<(), Error>>,
    answer: Answer,
    _guard: Option<Cut>,
}

type Piece = (io::Result<Bytes>, (Option<Bytes>, Option<Rest>));

impl Rest {
    /// The next bytes. After the last, the transfer's own end: a failure cuts the stream, so that no client takes a
    /// half for the whole.
    async fn next(mut self) -> Option<Piece> {
        if let Some(piece) = self.pieces.recv().await {
            return Some((Ok(piece), (None, Some(self))));
        }
        let error = self.end().await.err().filter(|error| !is_told(error))?;
        Some((Err(io::Error::other(error)), (None, None)))
    }

    /// Waits for the task, counts it, and logs its failure.
    async fn end(&mut self) -> Result<(), Error> {
        let result = match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(Error::Git(Box::new(error))),
        };
        self.answer.doors.metrics.transfer(self.answer.service.name(), "http", result.is_ok());
        if let Err(error) = &result {
            log(error, &self.answer.id);
        }
        result
    }
}

/// Git's own refusal is the end of its answer. With the stream cut behind it, some clients drop what they have not read
/// yet, and `git archive` then ends as if all were well.
fn is_told(failed: &Error) -> bool {
    matches!(failed, Error::Transfer(cause) if cause.kind() == io::ErrorKind::NotFound)
}

/// Ends a task when dropped, and with it the Git process that the task owns.
struct Cut(AbortHandle);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Logs a transfer's failure: faults of ours loudly, clients that went away quietly.
fn log(failed: &Error, id: &RequestId) {
    match failed {
        Error::Store(_) | Error::Away(_) | Error::Git(_) | Error::Vault(_) | Error::File(_) => {
            error!(request.id = %id, error = chain(failed), "a Git request failed");
        }
        _ => debug!(request.id = %id, error = chain(failed), "a Git request was refused"),
    }
}

/// The answer to an error of the forge.
pub(crate) fn failure(error: &Error, id: &RequestId) -> Response {
    match error {
        Error::SignInNeeded => challenge("sign in with your user name and an access token"),
        Error::SignInRefused => {
            challenge("the user name, the password or the token is wrong, or the token has expired")
        }
        // Said to who gave the right password alone.
        Error::TokenNeeded => challenge(&error.to_string()),
        Error::TooManyAttempts { seconds } => {
            let answer = refused(StatusCode::TOO_MANY_REQUESTS, &error.to_string());
            ([(header::RETRY_AFTER, seconds.to_string())], answer).into_response()
        }
        Error::NotFound | Error::Name(_) => refused(StatusCode::NOT_FOUND, "repository not found"),
        Error::Denied { .. } | Error::ProofNeeded => refused(StatusCode::FORBIDDEN, &error.to_string()),
        Error::Away(_) => {
            log(error, id);
            refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
        Error::Busy => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Error::Field { .. } | Error::NameTaken(_) | Error::Transfer(_) => {
            refused(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Error::Store(_) | Error::Git(_) | Error::Vault(_) | Error::File(_) => {
            log(error, id);
            internal_error(id)
        }
    }
}

/// A line of text under a status.
pub(crate) fn refused(status: StatusCode, text: &str) -> Response {
    (status, [(header::CACHE_CONTROL, NOT_KEPT)], format!("{text}\n")).into_response()
}

/// Why no turn was to be had, and when to come back.
pub(crate) fn no_turn(why: NoTurn) -> Response {
    ([(header::RETRY_AFTER, why.retry_after().to_string())], refused(why.status(), &why.text())).into_response()
}

fn challenge(text: &str) -> Response {
    let mut response = refused(StatusCode::UNAUTHORIZED, text);
    let value = HeaderValue::from_static("Basic realm=\"GitGrit\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    response
}
