//! The side of a copy that writes: an empty database on a server, in one transaction with its schema. What arrived is
//! read back and summed before that transaction ends, and without its end nothing was ever there.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::Receiver;
use tokio_postgres::Transaction;

use base::clock::Timestamp;
use base::fault;

use crate::copy::{CopyError, CountedTable, Digests, Table};
use crate::copy_source::Piece;
use crate::migrations::MIGRATIONS;
use crate::postgres::{LOCK, fault, install, take};
use crate::{Login, StoreError};

/// A copy may take as long as it takes.
const SESSION: &str = "-c statement_timeout=0 -c lock_timeout=30s -c idle_in_transaction_session_timeout=0";

/// Fails with [`CopyError::NotEmpty`] when there is something in the database.
pub(crate) async fn refuse_filled(login: &Login) -> Result<(), CopyError> {
    let mut client = take(&login.pool(SESSION, 1)?).await?;
    let transaction = client.transaction().await.map_err(fault)?;
    empty(&transaction).await
}

/// Makes the schema, takes in what comes, and lets it stand when it is what was sent.
pub(crate) async fn write(
    login: &Login,
    mut pieces: Receiver<Piece>,
    digests: &Digests,
    now: Timestamp,
) -> Result<Vec<CountedTable>, CopyError> {
    let mut client = take(&login.pool(SESSION, 1)?).await?;
    let transaction = client.transaction().await.map_err(fault)?;
    run(&transaction, &format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    empty(&transaction).await?;
    for migration in MIGRATIONS {
        install(&transaction, migration, now).await?;
    }
    let Some(Piece::Tables(tables)) = pieces.recv().await else { return Err(StoreError::Closed.into()) };
    same_tables(&transaction, &tables).await?;
    // Their own triggers keep records from being changed; the rows of a migration give way to those that come.
    for table in tables.iter().rev() {
        let name = &table.name;
        run(&transaction, &format!("ALTER TABLE \"{name}\" DISABLE TRIGGER USER; DELETE FROM \"{name}\"")).await?;
    }
    let mut sent = Vec::with_capacity(tables.len());
    for table in &tables {
        sent.push(take_in(&transaction, table, &mut pieces).await?);
        fault::point("store:copy:table");
    }
    let Some(Piece::Numbers(numbers)) = pieces.recv().await else { return Err(StoreError::Closed.into()) };
    go_on_counting(&transaction, &tables, &numbers).await?;
    for (table, sent) in tables.iter().zip(&sent) {
        run(&transaction, &format!("ALTER TABLE \"{}\" ENABLE TRIGGER USER", table.name)).await?;
        let arrived = sum(&transaction, table, digests).await?;
        if arrived != *sent {
            let (table, sent, arrived) = (table.name.clone(), sent.rows, arrived.rows);
            return Err(CopyError::Differs { table, sent, arrived });
        }
    }
    fault::point("store:copy:compared");
    transaction.commit().await.map_err(fault)?;
    Ok(sent)
}

async fn run(transaction: &Transaction<'_>, statements: &str) -> Result<(), StoreError> {
    transaction.batch_execute(statements).await.map_err(fault)
}

async fn empty(transaction: &Transaction<'_>) -> Result<(), CopyError> {
    let any = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY 1 LIMIT 1";
    match transaction.query_opt(any, &[]).await.map_err(fault)? {
        None => Ok(()),
        Some(row) => Err(CopyError::NotEmpty { table: row.get(0) }),
    }
}

/// A table that one side alone has would be lost, or left empty, without anybody noticing.
async fn same_tables(transaction: &Transaction<'_>, tables: &[Table]) -> Result<(), CopyError> {
    let all = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND c.relname <> 'schema_migrations'";
    let there: Vec<String> = transaction.query(all, &[]).await.map_err(fault)?.iter().map(|row| row.get(0)).collect();
    let lone = tables.iter().map(|table| &table.name).find(|name| !there.contains(name));
    match lone.or_else(|| there.iter().find(|name| !tables.iter().any(|table| table.name == **name))) {
        None => Ok(()),
        Some(table) => Err(CopyError::Tables { table: table.clone() }),
    }
}

async fn take_in(
    transaction: &Transaction<'_>,
    table: &Table,
    pieces: &mut Receiver<Piece>,
) -> Result<CountedTable, CopyError> {
    let sql = format!("COPY \"{}\" ({}) FROM STDIN", table.name, quoted(&table.columns));
    let sink = transaction.copy_in::<_, Bytes>(&sql).await.map_err(fault)?;
    let mut sink = Box::pin(sink);
    loop {
        match pieces.recv().await {
            Some(Piece::Lines(lines)) => sink.send(lines).await.map_err(fault)?,
            Some(Piece::End(counted)) => {
                sink.as_mut().finish().await.map_err(fault)?;
                return Ok(counted);
            }
            _ => return Err(StoreError::Closed.into()),
        }
    }
}

/// Numbers that were given once are not given again, also those of rows that are gone.
async fn go_on_counting(
    transaction: &Transaction<'_>,
    tables: &[Table],
    numbers: &[(String, i64)],
) -> Result<(), CopyError> {
    let sequence = "SELECT a.attname::text, pg_get_serial_sequence(quote_ident(c.relname), a.attname)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE n.nspname = current_schema() AND c.relname = $1 AND a.attnum > 0 AND NOT a.attisdropped
           AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL";
    for table in tables {
        let name = &table.name;
        for row in transaction.query(sequence, &[name]).await.map_err(fault)? {
            let (column, sequence): (String, String) = (row.get(0), row.get(1));
            let largest = format!("SELECT COALESCE(MAX(\"{column}\"), 0)::bigint FROM \"{name}\"");
            let largest: i64 = transaction.query_one(&largest, &[]).await.map_err(fault)?.get(0);
            let given = numbers.iter().find(|(of, _)| of == name).map_or(0, |(_, number)| *number);
            let last = largest.max(given);
            if last > 0 {
                transaction
                    .execute("SELECT setval($1::text::regclass, $2)", &[&sequence, &last])
                    .await
                    .map_err(fault)?;
            }
        }
    }
    Ok(())
}

/// Sums what is in the table now, as the other side did with what it sent.
async fn sum(transaction: &Transaction<'_>, table: &Table, digests: &Digests) -> Result<CountedTable, CopyError> {
    let texts = "SELECT a.attname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE n.nspname = current_schema() AND c.relname = $1 AND a.attcollation <> 0";
    let texts = transaction.query(texts, &[&table.name]).await.map_err(fault)?;
    let texts: Vec<String> = texts.iter().map(|row| row.get(0)).collect();
    let order = table.key.iter().map(|key| {
        let bytewise = if texts.contains(key) { " COLLATE \"C\"" } else { "" };
        format!("\"{key}\"{bytewise} ASC NULLS FIRST")
    });
    let order = order.collect::<Vec<_>>().join(", ");
    let sql = format!("COPY (SELECT {} FROM \"{}\" ORDER BY {order}) TO STDOUT", quoted(&table.columns), table.name);
    let mut lines = Box::pin(transaction.copy_out(&sql).await.map_err(fault)?);
    let (mut digest, mut rows) = (digests(), 0_u64);
    while let Some(line) = lines.next().await {
        let line = line.map_err(fault)?;
        digest.add(&line);
        // Line ends within texts are written as \n, so each of these ends a row.
        let ends = line.split(|byte| *byte == b'\n').count().saturating_sub(1);
        rows = rows.saturating_add(u64::try_from(ends).unwrap_or(u64::MAX));
    }
    Ok(CountedTable { name: table.name.clone(), rows, digest: digest.finish() })
}

fn quoted(columns: &[String]) -> String {
    format!("\"{}\"", columns.join("\", \""))
}
