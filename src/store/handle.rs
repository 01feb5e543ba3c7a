//! The store as its callers hold it, one face over both databases: a file of SQLite's, or a server of PostgreSQL's.
//! Nothing here knows what is in a table. Transactions are serialised on both, across processes as well.

use std::future::Future;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::{mpsc as queue, oneshot};

use base::clock::Timestamp;

use crate::login::Login;
use crate::postgres::Server;
use crate::sqlite::File;
use crate::{Row, StoreError, Value};

/// How long a transaction waits for its next statement before the whole is undone.
pub(crate) const OVERDUE: Duration = Duration::from_secs(30);

pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A statement, and whom to tell what came of it.
pub(crate) struct Ask {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
    pub(crate) answer: Answer<Vec<Row>>,
}

/// What a transaction is told to do next.
pub(crate) enum Step {
    Ask(Ask),
    Commit(Answer<()>),
}

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Address {
    /// A file of SQLite's, which is made when it is not there.
    File(PathBuf),
    /// A database on a server, which somebody else has made.
    Server(Login),
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Engine);

#[derive(Clone)]
enum Engine {
    File(File),
    Server(Server),
}

/// What can be known of a database without writing to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// The schema number; 0 before the first migration.
    pub schema: u32,
    /// The fact by which the encryption key is known again.
    pub canary: Option<String>,
}

impl Store {
    /// Looks at the database without changing it; `None` when there is none, or nothing in it is the forge's.
    pub async fn look(address: &Address) -> Result<Option<Look>, StoreError> {
        match address {
            Address::File(path) => File::look(path).await,
            Address::Server(login) => Server::look(login).await,
        }
    }

    /// Opens the database, migrating it where needed. A file is made (mode 0600) when it is not there.
    /// Fails with [`StoreError::NewerSchema`] before anything is written.
    pub async fn open(address: &Address, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self(match address {
            Address::File(path) => Engine::File(File::open(path, now).await?),
            Address::Server(login) => Engine::Server(Server::open(login, now).await?),
        }))
    }

    /// A handle for queries outside a transaction; each of them sees what is committed when it runs.
    pub fn read(&self) -> Reader<'_> {
        Reader(self)
    }

    /// Begins a transaction. Waits for the one before it, in this process or another.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx(match &self.0 {
            Engine::File(file) => Steps::Thread(file.begin().await?),
            Engine::Server(server) => Steps::Task(server.begin().await?),
        }))
    }

    /// The database's kind, as people name it.
    pub const fn kind(&self) -> &'static str {
        match &self.0 {
            Engine::File(_) => "SQLite",
            Engine::Server(_) => "PostgreSQL",
        }
    }

    /// Lets running statements end, then closes the database. Calls after it fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        match &self.0 {
            Engine::File(file) => file.close().await,
            Engine::Server(server) => server.close().await,
        }
    }
}

/// What can answer a query: a [`Reader`], or a [`Tx`] that also sees its own changes.
pub trait Query: Sync {
    /// Runs one statement, `$1` and so on standing for `values`, and gives all rows.
    fn rows(&self, sql: &'static str, values: Vec<Value>) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// The first row, when there is one.
    fn first(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        async move { Ok(self.rows(sql, values).await?.into_iter().next()) }
    }
}

/// Queries outside a transaction. The connections behind it cannot write.
pub struct Reader<'store>(&'store Store);

impl Query for Reader<'_> {
    async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match &self.0.0 {
            Engine::File(file) => file.rows(sql, values).await,
            Engine::Server(server) => server.rows(sql, values).await,
        }
    }
}

/// A transaction: serialised with all others, rolled back when dropped before [`Tx::commit`].
pub struct Tx(Steps);

enum Steps {
    Thread(mpsc::Sender<Step>),
    Task(queue::UnboundedSender<Step>),
}

impl Tx {
    /// Makes the changes last. When it fails, none of them did; but with [`StoreError::Away`] the server may have
    /// gone after it had taken them, and only the next look will tell.
    pub async fn commit(self) -> Result<(), StoreError> {
        let (answer, done) = oneshot::channel();
        self.send(Step::Commit(answer))?;
        done.await.map_err(|_| StoreError::Overdue)?
    }

    /// Which of two texts of one statement this transaction's database understands.
    pub(crate) const fn dialect(&self, file: &'static str, server: &'static str) -> &'static str {
        match &self.0 {
            Steps::Thread(_) => file,
            Steps::Task(_) => server,
        }
    }

    fn send(&self, step: Step) -> Result<(), StoreError> {
        let is_sent = match &self.0 {
            Steps::Thread(steps) => steps.send(step).is_ok(),
            Steps::Task(steps) => steps.send(step).is_ok(),
        };
        if is_sent { Ok(()) } else { Err(StoreError::Overdue) }
    }
}

impl Query for Tx {
    async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let (answer, rows) = oneshot::channel();
        self.send(Step::Ask(Ask { sql, values, answer }))?;
        rows.await.map_err(|_| StoreError::Overdue)?
    }
}
