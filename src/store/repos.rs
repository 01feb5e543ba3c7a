//! Repositories. A name is unique under its owner without regard to case; the id, never a name, becomes a directory.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx, Value};

/// A repository as stored.
#[derive(Clone, Debug)]
pub struct RepoRecord {
    /// Its id, and its directory's.
    pub id: i64,
    /// Its owner.
    pub owner_id: i64,
    /// The owner's name.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// `public`, `internal` or `private`.
    pub visibility: String,
    /// One line, perhaps empty.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// The last push.
    pub pushed: Option<Timestamp>,
    /// What the asker was given in it.
    pub grants: Grants,
}

/// A repository to store.
#[derive(Debug)]
pub struct NewRepoRecord<'a> {
    /// From [`crate::loose_directories::take`].
    pub id: i64,
    /// Its owner.
    pub owner_id: i64,
    /// The name as given.
    pub name: &'a str,
    /// What makes the name unique under its owner.
    pub name_key: &'a str,
    /// `public`, `internal` or `private`.
    pub visibility: &'a str,
    /// One line, perhaps empty.
    pub description: &'a str,
    /// When it is made.
    pub created: Timestamp,
}

/// Who asks, as far as grants go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker<'a> {
    /// A user.
    pub user_id: Option<i64>,
    /// A deploy key, by its fingerprint.
    pub key: Option<&'a str>,
    /// The token that the user came with, when it is for some repositories alone.
    pub token_id: Option<i64>,
}

/// What the asker was given in a repository, besides what everybody has. Levels are from 0 (none) to 5 (admin).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The visibility of the organisation that owns it; `None` when a user does.
    pub organisation: Option<String>,
    /// Says whether the user is in a team of that organisation.
    pub is_member: bool,
    /// The highest level of a team.
    pub team: i64,
    /// The level of the collaborator.
    pub collaborator: i64,
    /// The level of the deploy key.
    pub key: i64,
    /// Says whether the token is for this repository.
    pub is_listed: bool,
}

/// Which repositories a list may hold: those that the asker was given, and:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight<'a> {
    /// Who asks.
    pub asker: Asker<'a>,
    /// Says whether everything is listed.
    pub has_all: bool,
    /// Says whether what everyone signed in may read is listed.
    pub has_internal: bool,
    /// Says whether what everyone may read is listed.
    pub has_public: bool,
}

/// Which of them are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Those of this owner alone.
    pub owner_id: Option<i64>,
    /// Those alone whose name's key fits this LIKE pattern (`\\` escapes); all, when empty.
    pub name: &'a str,
    /// Those alone that are the asker's own, a team's of the asker, or that the asker collaborates in.
    pub is_mine: bool,
    /// How many at most.
    pub limit: i64,
    /// How many to leave out.
    pub offset: i64,
}

