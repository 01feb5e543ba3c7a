//! What a use case may answer instead of a value. Tells nobody more than they may know.

use std::io;

use base::Hint;
use base::file::FileError;
use base::name::NameError;
use store::StoreError;

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
    /// The password is right, the account has a second factor, and this door cannot ask for it.
    #[error("this account has a second factor: use an access token in place of the password")]
    TokenNeeded,
    /// The actor must give the password once more before this.
    #[error("give your password once more first")]
    ProofNeeded,
    /// Too many attempts.
    #[error("too many attempts; try again in {seconds} s")]
    TooManyAttempts {
        /// Seconds to wait.
        seconds: u64,
    },
    /// There is no room for what was asked for, at this moment.
    #[error("too much is on its way to others; try again in a minute")]
    Busy,
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
    /// The database is not there, or too busy to answer. What was asked for may be asked for again.
    #[error("the database does not answer now; try again in a minute")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the database did not answer as it should")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Git failed.
    #[error("a Git operation failed")]
    Git(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A cipher or hash failed.
    #[error("a cryptographic operation failed")]
    Vault(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file of the site could not be used.
    #[error("a file of the site could not be used")]
    File(#[source] FileError),
    /// The client went away or sent what the protocol does not know.
    #[error("the transfer ended early")]
    Transfer(#[source] std::io::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name(error) => error.hint(),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            // All of these pass by themselves.
            away @ (StoreError::Away(_) | StoreError::Busy(_) | StoreError::Overdue | StoreError::Closed) => {
                Self::Away(Box::new(away))
            }
            other => Self::Store(Box::new(other)),
        }
    }
}

impl From<git::Error> for Error {
    fn from(error: git::Error) -> Self {
        match error {
            git::Error::Transfer(source) => Self::Transfer(source),
            git::Error::Protocol { .. } => Self::Transfer(io::Error::new(io::ErrorKind::InvalidData, error)),
            other => Self::Git(Box::new(other)),
        }
    }
}

impl From<vault::password::PasswordError> for Error {
    fn from(error: vault::password::PasswordError) -> Self {
        Self::Vault(Box::new(error))
    }
}

impl From<vault::fernet::FernetError> for Error {
    fn from(error: vault::fernet::FernetError) -> Self {
        Self::Vault(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callers are told to come again, and not that the site is broken.
    #[test]
    fn a_database_that_is_busy_is_away_for_a_while() {
        for error in [StoreError::Overdue, StoreError::Closed] {
            assert!(matches!(Error::from(error), Error::Away(_)));
        }
        assert!(matches!(Error::from(StoreError::Unique { on: "a.b".into() }), Error::Store(_)));
    }
}
