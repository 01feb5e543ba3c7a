//! Users whom a repository was opened to, each with a level from 1 (read) to 5 (admin).

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// The collaborators of a repository, by name: user, name, level.
pub async fn of_repo(database: &impl Query, repo_id: i64) -> Result<Vec<(i64, String, i64)>, StoreError> {
    const SQL: &str = "SELECT c.user_id, o.name, c.permission FROM collaborators c JOIN owners o ON o.id = c.user_id
         WHERE c.repo_id = $1 ORDER BY o.name_key";
    let rows = database.rows(SQL, values![repo_id]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

/// Gives a user a level in a repository, whatever it was before.
pub async fn set(tx: &Tx, repo_id: i64, user_id: i64, permission: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO collaborators (repo_id, user_id, permission) VALUES ($1, $2, $3)
         ON CONFLICT (repo_id, user_id) DO UPDATE SET permission = excluded.permission";
    tx.rows(SQL, values![repo_id, user_id, permission]).await.map(drop)
}

/// Takes a user's level away: `false` when there was none.
pub async fn remove(tx: &Tx, repo_id: i64, user_id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM collaborators WHERE repo_id = $1 AND user_id = $2 RETURNING user_id";
    Ok(tx.first(SQL, values![repo_id, user_id]).await?.is_some())
}
