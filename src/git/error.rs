//! What can go wrong between us and Git. A refused push is no error: it is part of the push's report.

use std::io;
use std::path::PathBuf;

use base::Hint;
use base::file::FileError;
use base::name::{NameError, Oid};
use base::process::ProcessError;

/// Any failure of a library that reads objects; kept for the chain of causes.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something with a repository did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such repository on disk.
    #[error("repository {id} is not on disk")]
    Absent {
        /// The repository's id.
        id: i64,
    },
    /// There is one already.
    #[error("repository {id} is on disk already")]
    Present {
        /// The repository's id.
        id: i64,
    },
    /// A name does not parse.
    #[error("a name does not fit")]
    Name(#[from] NameError),
    /// A file operation failed.
    #[error("a file operation in the repository store failed")]
    File(#[from] FileError),
    /// A directory could not be read, made, moved or removed.
    #[error("could not {action} `{path}`")]
    Directory {
        /// What was tried.
        action: &'static str,
        /// On which directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Objects or refs could not be read.
    #[error("could not read {what} of repository {id}")]
    Read {
        /// What was read.
        what: &'static str,
        /// The repository's id.
        id: i64,
        /// Why.
        source: Cause,
    },
    /// An object is larger than this operation takes, or of another kind than it needs.
    #[error("object {oid} is {problem}")]
    Object {
        /// The object.
        oid: Oid,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Git did not start or was lost.
    #[error("could not run Git")]
    Process(#[from] ProcessError),
    /// Git ended with an error.
    #[error("`git {command}` failed: {message}")]
    Git {
        /// The subcommand.
        command: &'static str,
        /// The last of what it said.
        message: String,
    },
    /// Nothing moved for too long.
    #[error("`git {command}` made no progress for {seconds} s")]
    Stalled {
        /// The subcommand.
        command: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The client does not follow the protocol.
    #[error("the client's request does not follow Git's protocol: {problem}")]
    Protocol {
        /// What was wrong.
        problem: String,
    },
    /// The client went away.
    #[error("the transfer ended early")]
    Transfer(#[source] io::Error),
    /// The operation was cut short because the program is going down.
    #[error("the operation was cancelled")]
    Cancelled,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Process(error) => error.hint(),
            Self::Absent { .. } => Some("restore the repository from a backup, or remove it from the forge".into()),
            _ => None,
        }
    }
}