macro_rules! is_public {
    () => {
        "(r.visibility = 'public' AND (g.id IS NULL OR g.visibility = 'public'))"
    };
}
macro_rules! is_member {
    () => {
        "EXISTS (SELECT 1 FROM teams t JOIN team_members m ON m.team_id = t.id
            WHERE t.organisation_id = r.owner_id AND m.user_id = $1)"
    };
}
macro_rules! team_grants {
    () => {
        "FROM team_members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = $1 AND t.organisation_id = r.owner_id
            AND (t.includes_all = 1 OR EXISTS (SELECT 1 FROM team_repos x WHERE x.team_id = t.id AND x.repo_id = r.id))"
    };
}
macro_rules! collaborator_grants {
    () => {
        "FROM collaborators c WHERE c.repo_id = r.id AND c.user_id = $1"
    };
}
macro_rules! key_grants {
    () => {
        "FROM deploy_keys k WHERE k.repo_id = r.id AND k.fingerprint = $2"
    };
}
macro_rules! is_listed {
    () => {
        "EXISTS (SELECT 1 FROM token_repos l WHERE l.token_id = $3 AND l.repo_id = r.id)"
    };
}
macro_rules! columns {
    () => {
        concat!(
            "SELECT r.id, r.owner_id, o.name, r.name, r.visibility, r.description, r.created, r.pushed, g.visibility,
             CASE WHEN ",
            is_member!(),
            " THEN 1 ELSE 0 END, COALESCE((SELECT MAX(t.permission) ",
            team_grants!(),
            "), 0), COALESCE((SELECT c.permission ",
            collaborator_grants!(),
            "), 0), COALESCE((SELECT CASE WHEN k.can_write = 1 THEN 3 ELSE 1 END ",
            key_grants!(),
            "), 0), CASE WHEN ",
            is_listed!(),
            " THEN 1 ELSE 0 END
             FROM repos r JOIN owners o ON o.id = r.owner_id LEFT JOIN organisations g ON g.id = r.owner_id "
        )
    };
}
/// What a list holds; the same rules as `forge::access`, which has the last word.
macro_rules! in_sight {
    () => {
        concat!(
            "WHERE o.kind <> 'service' AND ($4 = 1 OR r.owner_id = $1 OR ($6 = 1 AND ",
            is_public!(),
            ") OR ($5 = 1 AND r.visibility <> 'private' AND (g.id IS NULL OR g.visibility <> 'private'))
             OR (r.visibility <> 'private' AND ",
            is_member!(),
            ") OR EXISTS (SELECT 1 ",
            team_grants!(),
            ") OR EXISTS (SELECT 1 ",
            collaborator_grants!(),
            ") OR EXISTS (SELECT 1 ",
            key_grants!(),
            ")) AND (CAST($3 AS BIGINT) IS NULL OR ",
            is_listed!(),
            " OR ($6 = 1 AND ",
            is_public!(),
            ")) AND (CAST($7 AS BIGINT) IS NULL OR r.owner_id = $7)
             AND ($8 = '' OR r.name_key LIKE $8 ESCAPE '\\')
             AND ($9 = 0 OR r.owner_id = $1 OR EXISTS (SELECT 1 ",
            team_grants!(),
            ") OR EXISTS (SELECT 1 ",
            collaborator_grants!(),
            ")) "
        )
    };
}

fn record(row: &Row) -> Result<RepoRecord, StoreError> {
    Ok(RepoRecord {
        id: row.get(0)?,
        owner_id: row.get(1)?,
        owner: row.get(2)?,
        name: row.get(3)?,
        visibility: row.get(4)?,
        description: row.get(5)?,
        created: row.get(6)?,
        pushed: row.get(7)?,
        grants: Grants {
            organisation: row.get(8)?,
            is_member: row.get(9)?,
            team: row.get(10)?,
            collaborator: row.get(11)?,
            key: row.get(12)?,
            is_listed: row.get(13)?,
        },
    })
}

/// The repository with these keys, and what the asker was given in it.
pub async fn by_keys(
    database: &impl Query,
    asker: Asker<'_>,
    owner_key: &str,
    name_key: &str,
) -> Result<Option<RepoRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE o.name_key = $4 AND r.name_key = $5");
    let values = values![asker.user_id, asker.key, asker.token_id, owner_key, name_key];
    database.first(SQL, values).await?.as_ref().map(record).transpose()
}

/// The repository with this id, and what the asker was given in it.
pub async fn by_id(database: &impl Query, asker: Asker<'_>, id: i64) -> Result<Option<RepoRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE r.id = $4");
    let values = values![asker.user_id, asker.key, asker.token_id, id];
    database.first(SQL, values).await?.as_ref().map(record).transpose()
}

fn in_sight(sight: Sight<'_>, wanted: Wanted<'_>) -> Vec<Value> {
    let Sight { asker, has_all, has_internal, has_public } = sight;
    let Wanted { owner_id, name, is_mine, .. } = wanted;
    values![asker.user_id, asker.key, asker.token_id, has_all, has_internal, has_public, owner_id, name, is_mine]
}

/// What is wanted of what `sight` lets through, last pushed (or made) first. The program's own accounts' are left out.
pub async fn visible(
    database: &impl Query,
    sight: Sight<'_>,
    wanted: Wanted<'_>,
) -> Result<Vec<RepoRecord>, StoreError> {
    const SQL: &str =
        concat!(columns!(), in_sight!(), "ORDER BY COALESCE(r.pushed, r.created) DESC, r.id DESC LIMIT $10 OFFSET $11");
    let mut values = in_sight(sight, wanted);
    values.extend(values![wanted.limit, wanted.offset]);
    database.rows(SQL, values).await?.iter().map(record).collect()
}

/// How many there are in all, whatever the limit.
pub async fn count_visible(database: &impl Query, sight: Sight<'_>, wanted: Wanted<'_>) -> Result<i64, StoreError> {
    const SQL: &str = concat!(
        "SELECT COUNT(*) FROM repos r JOIN owners o ON o.id = r.owner_id LEFT JOIN organisations g ON g.id = r.owner_id ",
        in_sight!()
    );
    database.first(SQL, in_sight(sight, wanted)).await?.map_or(Ok(0), |row| row.get(0))
}

/// The ids of an owner's repositories.
pub async fn ids_of_owner(database: &impl Query, owner_id: i64) -> Result<Vec<i64>, StoreError> {
    let rows = database.rows("SELECT id FROM repos WHERE owner_id = $1", values![owner_id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Stores a repository. Fails with [`StoreError::Unique`] on `repos.name_key`.
pub async fn insert(tx: &Tx, new: &NewRepoRecord<'_>) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO repos (id, owner_id, name, name_key, visibility, description, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![new.id, new.owner_id, new.name, new.name_key, new.visibility, new.description, new.created];
    tx.rows(SQL, values).await.map(drop)
}

/// The names of an owner's repositories.
pub async fn names_of_owner(database: &impl Query, owner_id: i64) -> Result<Vec<String>, StoreError> {
    let rows = database.rows("SELECT name FROM repos WHERE owner_id = $1 ORDER BY name_key", values![owner_id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Replaces what a repository says of itself.
pub async fn set_description(tx: &Tx, id: i64, description: &str) -> Result<(), StoreError> {
    tx.rows("UPDATE repos SET description = $2 WHERE id = $1", values![id, description]).await.map(drop)
}

/// Replaces who may read a repository.
pub async fn set_visibility(tx: &Tx, id: i64, visibility: &str) -> Result<(), StoreError> {
    tx.rows("UPDATE repos SET visibility = $2 WHERE id = $1", values![id, visibility]).await.map(drop)
}

/// Puts a repository under another owner or name. Fails with [`StoreError::Unique`] on `repos.name_key`.
pub async fn set_place(tx: &Tx, id: i64, owner_id: i64, name: &str, name_key: &str) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE repos SET owner_id = $2, name = $3, name_key = $4 WHERE id = $1";
    tx.rows(SQL, values![id, owner_id, name, name_key]).await.map(drop)
}

/// Notes a push.
pub async fn set_pushed(tx: &Tx, id: i64, at: Timestamp) -> Result<(), StoreError> {
    tx.rows("UPDATE repos SET pushed = $2 WHERE id = $1", values![id, at]).await.map(drop)
}

/// Removes a repository: `false` when it was gone already. Its large files become loose.
pub async fn remove(tx: &Tx, id: i64) -> Result<bool, StoreError> {
    crate::lfs::loosen_repo(tx, id).await?;
    Ok(tx.first("DELETE FROM repos WHERE id = $1 RETURNING id", values![id]).await?.is_some())
}

/// The path of a repository, `owner/name`, by its id.
pub async fn path(database: &impl Query, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT o.name, r.name FROM repos r JOIN owners o ON o.id = r.owner_id WHERE r.id = $1";
    let Some(row) = database.first(SQL, values![id]).await? else { return Ok(None) };
    let (owner, name): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(Some(format!("{owner}/{name}")))
}

/// Every repository's id and path, `owner/name`, in the order of the ids.
pub async fn all_paths(database: &impl Query) -> Result<Vec<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT r.id, o.name, r.name FROM repos r JOIN owners o ON o.id = r.owner_id ORDER BY r.id";
    let rows = database.rows(SQL, values![]).await?;
    let path = |row: &crate::Row| Ok((row.get(0)?, format!("{}/{}", row.get::<String>(1)?, row.get::<String>(2)?)));
    rows.iter().map(path).collect()
}
