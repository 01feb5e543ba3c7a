//! PostgreSQL behind the same face as SQLite: a pool that only reads, and one connection that writes. No query is
//! written here. Never shows an address, which may hold a password, nor the values that a server quotes in its errors.

use std::time::Duration;

use bytes::BytesMut;
use deadpool_postgres::{Client, Object, Pool, PoolError};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio_postgres::Transaction;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use base::clock::Timestamp;

use crate::error::Cause;
use crate::handle::{Ask, Look, OVERDUE, Step};
use crate::login::{CONNECT, Login, WAIT};
use crate::migrations::{self, KNOWN_SCHEMA, MIGRATIONS, Migration};
use crate::{Row, StoreError, Value};

/// Connections that read.
const READERS: usize = 8;
/// How long an answer may take; longer than the server itself lets a statement run.
const ANSWER: Duration = Duration::from_secs(40);
/// What every session is told: a wait for a lock ends after 20 s, a statement after 30 s, and a transaction whose program hangs gives its lock back.
const SESSION: &str = "-c statement_timeout=30s -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s";
/// What sessions are told that shall not write: somebody waits for what they read.
const READ_ONLY: &str = "-c default_transaction_read_only=on -c statement_timeout=10s -c lock_timeout=5s";
/// How long an answer to a reader may take.
const READ_ANSWER: Duration = Duration::from_secs(12);
/// Names the lock that whoever writes holds until the end of the transaction: "gitgrit" in ASCII.
pub(crate) const LOCK: i64 = 0x67_6974_6772_6974;

/// The list of the migrations that ran.
const LIST: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL
)";

/// The database on a server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    reads: Pool,
    /// Of one connection: what waits for it is this process's queue of writers.
    writes: Pool,
}

impl Server {
    /// Looks at the database without changing it; `None` when the forge has no table there.
    pub(crate) async fn look(login: &Login) -> Result<Option<Look>, StoreError> {
        let pool = login.pool(&format!("{SESSION} {READ_ONLY}"), 1)?;
        within(look(&take(&pool).await?)).await
    }

    /// Opens the database, migrating it where needed.
    pub(crate) async fn open(login: &Login, now: Timestamp) -> Result<Self, StoreError> {
        let reads = login.pool(&format!("{SESSION} {READ_ONLY}"), READERS)?;
        let writes = login.pool(SESSION, 1)?;
        if let Some(Look { schema: found, .. }) = within(look(&take(&reads).await?)).await?
            && found > KNOWN_SCHEMA
        {
            return Err(StoreError::NewerSchema { found, known: KNOWN_SCHEMA });
        }
        migrate(take(&writes).await?, now).await?;
        Ok(Self { reads, writes })
    }

    /// Runs one statement on a connection that cannot write.
    pub(crate) async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let client = take(&self.reads).await?;
        let answer = within_time(READ_ANSWER, async {
            let statement = client.prepare_cached(sql).await.map_err(fault)?;
            client.query(&statement, &parameters(&values)).await.map_err(fault)
        });
        let answer = answer.await.and_then(|rows| rows.iter().map(read).collect());
        if matches!(answer, Err(StoreError::Away(_))) {
            drop(Object::take(client));
        }
        answer
    }

    /// Begins a transaction and gives the way to its steps. A task of its own runs it, so that whoever began it can go
    /// away in the middle of a statement.
    pub(crate) async fn begin(&self) -> Result<UnboundedSender<Step>, StoreError> {
        let client = take(&self.writes).await?;
        let (steps, receiver) = mpsc::unbounded_channel();
        let (answer, begun) = oneshot::channel();
        tokio::spawn(async move {
            // Read committed: what is seen is what was committed when the lock came, not when it was asked for.
            let begin =
                format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({LOCK})");
            let done = within(async { client.batch_execute(&begin).await.map_err(fault) }).await;
            let is_done = done.is_ok();
            if answer.send(done).is_ok() && is_done { serve(client, receiver).await } else { undo(client).await }
        });
        begun.await.map_err(|_| StoreError::Closed)??;
        Ok(steps)
    }

    /// Lets the transactions end that have begun, then closes the connections.
    pub(crate) async fn close(&self) {
        if let Ok(last) = self.writes.get().await {
            self.writes.close();
            drop(last);
        }
        self.writes.close();
        self.reads.close();
    }
}

