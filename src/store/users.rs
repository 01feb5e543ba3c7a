//! Owners and users. An owner's name is unique without regard to case; a user is an owner with the same id.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// A person.
    User,
    /// An account of the program's own, which lists leave out.
    Service,
}

impl OwnerKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

/// A user as stored.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// The owner's id too.
    pub id: i64,
    /// The name to sign in with, in the case it was given.
    pub name: String,
    /// The name to show; may be empty.
    pub full_name: String,
    /// In PHC form; `None` for who cannot sign in with a password.
    pub password_hash: Option<String>,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// Says whether the user may sign in.
    pub is_active: bool,
    /// When the account was made.
    pub created: Timestamp,
    /// The last sign-in.
    pub seen: Option<Timestamp>,
}

/// A user to store.
#[derive(Debug)]
pub struct NewUserRecord<'a> {
    /// What the owner is.
    pub kind: OwnerKind,
    /// The name as given.
    pub name: &'a str,
    /// What makes the name unique.
    pub name_key: &'a str,
    /// The name to show; may be empty.
    pub full_name: &'a str,
    /// In PHC form.
    pub password_hash: Option<&'a str>,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// When the account is made.
    pub created: Timestamp,
}

fn record(row: &Row) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        full_name: row.get(2)?,
        password_hash: row.get(3)?,
        is_admin: row.get(4)?,
        is_active: row.get(5)?,
        created: row.get(6)?,
        seen: row.get(7)?,
    })
}

/// The user with this name key.
pub async fn by_key(database: &impl Query, name_key: &str) -> Result<Option<UserRecord>, StoreError> {
    const SQL: &str = "SELECT o.id, o.name, u.full_name, u.password_hash, u.is_admin, u.is_active, o.created, u.seen
         FROM users u JOIN owners o ON o.id = u.id WHERE o.name_key = $1";
    database.first(SQL, values![name_key]).await?.as_ref().map(record).transpose()
}

/// The user with this id.
pub async fn by_id(database: &impl Query, id: i64) -> Result<Option<UserRecord>, StoreError> {
    const SQL: &str = "SELECT o.id, o.name, u.full_name, u.password_hash, u.is_admin, u.is_active, o.created, u.seen
         FROM users u JOIN owners o ON o.id = u.id WHERE u.id = $1";
    database.first(SQL, values![id]).await?.as_ref().map(record).transpose()
}

/// All people, by name.
pub async fn people(database: &impl Query) -> Result<Vec<UserRecord>, StoreError> {
    const SQL: &str = "SELECT o.id, o.name, u.full_name, u.password_hash, u.is_admin, u.is_active, o.created, u.seen
         FROM users u JOIN owners o ON o.id = u.id WHERE o.kind = 'user' ORDER BY o.name_key";
    database.rows(SQL, values![]).await?.iter().map(record).collect()
}

/// The ids of the program's own accounts.
pub async fn service_accounts(database: &impl Query) -> Result<Vec<i64>, StoreError> {
    database
        .rows("SELECT id FROM owners WHERE kind = 'service'", values![])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Says whether an administrator is there who may sign in.
pub async fn has_administrator(database: &impl Query) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM users u JOIN owners o ON o.id = u.id
         WHERE o.kind = 'user' AND u.is_admin = 1 AND u.is_active = 1 LIMIT 1";
    Ok(database.first(SQL, values![]).await?.is_some())
}

/// Stores a user, active. Fails with [`StoreError::Unique`] on `owners.name_key`.
pub async fn insert(tx: &Tx, new: &NewUserRecord<'_>) -> Result<i64, StoreError> {
    const OWNER: &str = "INSERT INTO owners (kind, name, name_key, created) VALUES ($1, $2, $3, $4) RETURNING id";
    const USER: &str =
        "INSERT INTO users (id, full_name, password_hash, is_admin, is_active) VALUES ($1, $2, $3, $4, 1)";
    let owner = tx.first(OWNER, values![new.kind.as_str(), new.name, new.name_key, new.created]).await?;
    let id = owner.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)?;
    tx.rows(USER, values![id, new.full_name, new.password_hash, new.is_admin]).await?;
    Ok(id)
}

/// Says whether an administrator who may sign in is there besides this user.
pub async fn has_other_administrator(database: &impl Query, id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM users u JOIN owners o ON o.id = u.id
         WHERE o.kind = 'user' AND u.is_admin = 1 AND u.is_active = 1 AND u.id <> $1 LIMIT 1";
    Ok(database.first(SQL, values![id]).await?.is_some())
}

/// Makes a user an administrator, or no longer one.
pub async fn set_admin(tx: &Tx, id: i64, is_admin: bool) -> Result<(), StoreError> {
    tx.rows("UPDATE users SET is_admin = $2 WHERE id = $1", values![id, is_admin]).await.map(drop)
}

/// Notes that an owner's name became free.
pub async fn remember_name(tx: &Tx, name_key: &str, removed: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO former_owners (name_key, removed) VALUES ($1, $2)
         ON CONFLICT (name_key) DO UPDATE SET removed = excluded.removed";
    tx.rows(SQL, values![name_key, removed]).await.map(drop)
}

/// When the last owner of this name went, if one did.
pub async fn name_freed(database: &impl Query, name_key: &str) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = "SELECT removed FROM former_owners WHERE name_key = $1";
    database.first(SQL, values![name_key]).await?.map(|row| row.get(0)).transpose()
}

/// Lets a user sign in, or no longer.
pub async fn set_active(tx: &Tx, id: i64, is_active: bool) -> Result<(), StoreError> {
    tx.rows("UPDATE users SET is_active = $2 WHERE id = $1", values![id, is_active]).await.map(drop)
}

/// Replaces the password's hash.
pub async fn set_password(tx: &Tx, id: i64, hash: &str) -> Result<(), StoreError> {
    tx.rows("UPDATE users SET password_hash = $2 WHERE id = $1", values![id, hash]).await.map(drop)
}

/// Notes a sign-in.
pub async fn set_seen(tx: &Tx, id: i64, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE users SET seen = $2 WHERE id = $1", values![id, at]).await.map(drop)
}

/// The name of the owner with this id, unless it is one of the program's own accounts.
pub async fn owner_name(database: &impl Query, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT name FROM owners WHERE id = $1 AND kind <> 'service'";
    database.first(SQL, values![id]).await?.map(|row| row.get(0)).transpose()
}

/// What kind of owner has this name key, and its name: `user`, `organisation` or `service`.
pub async fn owner_kind(database: &impl Query, name_key: &str) -> Result<Option<(i64, String, String)>, StoreError> {
    const SQL: &str = "SELECT id, kind, name FROM owners WHERE name_key = $1";
    let Some(row) = database.first(SQL, values![name_key]).await? else { return Ok(None) };
    Ok(Some((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Removes an owner, with sessions, keys, tokens and what was granted. Its repositories must be gone before.
pub async fn remove(tx: &Tx, id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM owners WHERE id = $1", values![id]).await.map(drop)
}
