//! Whether the database is whole, as it says itself. Reads alone.

use crate::value::values;
use crate::{Query, Store, StoreError};

/// What is wrong, a line for each fault; empty when nothing is. A server keeps its own pages, and is only asked for an answer.
pub async fn faults(store: &Store) -> Result<Vec<String>, StoreError> {
    let database = store.read();
    if store.kind() != "SQLite" {
        database.rows("SELECT 1", values![]).await?;
        return Ok(Vec::new());
    }
    let said = database.rows("PRAGMA quick_check(20)", values![]).await?;
    let said: Result<Vec<String>, StoreError> = said.iter().map(|row| row.get(0)).collect();
    let mut faults: Vec<String> = said?.into_iter().filter(|line| line != "ok").collect();
    let orphans = database.rows("PRAGMA foreign_key_check", values![]).await?;
    for row in orphans.iter().take(20) {
        faults.push(format!(
            "a row of {} names one of {} that is not there",
            row.get::<String>(0)?,
            row.get::<String>(2)?
        ));
    }
    Ok(faults)
}
