//! What a use case may answer instead of a value.

use base::Hint;
use base::name::NameError;

/// Why a use case did not happen. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, or the actor may not know that it is there.
    #[error("not found")]
    NotFound,
    /// The actor must sign in first.
    #[error("sign in first")]
    SignInNeeded,
    /// The actor may know of it but not do this.
    #[error("you may not {action}")]
    Denied {
        /// What was tried, as in "push to alice/notes".
        action: String,
    },
    /// Wrong name or password (one answer for both), or a token that is unknown or expired.
    #[error("the name or the password is wrong")]
    SignInRefused,
    /// Too many attempts.
    #[error("too many attempts; try again in {seconds} s")]
    TooManyAttempts {
        /// Seconds to wait.
        seconds: u64,
    },
    /// A name does not parse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A form's field does not fit.
    #[error("{field} {problem}")]
    Field {
        /// The field, as the form names it.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The name is in use.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// The database failed.
    #[error("the database did not answer as it should")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Git failed.
    #[error("a Git operation failed")]
    Git(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A cipher or hash failed.
    #[error("a cryptographic operation failed")]
    Vault(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The client went away or sent what the protocol does not know.
    #[error("the transfer ended early")]
    Transfer(#[source] std::io::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name(error) => error.hint(),
            _ => None,
        }
    }
}
