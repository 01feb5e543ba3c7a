//! Why the database did not do what it was asked. Names no rows: what is in them is the caller's to tell or to hide.

use std::path::PathBuf;

use base::Hint;
use base::file::FileError;

/// What a database said was wrong. A server's words come without the values that it quotes.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// SQLite's.
    #[error(transparent)]
    File(rusqlite::Error),
    /// PostgreSQL's, or its library's.
    #[error("{0}")]
    Server(String),
}

/// A database operation that failed. The transaction that it was in, if any, is rolled back when its handle is dropped.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file did not open, or is not a database.
    #[error("could not open the database `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// The address does not tell where a PostgreSQL server is. The address itself may hold a password and is not shown.
    #[error("the database's address {problem}")]
    Address {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The authorities that shall vouch for a server cannot be used.
    #[error("the file of authorities `{path}` {problem}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server is not there, or does not answer in time.
    #[error("the database server does not answer")]
    Away(#[source] Cause),
    /// The file could not be made.
    #[error("could not make the database")]
    Make(#[source] FileError),
    /// A newer program wrote this database.
    #[error("the database has schema {found}, and this program knows {known}")]
    NewerSchema {
        /// The database's schema number.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The database was migrated by a program whose migration of that number reads differently.
    #[error("migration {number} of the database is not the one that this program knows")]
    OtherMigration {
        /// The migration's number.
        number: u32,
    },
    /// A migration failed, and was undone.
    #[error("migration {number} of the database failed")]
    Migration {
        /// The migration's number.
        number: u32,
        /// Why.
        source: Cause,
    },
    /// A value that must be unique is there already.
    #[error("`{on}` has this value already")]
    Unique {
        /// Table and column, as in `owners.name_key`.
        on: String,
    },
    /// Others kept the database locked for longer than we wait.
    #[error("the database is locked by another process")]
    Busy(#[source] Cause),
    /// A statement failed.
    #[error("a database statement failed")]
    Statement(#[source] Cause),
    /// A row does not hold what this program writes there.
    #[error("column {column} of a row is not {wanted}")]
    Shape {
        /// The column's place, from 0.
        column: usize,
        /// What was expected.
        wanted: &'static str,
    },
    /// The transaction took longer than a transaction may, and was undone.
    #[error("the transaction took too long and was undone")]
    Overdue,
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
    /// A thread could not be started.
    #[error("could not start a database thread")]
    Thread(#[source] std::io::Error),
}

impl StoreError {
    pub(crate) fn of_statement(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{ConstraintViolation, DatabaseBusy, DatabaseLocked};
        const UNIQUE: &str = "UNIQUE constraint failed: ";
        match &error {
            rusqlite::Error::SqliteFailure(failure, Some(message)) if failure.code == ConstraintViolation => {
                match message.strip_prefix(UNIQUE) {
                    Some(columns) => Self::Unique { on: columns.into() },
                    None => Self::Statement(Cause::File(error)),
                }
            }
            rusqlite::Error::SqliteFailure(failure, _) if matches!(failure.code, DatabaseBusy | DatabaseLocked) => {
                Self::Busy(Cause::File(error))
            }
            _ => Self::Statement(Cause::File(error)),
        }
    }

    /// Says whether it is [`StoreError::Unique`] on a column, given as `table.column`.
    pub fn is_unique(&self, column: &str) -> bool {
        matches!(self, Self::Unique { on } if on.split(", ").any(|one| one == column))
    }
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Make(error) => error.hint(),
            Self::NewerSchema { .. } => Some("start the version that wrote it, or a newer one".into()),
            Self::OtherMigration { .. } => {
                Some("this database belongs to another build of the program; start that one".into())
            }
            Self::Address { .. } => {
                Some("write DATABASE_URL like postgres://user:password@host:5432/gitgrit, special signs as %XX".into())
            }
            Self::Authorities { .. } => {
                Some("name a PEM file with sslrootcert in DATABASE_URL, or with GITGRIT_CUSTOM_CA_FILE_PATH".into())
            }
            Self::Away(_) => Some("start the database server, and check DATABASE_URL or DB_HOST and DB_PORT".into()),
            Self::Busy(Cause::File(_)) => Some("find the process that holds the database file open, and end it".into()),
            Self::Busy(Cause::Server(_)) => {
                Some("find the session that holds the lock in the server's view pg_stat_activity, and end it".into())
            }
            Self::Statement(Cause::File(rusqlite::Error::SqliteFailure(failure, _)))
                if failure.code == rusqlite::ErrorCode::DiskFull =>
            {
                Some("free some space on the file system of the data directory".into())
            }
            _ => None,
        }
    }
}