async fn serve(client: Client, mut steps: UnboundedReceiver<Step>) {
    loop {
        match tokio::time::timeout(OVERDUE, steps.recv()).await {
            Ok(Some(Step::Ask(Ask { sql, values, answer }))) => {
                let (rows, is_whole) = statement(&client, sql, &values).await;
                let _ = answer.send(rows);
                if !is_whole {
                    break;
                }
            }
            Ok(Some(Step::Commit(answer))) => {
                let done = within(async { client.batch_execute("COMMIT").await.map_err(fault) }).await;
                let is_done = done.is_ok();
                // First the connection: whoever hears of the end may begin the next one at once.
                if is_done {
                    drop(client);
                } else {
                    undo(client).await;
                }
                let _ = answer.send(done);
                return;
            }
            Ok(None) => break,
            Err(_) => {
                tracing::error!("a transaction without a next statement was undone");
                break;
            }
        }
    }
    undo(client).await;
}

/// Runs one statement of a transaction. As on SQLite, one that fails leaves the transaction as it was before: here it
/// would otherwise be lost. `false` when it is.
async fn statement(client: &Client, sql: &'static str, values: &[Value]) -> (Result<Vec<Row>, StoreError>, bool) {
    let parameters = parameters(values);
    let answer = within(async {
        // Sent together, and answered in order: the savepoint costs no round trip of its own.
        let (saved, prepared) = tokio::join!(client.batch_execute("SAVEPOINT statement"), client.prepare_cached(sql));
        saved.map_err(fault)?;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Err(fault(error))),
        };
        let release = client.batch_execute("RELEASE SAVEPOINT statement");
        let (rows, released) = tokio::join!(client.query(&prepared, &parameters), release);
        match rows {
            Ok(rows) => released.map(|()| Ok(rows)).map_err(fault),
            Err(error) => Ok(Err(fault(error))),
        }
    });
    match answer.await {
        Ok(Ok(rows)) => (rows.iter().map(read).collect(), true),
        Ok(Err(error)) => {
            let back = client.batch_execute("ROLLBACK TO SAVEPOINT statement; RELEASE SAVEPOINT statement");
            let is_back = within(async { back.await.map_err(fault) }).await.is_ok();
            (Err(error), is_back)
        }
        Err(error) => (Err(error), false),
    }
}

/// Undoes the transaction; a connection on which that fails is of no more use to anybody.
async fn undo(client: Client) {
    if within(async { client.batch_execute("ROLLBACK").await.map_err(fault) }).await.is_err() {
        drop(Object::take(client));
    }
}

async fn look(client: &Client) -> Result<Option<Look>, StoreError> {
    if !has_table(client, "schema_migrations").await? {
        return Ok(None);
    }
    let schema = "SELECT COALESCE(MAX(number), 0) FROM schema_migrations";
    let found: i64 = client.query_one(schema, &[]).await.map_err(fault)?.get(0);
    let canary = if has_table(client, "site_facts").await? {
        let rows = client.query_opt("SELECT value FROM site_facts WHERE key = 'canary'", &[]).await;
        rows.map_err(fault)?.map(|row| row.get(0))
    } else {
        None
    };
    Ok(Some(Look { schema: u32::try_from(found).unwrap_or(u32::MAX), canary }))
}

async fn has_table(client: &Client, name: &str) -> Result<bool, StoreError> {
    let row = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&name]).await;
    Ok(row.map_err(fault)?.get(0))
}

/// Two processes may run it at once: the second waits and finds the work done.
async fn migrate(mut client: Client, now: Timestamp) -> Result<(), StoreError> {
    for migration in MIGRATIONS {
        if let Err(error) = apply(&mut client, migration, now).await {
            // What is under way on it may not be over.
            drop(Object::take(client));
            return Err(error);
        }
    }
    Ok(())
}

async fn apply(client: &mut Client, migration: &Migration, now: Timestamp) -> Result<(), StoreError> {
    let number = migration.number;
    let transaction = client.transaction().await.map_err(fault)?;
    // A migration may take as long as it takes, and so may another process's.
    let alone =
        format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})");
    transaction.batch_execute(&alone).await.map_err(fault)?;
    transaction.batch_execute(LIST).await.map_err(fault)?;
    let newest = transaction.query_one("SELECT COALESCE(MAX(number), 0) FROM schema_migrations", &[]).await;
    let newest: i64 = newest.map_err(fault)?.get(0);
    if newest > i64::from(KNOWN_SCHEMA) {
        let found = u32::try_from(newest).unwrap_or(u32::MAX);
        return Err(StoreError::NewerSchema { found, known: KNOWN_SCHEMA });
    }
    let recorded = "SELECT checksum FROM schema_migrations WHERE number = $1";
    let recorded = transaction.query_opt(recorded, &[&i64::from(number)]).await.map_err(fault)?;
    let checksum = migrations::checksum(migration.postgres);
    match recorded.map(|row| row.get::<_, String>(0)) {
        Some(recorded) if recorded == checksum => return Ok(()),
        Some(_) => return Err(StoreError::OtherMigration { number }),
        None => {}
    }
    install(&transaction, migration, now).await?;
    let failed = |error| StoreError::Migration { number, source: Cause::Server(words(&error)) };
    transaction.commit().await.map_err(failed)?;
    tracing::info!(migration.number, migration.name, "database migrated");
    Ok(())
}

