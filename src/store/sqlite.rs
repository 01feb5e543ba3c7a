//! SQLite on threads of its own: one that writes, a few that read, an async face over channels. No query is written
//! here. A transaction that is not committed is rolled back, whatever becomes of whoever began it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

use base::clock::Timestamp;

use crate::error::Cause;
use crate::handle::{Answer, Ask, Look, OVERDUE, Step};
use crate::{Row, StoreError, Value, migrations};

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
const READERS: usize = 3;

struct Begin {
    steps: mpsc::Receiver<Step>,
    answer: Answer<()>,
}

/// The database in a file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct File(Arc<Shared>);

struct Shared {
    doors: Mutex<Option<Doors>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Doors {
    reads: mpsc::Sender<Ask>,
    writes: mpsc::Sender<Begin>,
}

impl File {
    /// Looks at the database without changing it; `None` when there is none.
    pub(crate) async fn look(path: &Path) -> Result<Option<Look>, StoreError> {
        let path = path.to_owned();
        on_thread(move || look(&path)).await
    }

    /// Opens the database at `path`, making it (mode 0600) and migrating it where needed.
    pub(crate) async fn open(path: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let path = path.to_owned();
        on_thread(move || open(&path, now)).await
    }

    /// Runs one statement on a connection that cannot write.
    pub(crate) async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let doors = self.doors().ok_or(StoreError::Closed)?;
        let (answer, rows) = oneshot::channel();
        doors.reads.send(Ask { sql, values, answer }).map_err(|_| StoreError::Closed)?;
        rows.await.map_err(|_| StoreError::Closed)?
    }

    /// Begins a transaction and gives the way to its steps.
    pub(crate) async fn begin(&self) -> Result<mpsc::Sender<Step>, StoreError> {
        let doors = self.doors().ok_or(StoreError::Closed)?;
        let (steps, receiver) = mpsc::channel();
        let (answer, begun) = oneshot::channel();
        doors.writes.send(Begin { steps: receiver, answer }).map_err(|_| StoreError::Closed)?;
        begun.await.map_err(|_| StoreError::Closed)??;
        Ok(steps)
    }

    /// Lets running statements end, then closes the database.
    pub(crate) async fn close(&self) {
        let doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner).take();
        let readers = std::mem::take(&mut *self.0.readers.lock().unwrap_or_else(PoisonError::into_inner));
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = tokio::task::spawn_blocking(move || {
            let Some(Doors { reads, writes }) = doors else { return };
            drop(reads);
            join(readers);
            // Last, as only who can write brings the journal home when the last connection closes.
            drop(writes);
            join(writer);
        });
        if let Err(error) = joined.await {
            tracing::error!(%error, "the database did not close in order");
        }
    }

    fn doors(&self) -> Option<Doors> {
        self.0.doors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a database thread had panicked");
        }
    }
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
}

fn look(path: &Path) -> Result<Option<Look>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let schema = migrations::schema(&connection)?;
    let canary = if migrations::has_table(&connection, "site_facts")? {
        let mut statement = connection
            .prepare("SELECT value FROM site_facts WHERE key = 'canary'")
            .map_err(StoreError::of_statement)?;
        let mut rows = statement.query([]).map_err(StoreError::of_statement)?;
        rows.next().and_then(|row| row.map(|row| row.get(0)).transpose()).map_err(StoreError::of_statement)?
    } else {
        None
    };
    Ok(Some(Look { schema, canary }))
}

fn open(path: &Path, now: Timestamp) -> Result<File, StoreError> {
    if let Some(Look { schema: found, .. }) = look(path)?
        && found > migrations::KNOWN_SCHEMA
    {
        return Err(StoreError::NewerSchema { found, known: migrations::KNOWN_SCHEMA });
    }
    make_file(path)?;
    let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = |source| StoreError::Open { path: path.into(), source: Cause::File(source) };
    writer.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    writer.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    migrations::run(&mut writer, now)?;

    let (writes, begins) = mpsc::channel();
    let writer = Mutex::new(Some(start("store-write", move || serve_writes(writer, &begins))?));
    let (reads, asks) = mpsc::channel();
    let asks = Arc::new(Mutex::new(asks));
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let asks = Arc::clone(&asks);
        readers.push(start("store-read", move || serve_reads(&connection, &asks))?);
    }
    let doors = Mutex::new(Some(Doors { reads, writes }));
    Ok(File(Arc::new(Shared { doors, readers: Mutex::new(readers), writer })))
}

