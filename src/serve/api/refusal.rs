//! What goes wrong at the API, as clients of the Gitea family read it: `{"message", "url"}`. Causes stay in the log; a
//! hidden repository and an absent one give the same bytes.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request::chain;

/// What a handler of the API gives back.
pub(crate) type ApiResult = Result<Response, Refusal>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What the forge says.
    Forge(forge::Error),
    /// The address knows other methods.
    WrongMethod,
    /// The body is larger than is taken.
    TooLarge,
    /// The body is of a kind that is not taken.
    WrongKind,
    /// It is there already, or not what the caller thinks, in words for the caller.
    Conflict(String),
    /// A rule of the repository is against it, in words for the caller.
    Forbidden(String),
    /// The body or a parameter does not fit, in words for the caller.
    Unfit(String),
    /// It cannot be known who asks, in words for the caller.
    Unknown(&'static str),
    /// It took too long.
    TooSlow,
    /// Our own fault.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl From<forge::Error> for Refusal {
    fn from(error: forge::Error) -> Self {
        Self::Forge(error)
    }
}

/// The body is written by the layer around all routes, which knows the site's address.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// What every refusal says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Error {
    /// What is wrong, in English.
    pub(crate) message: String,
    /// Where the API is described.
    pub(crate) url: String,
}

impl Refusal {
    /// Absent, or not for this caller's eyes.
    pub(crate) const fn not_found() -> Self {
        Self::Forge(forge::Error::NotFound)
    }

    pub(crate) fn status(&self) -> StatusCode {
        use forge::Error as E;
        match self {
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongKind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unfit(_) | Self::Forge(E::Name(_) | E::Field { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) | Self::Forge(E::NameTaken(_)) => StatusCode::CONFLICT,
            Self::Unknown(_) | Self::Forge(E::SignInNeeded | E::SignInRefused | E::TokenNeeded) => {
                StatusCode::UNAUTHORIZED
            }
            Self::TooSlow | Self::Forge(E::Busy | E::Away(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Forge(E::NotFound) => StatusCode::NOT_FOUND,
            Self::Forbidden(_) | Self::Forge(E::Denied { .. } | E::ProofNeeded) => StatusCode::FORBIDDEN,
            Self::Forge(E::TooManyAttempts { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) | Self::Forge(E::Store(_) | E::Git(_) | E::Vault(_) | E::File(_) | E::Transfer(_)) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn message(&self) -> String {
        use forge::Error as E;
        match self {
            Self::WrongMethod => "this address knows other methods".into(),
            Self::TooLarge => "the body is larger than is taken".into(),
            Self::WrongKind => "the body must be JSON".into(),
            Self::Unfit(text) | Self::Conflict(text) | Self::Forbidden(text) => text.clone(),
            Self::Unknown(text) => (*text).into(),
            Self::TooSlow => "this took too long; try again in a minute".into(),
            Self::Forge(
                error @ (E::NotFound
                | E::SignInNeeded
                | E::SignInRefused
                | E::TokenNeeded
                | E::ProofNeeded
                | E::Denied { .. }
                | E::TooManyAttempts { .. }
                | E::Busy
                | E::Name(_)
                | E::Field { .. }
                | E::NameTaken(_)
                | E::Away(_)),
            ) => error.to_string(),
            Self::Internal(_) | Self::Forge(E::Store(_) | E::Git(_) | E::Vault(_) | E::File(_) | E::Transfer(_)) => {
                "internal error".into()
            }
        }
    }

    /// The answer to the caller; `site` is the site's address, `request` the request's name in the log.
    pub(crate) fn respond(&self, site: &str, request: &str) -> Response {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR || matches!(self, Self::Forge(forge::Error::Away(_))) {
            let cause = match self {
                Self::Forge(error) => chain(error),
                Self::Internal(error) => chain(error.as_ref()),
                _ => String::new(),
            };
            tracing::error!(request.id = request, error = cause, "an API request failed");
        }
        let mut message = self.message();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            message = format!("{message}, request {request}");
        }
        let mut response = (status, Json(Error { message, url: format!("{site}/api/swagger") })).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Forge(forge::Error::TooManyAttempts { seconds }) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Self::TooSlow | Self::Forge(forge::Error::Busy | forge::Error::Away(_)) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gitgrit\""));
        }
        response
    }
}