/// Runs one migration within a transaction, and lists it.
pub(crate) async fn install(
    transaction: &Transaction<'_>,
    migration: &Migration,
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = migration.number;
    let failed = |error| StoreError::Migration { number, source: Cause::Server(words(&error)) };
    transaction.batch_execute(LIST).await.map_err(failed)?;
    transaction.batch_execute(migration.postgres).await.map_err(failed)?;
    let record = "INSERT INTO schema_migrations (number, name, checksum, applied) VALUES ($1, $2, $3, $4)";
    let checksum = migrations::checksum(migration.postgres);
    transaction.execute(record, &[&i64::from(number), &migration.name, &checksum, &now.0]).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn take(pool: &Pool) -> Result<Client, StoreError> {
    let gone = |words: String| StoreError::Away(Cause::Server(words));
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => gone(words(&error)),
        PoolError::Closed => StoreError::Closed,
        PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
            StoreError::Busy(Cause::Server(format!("no connection was free within {} s", WAIT.as_secs())))
        }
        PoolError::Timeout(_) => gone(format!("no connection came about within {} s", CONNECT.as_secs())),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => gone("the pool failed".into()),
    })
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within_time(ANSWER, work).await
}

async fn within_time<T>(time: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Away(Cause::Server(format!("no answer within {} s", time.as_secs())));
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(late()))
}

/// What an error of the library's or the server's means to a caller.
pub(crate) fn fault(error: tokio_postgres::Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        use std::error::Error as _;
        let is_cut = error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
        let cause = Cause::Server(words(&error));
        return if is_cut { StoreError::Away(cause) } else { StoreError::Statement(cause) };
    };
    let cause = || Cause::Server(words(&error));
    match said.code().code() {
        "23505" => StoreError::Unique { on: unique(said) },
        // A lock, or an answer, that did not come in time.
        "55P03" | "57014" => StoreError::Busy(cause()),
        code if code == "53300" || code.starts_with("08") || code.starts_with("57P") => StoreError::Away(cause()),
        _ => StoreError::Statement(cause()),
    }
}

/// The columns as SQLite names them: `repos.owner_id, repos.name_key`. The detail is `Key (owner_id, name_key)=(…`, in
/// whatever language.
fn unique(said: &tokio_postgres::error::DbError) -> String {
    let table = said.table().unwrap_or_default();
    let columns = said.detail().and_then(|detail| detail.split_once('(')?.1.split_once(")=("));
    match columns {
        Some((columns, _)) => {
            columns.split(", ").map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ")
        }
        None => said.constraint().unwrap_or(table).to_owned(),
    }
}

/// The message without the detail, which quotes rows.
fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        None => error.to_string(),
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |(column, kind): (usize, &tokio_postgres::Column)| {
        let wanted = StoreError::Shape { column, wanted: "an integer or a text" };
        let number = match *kind.type_() {
            Type::INT2 => row.try_get::<_, Option<i16>>(column).map(|number| number.map(i64::from)),
            Type::INT4 => row.try_get::<_, Option<i32>>(column).map(|number| number.map(i64::from)),
            Type::INT8 => row.try_get::<_, Option<i64>>(column),
            Type::TEXT | Type::VARCHAR => {
                let text: Option<String> = row.try_get(column).map_err(fault)?;
                return Ok(text.map_or(Value::Null, Value::Text));
            }
            _ => return Err(wanted),
        };
        Ok(number.map_err(fault)?.map_or(Value::Null, Value::Int))
    };
    Ok(Row::new(row.columns().iter().enumerate().map(value).collect::<Result<_, _>>()?))
}

/// Integers take the width of their column, as on SQLite, which has one width.
impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(number), &Type::INT8) => number.to_sql(kind, out),
            (Self::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Self::Int(number), &Type::INT2) => i16::try_from(*number)?.to_sql(kind, out),
            (Self::Text(text), &Type::TEXT | &Type::VARCHAR) => text.to_sql(kind, out),
            _ => Err("the value is of another kind than its column".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
