//! The side of a copy that reads: a file of SQLite's, in one snapshot, row by row. Never writes, and holds no more than
//! a piece of a table.

use std::path::{Path, PathBuf};

use bytes::{BufMut, Bytes, BytesMut};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use crate::copy::{CopyError, CountedTable, Digests, Table};
use crate::error::Cause;
use crate::migrations::{self, KNOWN_SCHEMA};
use crate::{StoreError, copy_order};

/// Bytes after which a piece is sent.
const PIECE: usize = 64 << 10;

/// What the reading side tells the other, in this order.
pub(crate) enum Piece {
    /// The tables that will come, those that others refer to first.
    Tables(Vec<Table>),
    /// Rows of the next table, whole lines of PostgreSQL's COPY.
    Lines(Bytes),
    /// The table is over.
    End(CountedTable),
    /// The last number that was given to a row of a table, whether or not the row is still there.
    Numbers(Vec<(String, i64)>),
}

/// Reads on a thread that may block, until all is sent or nobody takes it: then it fails with `Closed`.
pub(crate) fn start(file: &Path, digests: &Digests, pieces: Sender<Piece>) -> JoinHandle<Result<(), CopyError>> {
    let (file, digests) = (file.to_owned(), digests.clone());
    tokio::task::spawn_blocking(move || read(&file, &digests, &pieces))
}

fn read(file: &Path, digests: &Digests, pieces: &Sender<Piece>) -> Result<(), CopyError> {
    if !file.exists() {
        return Err(CopyError::Absent { path: file.to_owned() });
    }
    let failed = |source| StoreError::Open { path: PathBuf::from(file), source: Cause::File(source) };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    let snapshot = connection.transaction().map_err(failed)?;
    let found = migrations::schema(&snapshot)?;
    if found != KNOWN_SCHEMA {
        return Err(CopyError::Schema { found, known: KNOWN_SCHEMA });
    }
    let tables = tables(&snapshot)?;
    send(pieces, Piece::Tables(tables.clone()))?;
    for table in &tables {
        rows(&snapshot, table, digests, pieces)?;
    }
    send(pieces, Piece::Numbers(numbers(&snapshot)?))
}

fn send(pieces: &Sender<Piece>, piece: Piece) -> Result<(), CopyError> {
    pieces.blocking_send(piece).map_err(|_| StoreError::Closed.into())
}

/// All tables but the list of migrations, which the other side writes for itself.
pub(crate) fn tables(connection: &Connection) -> Result<Vec<Table>, CopyError> {
    let names = texts(
        connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
             AND name <> 'schema_migrations' ORDER BY name",
        "",
    )?;
    let mut tables = Vec::with_capacity(names.len());
    let mut edges = Vec::new();
    for name in names {
        let columns = texts(connection, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", &name)?;
        let key = texts(connection, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", &name)?;
        let others = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)";
        edges.extend(texts(connection, others, &name)?.into_iter().map(|other| (name.clone(), other)));
        let key = if key.is_empty() { columns.clone() } else { key };
        tables.push(Table { name, columns, key });
    }
    copy_order::parents_first(tables, &edges)
}

fn texts(connection: &Connection, sql: &str, name: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(sql).map_err(StoreError::of_statement)?;
    let parameters: &[&dyn rusqlite::ToSql] = if name.is_empty() { &[] } else { &[&name] };
    let rows = statement.query_map(parameters, |row| row.get(0)).map_err(StoreError::of_statement)?;
    rows.collect::<Result<_, _>>().map_err(StoreError::of_statement)
}

/// What `AUTOINCREMENT` remembers: a number is never given twice, on the other side neither.
fn numbers(connection: &Connection) -> Result<Vec<(String, i64)>, StoreError> {
    if !migrations::has_table(connection, "sqlite_sequence")? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT name, seq FROM sqlite_sequence").map_err(StoreError::of_statement)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(StoreError::of_statement)?;
    rows.collect::<Result<_, _>>().map_err(StoreError::of_statement)
}

fn rows(connection: &Connection, table: &Table, digests: &Digests, pieces: &Sender<Piece>) -> Result<(), CopyError> {
    let order: Vec<_> = table.key.iter().map(|key| format!("\"{key}\" COLLATE BINARY ASC NULLS FIRST")).collect();
    let sql =
        format!("SELECT \"{}\" FROM \"{}\" ORDER BY {}", table.columns.join("\", \""), table.name, order.join(", "));
    let mut statement = connection.prepare(&sql).map_err(StoreError::of_statement)?;
    let mut found = statement.query([]).map_err(StoreError::of_statement)?;
    let (mut digest, mut count, mut lines) = (digests(), 0_u64, BytesMut::with_capacity(PIECE * 2));
    while let Some(row) = found.next().map_err(StoreError::of_statement)? {
        for column in 0..table.columns.len() {
            if column > 0 {
                lines.put_u8(b'\t');
            }
            value(row.get_ref(column).map_err(StoreError::of_statement)?, column, &table.name, &mut lines)?;
        }
        lines.put_u8(b'\n');
        count = count.saturating_add(1);
        if lines.len() >= PIECE {
            digest.add(&lines);
            send(pieces, Piece::Lines(lines.split().freeze()))?;
        }
    }
    digest.add(&lines);
    if !lines.is_empty() {
        send(pieces, Piece::Lines(lines.freeze()))?;
    }
    send(pieces, Piece::End(CountedTable { name: table.name.clone(), rows: count, digest: digest.finish() }))
}

/// Writes a value as COPY's text format has it, to the byte as the server itself would write it.
fn value(value: ValueRef<'_>, column: usize, table: &str, lines: &mut BytesMut) -> Result<(), CopyError> {
    let text = match value {
        ValueRef::Null => {
            lines.put_slice(b"\\N");
            return Ok(());
        }
        ValueRef::Integer(number) => {
            lines.put_slice(number.to_string().as_bytes());
            return Ok(());
        }
        ValueRef::Text(text) => {
            std::str::from_utf8(text).map_err(|_| StoreError::Shape { column, wanted: "text in UTF-8" })?
        }
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            return Err(StoreError::Shape { column, wanted: "an integer or a text" }.into());
        }
    };
    for byte in text.bytes() {
        match byte {
            0 => return Err(CopyError::Nul { table: table.to_owned() }),
            0x08 => lines.put_slice(b"\\b"),
            0x0b => lines.put_slice(b"\\v"),
            0x0c => lines.put_slice(b"\\f"),
            b'\n' => lines.put_slice(b"\\n"),
            b'\r' => lines.put_slice(b"\\r"),
            b'\t' => lines.put_slice(b"\\t"),
            b'\\' => lines.put_slice(b"\\\\"),
            byte => lines.put_u8(byte),
        }
    }
    Ok(())
}
