//! Organisations: owners with teams in place of a password. Its members are those of its teams.

use base::clock::Timestamp;

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// An organisation as stored, and what one user is in it.
#[derive(Clone, Debug)]
pub struct OrganisationRecord {
    /// The owner's id too.
    pub id: i64,
    /// Its name, in the case it was given.
    pub name: String,
    /// The name to show; may be empty.
    pub full_name: String,
    /// One line, perhaps empty.
    pub description: String,
    /// `public`, `internal` or `private`.
    pub visibility: String,
    /// When it was made.
    pub created: Timestamp,
    /// Says whether the user is in one of its teams.
    pub is_member: bool,
    /// Says whether the user is in its team of owners.
    pub is_owner: bool,
    /// Says whether a team of the user's may make repositories.
    pub can_create: bool,
}

/// What an administrator of the organisation may change.
#[derive(Clone, Copy, Debug)]
pub struct OrganisationFields<'a> {
    /// The name to show; may be empty.
    pub full_name: &'a str,
    /// One line, perhaps empty.
    pub description: &'a str,
    /// `public`, `internal` or `private`.
    pub visibility: &'a str,
}

/// Which organisations a list holds.
#[derive(Clone, Copy, Debug)]
pub struct OrganisationSight {
    /// Who looks.
    pub user_id: Option<i64>,
    /// Says whether public ones are listed.
    pub has_public: bool,
    /// Says whether internal ones are listed.
    pub has_internal: bool,
    /// Says whether everything is listed.
    pub has_all: bool,
    /// Those alone in which this user is a member.
    pub member_id: Option<i64>,
}

macro_rules! columns {
    () => {
        "SELECT o.id, o.name, g.full_name, g.description, g.visibility, o.created,
             CASE WHEN EXISTS (SELECT 1 FROM teams t JOIN team_members m ON m.team_id = t.id
                 WHERE t.organisation_id = g.id AND m.user_id = $1) THEN 1 ELSE 0 END,
             CASE WHEN EXISTS (SELECT 1 FROM teams t JOIN team_members m ON m.team_id = t.id
                 WHERE t.organisation_id = g.id AND m.user_id = $1 AND t.is_owners = 1) THEN 1 ELSE 0 END,
             CASE WHEN EXISTS (SELECT 1 FROM teams t JOIN team_members m ON m.team_id = t.id
                 WHERE t.organisation_id = g.id AND m.user_id = $1 AND t.can_create = 1) THEN 1 ELSE 0 END
         FROM organisations g JOIN owners o ON o.id = g.id "
    };
}

/// Which of `organisations g` a sight lets through.
macro_rules! in_sight {
    () => {
        "WHERE ($2 = 1 OR ($3 = 1 AND g.visibility = 'public') OR ($4 = 1 AND g.visibility <> 'private')
             OR EXISTS (SELECT 1 FROM teams t JOIN team_members m ON m.team_id = t.id
                 WHERE t.organisation_id = g.id AND m.user_id = $1))
           AND (CAST($5 AS BIGINT) IS NULL OR EXISTS (SELECT 1 FROM teams t JOIN team_members m ON m.team_id = t.id
                 WHERE t.organisation_id = g.id AND m.user_id = $5)) "
    };
}

fn record(row: &Row) -> Result<OrganisationRecord, StoreError> {
    Ok(OrganisationRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        full_name: row.get(2)?,
        description: row.get(3)?,
        visibility: row.get(4)?,
        created: row.get(5)?,
        is_member: row.get(6)?,
        is_owner: row.get(7)?,
        can_create: row.get(8)?,
    })
}

/// The organisation with this name key, as the user finds it.
pub async fn by_key(
    database: &impl Query,
    user_id: Option<i64>,
    name_key: &str,
) -> Result<Option<OrganisationRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE o.name_key = $2");
    database.first(SQL, values![user_id, name_key]).await?.as_ref().map(record).transpose()
}

