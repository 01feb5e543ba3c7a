//! What goes wrong on a page, and the page that says so. Causes stay in the log; a hidden repository and an absent one
//! give the same page.

use std::sync::Arc;

use askama::Template;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::page::{Shell, draw};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::request::chain;

/// What a handler of pages gives back.
pub(crate) type PageResult = Result<Response, Failure>;

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Absent, or not for this visitor's eyes.
    NotFound,
    /// Absent inside a repository that the visitor may read.
    Lost(Box<Lost>),
    /// A visitor must sign in first.
    SignInNeeded,
    /// The visitor must give the password once more first.
    ProofNeeded,
    /// The visitor may know of it but not do it.
    Denied(String),
    /// Too many attempts; seconds to wait.
    TooManyAttempts(u64),
    /// The form did not come from a page of this site and session.
    ForeignForm,
    /// The form is larger than any of ours, or not a form.
    UnreadableForm,
    /// The address knows other methods.
    WrongMethod,
    /// What was sent does not fit, in words for the visitor.
    Refused(String),
    /// The page took too long, or there is no room for what it takes.
    TooSlow,
    /// The database is not there at the moment.
    Away(Box<dyn std::error::Error + Send + Sync>),
    /// Our own fault.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// What is not there, and where to go instead.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    /// What was asked for, in a sentence.
    pub(crate) what: String,
    /// Words and addresses.
    pub(crate) links: Vec<(String, String)>,
}

impl From<forge::Error> for Failure {
    fn from(error: forge::Error) -> Self {
        match error {
            forge::Error::NotFound | forge::Error::Name(_) => Self::NotFound,
            forge::Error::SignInNeeded => Self::SignInNeeded,
            forge::Error::ProofNeeded => Self::ProofNeeded,
            forge::Error::Denied { action } => Self::Denied(action),
            forge::Error::TooManyAttempts { seconds } => Self::TooManyAttempts(seconds),
            forge::Error::Busy => Self::TooSlow,
            away @ forge::Error::Away(_) => Self::Away(Box::new(away)),
            refused @ (forge::Error::SignInRefused | forge::Error::Field { .. } | forge::Error::NameTaken(_)) => {
                Self::Refused(refused.to_string())
            }
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<base::name::NameError> for Failure {
    fn from(_: base::name::NameError) -> Self {
        Self::NotFound
    }
}

/// The page is drawn by the layer around all routes, which knows the visitor.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[derive(Template)]
#[template(path = "pages/failure.html")]
pub(crate) struct FailurePage {
    shell: Shell,
    status: u16,
    title: &'static str,
    explanation: String,
    advice: &'static str,
    links: Vec<(String, String)>,
    can_sign_in: bool,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::Lost(_) => StatusCode::NOT_FOUND,
            Self::SignInNeeded | Self::ProofNeeded => StatusCode::UNAUTHORIZED,
            Self::Denied(_) | Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UnreadableForm => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooSlow | Self::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer for this visitor: sign-in for who is not signed in and must be, else a page that says what to do.
    pub(crate) fn respond(&self, visit: &Visit) -> Response {
        if matches!(self, Self::SignInNeeded) {
            return redirect(&Target::SignIn(visit.back.clone()));
        }
        if matches!(self, Self::ProofNeeded) {
            return redirect(&Target::Security(Some(Notice::ProofNeeded)));
        }
        if let Self::Internal(error) | Self::Away(error) = self {
            tracing::error!(request.id = %visit.request, error = chain(error.as_ref()), "page failed");
        }
        let mut response = draw(&self.page(visit)).unwrap_or_else(|_| self.status().into_response());
        *response.status_mut() = self.status();
        if let Self::TooManyAttempts(seconds) = self {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*seconds));
        }
        response
    }

    /// The page for this visitor.
    pub(crate) fn page(&self, visit: &Visit) -> FailurePage {
        let is_anonymous = visit.actor.user().is_none();
        let (title, explanation, advice) = self.words();
        FailurePage {
            shell: Shell::of(visit),
            status: self.status().as_u16(),
            title,
            explanation,
            advice,
            links: if let Self::Lost(lost) = self { lost.links.clone() } else { Vec::new() },
            can_sign_in: is_anonymous && matches!(self, Self::NotFound | Self::Denied(_)),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one table of words")]
    fn words(&self) -> (&'static str, String, &'static str) {
        match self {
            Self::NotFound => (
                "There is nothing here",
                "Either nothing has this address, or it is not for you to see.".into(),
                "Check the spelling. If somebody sent you the address, ask them to let you in.",
            ),
            Self::Lost(lost) => {
                ("This is not here", lost.what.clone(), "It may have been moved or deleted, or the address has a slip.")
            }
            Self::SignInNeeded => {
                ("Sign in first", "This page is for signed-in users.".into(), "Sign in and try again.")
            }
            Self::ProofNeeded => (
                "Give your password once more",
                "This changes what opens an account.".into(),
                "Confirm with your password on the page of your second factor, then try again.",
            ),
            Self::Denied(action) => (
                "You may not do this",
                format!("Your account may not {action}."),
                "Ask the owner, or the administrator of this site.",
            ),
            Self::TooManyAttempts(seconds) => (
                "Too many attempts",
                format!("Sign-in is closed for this account or this address for another {seconds} seconds."),
                "Wait, then try once more. If you forgot the password, ask the administrator of this site.",
            ),
            Self::ForeignForm => (
                "This form is out of date",
                "It did not come from a page of your present session, so nothing was done.".into(),
                "Go back, load the page again and send the form once more.",
            ),
            Self::UnreadableForm => (
                "This form could not be read",
                "It is larger than any form of this site, or it is not a form.".into(),
                "Go back and send less.",
            ),
            Self::WrongMethod => (
                "This address works another way",
                "It takes forms only, or pages only.".into(),
                "Go to the page that you came from and try from there.",
            ),
            Self::Refused(problem) => {
                ("That does not fit", format!("The site answered: {problem}."), "Go back and change what you sent.")
            }
            Self::TooSlow => (
                "This took too long",
                "The site is busy, or the page needs more work than it may take.".into(),
                "Try again in a minute. If it stays, clone the repository and look there.",
            ),
            Self::Away(_) => (
                "The site is not at work",
                "Its database does not answer at the moment. Nothing was changed.".into(),
                "Try again in a minute. If it stays, tell the administrator of this site.",
            ),
            Self::Internal(_) => (
                "The site made a mistake",
                "Something failed on our side, and nothing was changed by halves.".into(),
                "Try again. If it stays, give the administrator the request number below; the log says more.",
            ),
        }
    }
}

/// 303 to a page of this site.
pub(crate) fn redirect(target: &Target) -> Response {
    let location = HeaderValue::from_str(&target.to_string()).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}
