//! Moves a database out of a file and onto a server: every row of every table that the schema has, in one transaction,
//! and counted and summed on both sides before it is let stand. The file is only read. Which tables there are is asked
//! of the schema, so that none of a later migration is forgotten.

use std::path::Path;
use std::sync::Arc;

use base::Hint;
use base::clock::Timestamp;
use tokio::sync::mpsc;

use crate::copy_source::{self, Piece};
use crate::{Login, StoreError, copy_target};

/// Pieces of rows that may be on their way.
const ON_THEIR_WAY: usize = 16;

/// Sums bytes up, so that two tables can be told apart.
pub trait Digest: Send {
    /// Adds bytes.
    fn add(&mut self, bytes: &[u8]);
    /// The sum of all of them.
    fn finish(self: Box<Self>) -> String;
}

/// Makes digests.
pub type Digests = Arc<dyn Fn() -> Box<dyn Digest> + Send + Sync>;

/// A table that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// The digest of all its rows in the order of their keys, in the text form of PostgreSQL's COPY.
    pub digest: String,
}

/// A table of the schema, as far as copying asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// What puts its rows in order.
    pub(crate) key: Vec<String>,
}

/// Why a database was not copied. Nothing of it is on the server.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no file to copy.
    #[error("there is no database in `{path}`")]
    Absent {
        /// Where one was looked for.
        path: std::path::PathBuf,
    },
    /// The file has not been migrated yet, or by a newer program.
    #[error("the database has schema {found}, and this program copies {known}")]
    Schema {
        /// The file's schema number.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// There is something in the server's database.
    #[error("the database on the server is not empty: `{table}` is there")]
    NotEmpty {
        /// A table that is there.
        table: String,
    },
    /// The schemas of the two do not have the same tables.
    #[error("the table `{table}` is in one of the two databases alone")]
    Tables {
        /// The table.
        table: String,
    },
    /// A text has a character that PostgreSQL does not take.
    #[error("a text in `{table}` holds the character U+0000, which PostgreSQL cannot")]
    Nul {
        /// The table.
        table: String,
    },
    /// What arrived is not what was sent.
    #[error("the table `{table}` did not arrive as it was sent: {sent} rows left, {arrived} arrived")]
    Differs {
        /// The table.
        table: String,
        /// Rows that were read.
        sent: u64,
        /// Rows that are on the server.
        arrived: u64,
    },
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for CopyError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Schema { found, known } if found < known => {
                Some("start the site once with this version: that migrates it; then stop it and copy".into())
            }
            Self::Schema { .. } => Some("use the version that wrote it, or a newer one".into()),
            Self::NotEmpty { .. } => Some(
                "name an empty database; `DROP DATABASE` and `CREATE DATABASE` make one of it when nothing there is needed"
                    .into(),
            ),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// What would be copied, and whether the server would take it. Writes nothing.
pub async fn preview(file: &Path, login: &Login, digests: &Digests) -> Result<Vec<CountedTable>, CopyError> {
    let (pieces, mut receiver) = mpsc::channel(ON_THEIR_WAY);
    let reading = copy_source::start(file, digests, pieces);
    let looked = copy_target::refuse_filled(login).await;
    let mut counted = Vec::new();
    while let Some(piece) = receiver.recv().await {
        if let Piece::End(table) = piece {
            counted.push(table);
        }
    }
    reading.await.map_err(|_| StoreError::Closed)??;
    looked?;
    Ok(counted)
}

/// Copies the database in `file` into the empty one behind `login`, and gives what is there now. When it fails, or is
/// killed, nothing is there.
pub async fn copy(
    file: &Path,
    login: &Login,
    digests: &Digests,
    now: Timestamp,
) -> Result<Vec<CountedTable>, CopyError> {
    let (pieces, receiver) = mpsc::channel(ON_THEIR_WAY);
    let reading = copy_source::start(file, digests, pieces);
    let written = copy_target::write(login, receiver, digests, now).await;
    match reading.await.map_err(|_| StoreError::Closed)? {
        // Whoever reads stops when nobody takes it: that is told by who did not.
        Err(CopyError::Store(StoreError::Closed)) | Ok(()) => written,
        Err(error) => Err(error),
    }
}