/// The organisation that a team belongs to, as the user finds it.
pub async fn of_team(
    database: &impl Query,
    user_id: Option<i64>,
    team_id: i64,
) -> Result<Option<OrganisationRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE g.id = (SELECT t.organisation_id FROM teams t WHERE t.id = $2)");
    database.first(SQL, values![user_id, team_id]).await?.as_ref().map(record).transpose()
}

/// What `sight` lets through, by name.
pub async fn visible(
    database: &impl Query,
    sight: OrganisationSight,
    limit: i64,
    offset: i64,
) -> Result<Vec<OrganisationRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), in_sight!(), "ORDER BY o.name_key LIMIT $6 OFFSET $7");
    let OrganisationSight { user_id, has_public, has_internal, has_all, member_id } = sight;
    let values = values![user_id, has_all, has_public, has_internal, member_id, limit, offset];
    database.rows(SQL, values).await?.iter().map(record).collect()
}

/// How many `sight` lets through.
pub async fn count_visible(database: &impl Query, sight: OrganisationSight) -> Result<i64, StoreError> {
    const SQL: &str = concat!("SELECT COUNT(*) FROM organisations g ", in_sight!());
    let OrganisationSight { user_id, has_public, has_internal, has_all, member_id } = sight;
    let values = values![user_id, has_all, has_public, has_internal, member_id];
    database.first(SQL, values).await?.map_or(Ok(0), |row| row.get(0))
}

/// Stores an organisation. Fails with [`StoreError::Unique`] on `owners.name_key`.
pub async fn insert(
    tx: &Tx,
    (name, name_key): (&str, &str),
    fields: OrganisationFields<'_>,
    created: Timestamp,
) -> Result<i64, StoreError> {
    const OWNER: &str =
        "INSERT INTO owners (kind, name, name_key, created) VALUES ('organisation', $1, $2, $3) RETURNING id";
    const SQL: &str = "INSERT INTO organisations (id, full_name, description, visibility) VALUES ($1, $2, $3, $4)";
    let owner = tx.first(OWNER, values![name, name_key, created]).await?;
    let id = owner.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)?;
    tx.rows(SQL, values![id, fields.full_name, fields.description, fields.visibility]).await?;
    Ok(id)
}

/// Replaces what may be changed.
pub async fn update(tx: &Tx, id: i64, fields: OrganisationFields<'_>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE organisations SET full_name = $2, description = $3, visibility = $4 WHERE id = $1";
    tx.rows(SQL, values![id, fields.full_name, fields.description, fields.visibility]).await.map(drop)
}

/// The members, by name: user, name, name to show, whether an owner.
pub async fn members(database: &impl Query, id: i64) -> Result<Vec<(i64, String, String, bool)>, StoreError> {
    const SQL: &str = "SELECT u.id, o.name, u.full_name, MAX(t.is_owners)
         FROM teams t JOIN team_members m ON m.team_id = t.id JOIN users u ON u.id = m.user_id
         JOIN owners o ON o.id = u.id
         WHERE t.organisation_id = $1 GROUP BY u.id, o.name, o.name_key, u.full_name ORDER BY o.name_key";
    let rows = database.rows(SQL, values![id]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).collect()
}

/// The names of the organisations that would have no owner without this user.
pub async fn last_owned_by(database: &impl Query, user_id: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT o.name FROM teams t JOIN team_members m ON m.team_id = t.id
         JOIN owners o ON o.id = t.organisation_id
         WHERE t.is_owners = 1 AND m.user_id = $1
           AND NOT EXISTS (SELECT 1 FROM team_members x JOIN users u ON u.id = x.user_id
             WHERE x.team_id = t.id AND x.user_id <> $1 AND u.is_active = 1)
         ORDER BY o.name_key";
    database.rows(SQL, values![user_id]).await?.iter().map(|row| row.get(0)).collect()
}