/// SQLite would make the file as the umask allows; the journal beside it takes over the file's mode.
fn make_file(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| StoreError::Make(base::file::FileError::Write { path: path.into(), source }))
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(StoreError::Thread)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open { path: PathBuf::from(path), source: Cause::File(source) };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(96);
    // Else a statement whose plan might depend on a value is parsed anew each time that another value is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    Ok(connection)
}

fn serve_reads(connection: &Connection, asks: &Mutex<mpsc::Receiver<Ask>>) {
    let mut texts = Texts::default();
    loop {
        let next = asks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(ask) = next else { return };
        if !ask.answer.is_closed() {
            let _ = ask.answer.send(run(connection, &mut texts, ask.sql, &ask.values));
        }
    }
}

fn serve_writes(mut connection: Connection, begins: &mpsc::Receiver<Begin>) {
    let mut texts = Texts::default();
    while let Ok(begin) = begins.recv() {
        if !begin.answer.is_closed() {
            serve_transaction(&mut connection, &mut texts, begin);
        }
    }
}

fn serve_transaction(connection: &mut Connection, texts: &mut Texts, begin: Begin) {
    // Immediate: a transaction that could not write would find out only at its first change, and could not wait then.
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            let _ = begin.answer.send(Err(StoreError::of_statement(error)));
            return;
        }
    };
    if begin.answer.send(Ok(())).is_err() {
        return;
    }
    loop {
        match begin.steps.recv_timeout(OVERDUE) {
            Ok(Step::Ask(ask)) => {
                let _ = ask.answer.send(run(&transaction, texts, ask.sql, &ask.values));
            }
            Ok(Step::Commit(answer)) => {
                let _ = answer.send(transaction.commit().map_err(StoreError::of_statement));
                return;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                tracing::error!("a transaction without a next statement was undone");
                return;
            }
        }
    }
}

fn run(
    connection: &Connection,
    texts: &mut Texts,
    sql: &'static str,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(texts.get(sql)).map_err(StoreError::of_statement)?;
    let width = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(StoreError::of_statement)?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().map_err(StoreError::of_statement)? {
        let read = |column| match row.get_ref(column).map_err(StoreError::of_statement)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Int(number)),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Value::Text(text.into())),
                Err(_) => Err(StoreError::Shape { column, wanted: "text in UTF-8" }),
            },
            ValueRef::Real(_) | ValueRef::Blob(_) => Err(StoreError::Shape { column, wanted: "an integer or a text" }),
        };
        answer.push(Row::new((0..width).map(read).collect::<Result<_, _>>()?));
    }
    Ok(answer)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// SQLite numbers `$1` by first appearance, as it would a name; `?1` is what it takes for the first value. Each text is
/// rewritten once.
#[derive(Default)]
struct Texts(HashMap<&'static str, String>);

impl Texts {
    fn get(&mut self, sql: &'static str) -> &str {
        self.0.entry(sql).or_insert_with(|| sql.replace('$', "?"))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// An index over a part of a table makes the plan depend on values: then SQLite would parse at each of them.
    #[test]
    fn a_statement_is_parsed_once_whatever_is_bound_to_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("some.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(&path, flags).unwrap();
        connection.execute_batch("CREATE TABLE t (a, b); CREATE INDEX i ON t (a) WHERE b = 1").unwrap();
        for value in 0..9 {
            let mut statement = connection.prepare_cached("SELECT a FROM t WHERE a = ?1 AND b = ?2").unwrap();
            assert!(!statement.exists([value, value]).unwrap());
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{value}");
        }
    }
}
