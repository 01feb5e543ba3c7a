//! Answers to Git LFS clients: JSON, and errors as JSON with a `message` that the client shows. A hidden repository and
//! an absent one get the same answer here, as the forge gives one error for both.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forge::{Error, LfsLock};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::error;

use crate::lfs_request::RequestError;
use crate::request::{RequestId, chain};
use crate::turns::NoTurn;

/// What clients send and are sent.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// A body under a status. Nobody may keep it.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// A message under a status.
pub(crate) fn refused(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({ "message": message }))
}

/// The answer to a body that was not understood.
pub(crate) fn not_understood(error: RequestError) -> Response {
    let status = match error {
        RequestError::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
        RequestError::Hash => StatusCode::CONFLICT,
        RequestError::Range => StatusCode::RANGE_NOT_SATISFIABLE,
        RequestError::Shape | RequestError::Operation | RequestError::Transfer => StatusCode::UNPROCESSABLE_ENTITY,
    };
    refused(status, &error.to_string())
}

/// The answer to an error of the forge.
pub(crate) fn failure(failed: &Error, id: &RequestId) -> Response {
    match failed {
        Error::SignInNeeded => challenge("sign in with your user name and an access token"),
        Error::SignInRefused => challenge("the user name, the password or the token is wrong, or it has expired"),
        // Said to who gave the right password alone.
        Error::TokenNeeded => challenge(&failed.to_string()),
        Error::TooManyAttempts { seconds } => {
            let answer = refused(StatusCode::TOO_MANY_REQUESTS, &failed.to_string());
            ([(header::RETRY_AFTER, seconds.to_string())], answer).into_response()
        }
        Error::NotFound | Error::Name(_) => refused(StatusCode::NOT_FOUND, "not found"),
        Error::Denied { .. } | Error::ProofNeeded => refused(StatusCode::FORBIDDEN, &failed.to_string()),
        Error::Field { .. } => refused(StatusCode::UNPROCESSABLE_ENTITY, &failed.to_string()),
        Error::Transfer(_) => refused(StatusCode::BAD_REQUEST, &failed.to_string()),
        Error::Away(_) | Error::Busy => {
            error!(request.id = %id, error = chain(failed), "a Git LFS request found the site away or full");
            refused(StatusCode::SERVICE_UNAVAILABLE, &failed.to_string())
        }
        other => {
            error!(request.id = %id, error = chain(other), "a Git LFS request failed");
            let body = json!({ "message": "internal error", "request_id": id.to_string() });
            answer(StatusCode::INTERNAL_SERVER_ERROR, &body)
        }
    }
}

/// Why no turn was to be had, and when to come back.
pub(crate) fn no_turn(why: NoTurn) -> Response {
    ([(header::RETRY_AFTER, why.retry_after().to_string())], refused(why.status(), &why.text())).into_response()
}

/// A lock, as clients read it.
pub(crate) fn lock(lock: &LfsLock) -> Value {
    let moment = OffsetDateTime::from_unix_timestamp(lock.created.seconds()).ok();
    let moment = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    json!({ "id": lock.id, "path": lock.path, "locked_at": moment, "owner": { "name": lock.owner } })
}

fn challenge(message: &str) -> Response {
    let mut response = refused(StatusCode::UNAUTHORIZED, message);
    // Its own name, so that no browser asks anybody for a password here.
    response.headers_mut().insert("lfs-authenticate", HeaderValue::from_static("Basic realm=\"GitGrit\""));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_another_credential_is_told_so_and_no_fault_is_ours() {
        let id = crate::request::RequestIds::new(base::clock::Timestamp(0)).next();
        let needed = failure(&Error::TokenNeeded, &id);
        assert_eq!(needed.status(), StatusCode::UNAUTHORIZED);
        assert!(needed.headers().contains_key("lfs-authenticate"));
        assert_eq!(failure(&Error::ProofNeeded, &id).status(), StatusCode::FORBIDDEN);
    }
}
