//! How much repositories take and may take, and the limits that hold for the whole site. Counts bytes; measures none.

use crate::value::values;
use crate::{Query, StoreError, Tx};

/// What a repository takes and may take, and its owner's repositories together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of Git objects, as of the last push.
    pub git_bytes: i64,
    /// Bytes of large files (LFS).
    pub lfs_bytes: i64,
    /// What the repository may take; `None` where the site's own number holds.
    pub quota: Option<i64>,
    /// Bytes of all of the owner's repositories, this one included.
    pub owner_bytes: i64,
    /// What they may take together; `None` where the site's own number holds.
    pub owner_quota: Option<i64>,
}

/// What a repository takes and may take.
pub async fn usage(database: &impl Query, repo_id: i64) -> Result<Usage, StoreError> {
    const SQL: &str = "SELECT COALESCE(u.git_bytes, 0), COALESCE(u.lfs_bytes, 0), u.quota, q.bytes, r.owner_id
         FROM repos r LEFT JOIN repo_usage u ON u.repo_id = r.id LEFT JOIN owner_quotas q ON q.owner_id = r.owner_id
         WHERE r.id = $1";
    // A sum of BIGINT is no BIGINT on every database.
    const OWNER: &str = "SELECT u.git_bytes, u.lfs_bytes FROM repo_usage u JOIN repos r ON r.id = u.repo_id
         WHERE r.owner_id = $1";
    let Some(row) = database.first(SQL, values![repo_id]).await? else { return Ok(Usage::default()) };
    let mut usage = Usage {
        git_bytes: row.get(0)?,
        lfs_bytes: row.get(1)?,
        quota: row.get(2)?,
        owner_quota: row.get(3)?,
        owner_bytes: 0,
    };
    let owner_id: i64 = row.get(4)?;
    for row in database.rows(OWNER, values![owner_id]).await? {
        let (git, lfs): (i64, i64) = (row.get(0)?, row.get(1)?);
        usage.owner_bytes = usage.owner_bytes.saturating_add(git).saturating_add(lfs);
    }
    Ok(usage)
}

/// Notes how many bytes of Git objects a repository takes.
pub async fn set_git_bytes(tx: &Tx, repo_id: i64, bytes: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO repo_usage (repo_id, git_bytes, lfs_bytes) VALUES ($1, $2, 0)
         ON CONFLICT (repo_id) DO UPDATE SET git_bytes = $2";
    tx.rows(SQL, values![repo_id, bytes]).await.map(drop)
}

/// Notes how many bytes of large files a repository takes.
pub async fn set_lfs_bytes(tx: &Tx, repo_id: i64, bytes: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO repo_usage (repo_id, git_bytes, lfs_bytes) VALUES ($1, 0, $2)
         ON CONFLICT (repo_id) DO UPDATE SET lfs_bytes = $2";
    tx.rows(SQL, values![repo_id, bytes]).await.map(drop)
}

/// Takes bytes of large files off what a repository takes; one that is gone takes nothing.
pub async fn give_back_lfs(tx: &Tx, repo_id: i64, bytes: i64) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE repo_usage SET lfs_bytes = CASE WHEN lfs_bytes > $2 THEN lfs_bytes - $2 ELSE 0 END
         WHERE repo_id = $1";
    tx.rows(SQL, values![repo_id, bytes]).await.map(drop)
}

/// Counts the bytes of all repositories' large files anew. Nobody may be uploading.
pub async fn recount_lfs(tx: &Tx) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE repo_usage SET lfs_bytes = (SELECT CAST(COALESCE(SUM(o.size), 0) AS BIGINT)
         FROM lfs_objects o WHERE o.repo_id = repo_usage.repo_id)";
    tx.rows(SQL, values![]).await.map(drop)
}

/// Sets what a repository may take; `None` goes back to the site's own number.
pub async fn set_repo_quota(tx: &Tx, repo_id: i64, bytes: Option<i64>) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO repo_usage (repo_id, git_bytes, lfs_bytes, quota) VALUES ($1, 0, 0, $2)
         ON CONFLICT (repo_id) DO UPDATE SET quota = $2";
    tx.rows(SQL, values![repo_id, bytes]).await.map(drop)
}

/// Sets what an owner's repositories may take together; `None` goes back to the site's own number.
pub async fn set_owner_quota(tx: &Tx, owner_id: i64, bytes: Option<i64>) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO owner_quotas (owner_id, bytes) VALUES ($1, $2)
         ON CONFLICT (owner_id) DO UPDATE SET bytes = $2";
    match bytes {
        Some(bytes) => tx.rows(SQL, values![owner_id, bytes]).await.map(drop),
        None => tx.rows("DELETE FROM owner_quotas WHERE owner_id = $1", values![owner_id]).await.map(drop),
    }
}

/// Owners with a quota of their own, by name.
pub async fn owner_quotas(database: &impl Query) -> Result<Vec<(String, i64)>, StoreError> {
    const SQL: &str =
        "SELECT o.name, q.bytes FROM owner_quotas q JOIN owners o ON o.id = q.owner_id ORDER BY o.name_key";
    database.rows(SQL, values![]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The limits of the site that an administrator set, by name.
pub async fn site_limits(database: &impl Query) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = database.rows("SELECT name, value FROM site_limits ORDER BY name", values![]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Sets a limit of the site.
pub async fn set_site_limit(tx: &Tx, name: &str, value: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO site_limits (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = $2";
    tx.rows(SQL, values![name, value]).await.map(drop)
}
