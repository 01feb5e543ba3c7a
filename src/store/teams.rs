//! Teams: members of an organisation who have the same rights in some or all of its repositories. What is granted is a
//! number from 1 (read) to 5 (admin).

use crate::value::values;
use crate::{Query, Row, StoreError, Tx};

/// A team as stored.
#[derive(Clone, Debug)]
pub struct TeamRecord {
    /// Its id.
    pub id: i64,
    /// Its name, in the case it was given.
    pub name: String,
    /// One line, perhaps empty.
    pub description: String,
    /// What it may do in its repositories.
    pub permission: i64,
    /// Says whether it is the team of owners, which every organisation has.
    pub is_owners: bool,
    /// Says whether all repositories of the organisation are its.
    pub includes_all: bool,
    /// Says whether its members may make repositories.
    pub can_create: bool,
    /// How many members.
    pub members: i64,
    /// How many repositories it was given one by one.
    pub repos: i64,
}

/// What a team is made of.
#[derive(Clone, Copy, Debug)]
pub struct TeamFields<'a> {
    /// Its name.
    pub name: &'a str,
    /// What makes the name unique in its organisation.
    pub name_key: &'a str,
    /// One line, perhaps empty.
    pub description: &'a str,
    /// What it may do in its repositories.
    pub permission: i64,
    /// Says whether all repositories of the organisation are its.
    pub includes_all: bool,
    /// Says whether its members may make repositories.
    pub can_create: bool,
}

macro_rules! columns {
    () => {
        "SELECT t.id, t.name, t.description, t.permission, t.is_owners, t.includes_all, t.can_create,
             (SELECT COUNT(*) FROM team_members m WHERE m.team_id = t.id),
             (SELECT COUNT(*) FROM team_repos x WHERE x.team_id = t.id)
         FROM teams t "
    };
}

fn record(row: &Row) -> Result<TeamRecord, StoreError> {
    Ok(TeamRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        permission: row.get(3)?,
        is_owners: row.get(4)?,
        includes_all: row.get(5)?,
        can_create: row.get(6)?,
        members: row.get(7)?,
        repos: row.get(8)?,
    })
}

/// An organisation's teams, the owners first.
pub async fn of_organisation(database: &impl Query, id: i64) -> Result<Vec<TeamRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE t.organisation_id = $1 ORDER BY t.is_owners DESC, t.name_key");
    database.rows(SQL, values![id]).await?.iter().map(record).collect()
}

/// The team of an organisation with this name key.
pub async fn by_key(
    database: &impl Query,
    organisation_id: i64,
    name_key: &str,
) -> Result<Option<TeamRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE t.organisation_id = $1 AND t.name_key = $2");
    database.first(SQL, values![organisation_id, name_key]).await?.as_ref().map(record).transpose()
}

/// The team with this id, of whatever organisation.
pub async fn by_id(database: &impl Query, id: i64) -> Result<Option<TeamRecord>, StoreError> {
    const SQL: &str = concat!(columns!(), "WHERE t.id = $1");
    database.first(SQL, values![id]).await?.as_ref().map(record).transpose()
}

/// The ids of the teams that a user is in, of whatever organisations.
pub async fn of_user(database: &impl Query, user_id: i64) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "SELECT team_id FROM team_members WHERE user_id = $1 ORDER BY team_id";
    database.rows(SQL, values![user_id]).await?.iter().map(|row| row.get(0)).collect()
}

/// Stores a team. Fails with [`StoreError::Unique`] on `teams.name_key`.
pub async fn insert(tx: &Tx, organisation_id: i64, is_owners: bool, fields: TeamFields<'_>) -> Result<i64, StoreError> {
    const SQL: &str = "INSERT INTO teams
             (organisation_id, name, name_key, description, permission, is_owners, includes_all, can_create)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    let TeamFields { name, name_key, description, permission, includes_all, can_create } = fields;
    let values = values![organisation_id, name, name_key, description, permission, is_owners, includes_all, can_create];
    tx.first(SQL, values).await?.ok_or(StoreError::Shape { column: 0, wanted: "the new row's id" })?.get(0)
}

/// Replaces what a team is made of. Fails with [`StoreError::Unique`] on `teams.name_key`.
pub async fn update(tx: &Tx, id: i64, fields: TeamFields<'_>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE teams SET name = $2, name_key = $3, description = $4, permission = $5,
         includes_all = $6, can_create = $7 WHERE id = $1";
    let TeamFields { name, name_key, description, permission, includes_all, can_create } = fields;
    tx.rows(SQL, values![id, name, name_key, description, permission, includes_all, can_create]).await.map(drop)
}

/// Removes a team.
pub async fn remove(tx: &Tx, id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM teams WHERE id = $1", values![id]).await.map(drop)
}

/// A team's members, by name: user, name, name to show.
pub async fn members(database: &impl Query, id: i64) -> Result<Vec<(i64, String, String)>, StoreError> {
    const SQL: &str = "SELECT u.id, o.name, u.full_name FROM team_members m JOIN users u ON u.id = m.user_id
         JOIN owners o ON o.id = u.id WHERE m.team_id = $1 ORDER BY o.name_key";
    let rows = database.rows(SQL, values![id]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

/// Says whether one of the members may sign in.
pub async fn has_active_member(database: &impl Query, id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM team_members m JOIN users u ON u.id = m.user_id
         WHERE m.team_id = $1 AND u.is_active = 1 LIMIT 1";
    Ok(database.first(SQL, values![id]).await?.is_some())
}

/// Adds a member: `false` when the user was one already.
pub async fn add_member(tx: &Tx, id: i64, user_id: i64) -> Result<bool, StoreError> {
    const SQL: &str =
        "INSERT INTO team_members (team_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING user_id";
    Ok(tx.first(SQL, values![id, user_id]).await?.is_some())
}

/// Takes a member off: `false` when the user was none.
pub async fn remove_member(tx: &Tx, id: i64, user_id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM team_members WHERE team_id = $1 AND user_id = $2 RETURNING user_id";
    Ok(tx.first(SQL, values![id, user_id]).await?.is_some())
}

/// A team's repositories, by name, given one by one: id, name.
pub async fn repos(database: &impl Query, id: i64) -> Result<Vec<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT r.id, r.name FROM team_repos x JOIN repos r ON r.id = x.repo_id
         WHERE x.team_id = $1 ORDER BY r.name_key";
    database.rows(SQL, values![id]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The repositories that each team of an organisation was given: team, repository.
pub async fn repos_of_organisation(database: &impl Query, id: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    const SQL: &str = "SELECT x.team_id, x.repo_id FROM team_repos x JOIN teams t ON t.id = x.team_id
         WHERE t.organisation_id = $1";
    database.rows(SQL, values![id]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The teams of a repository's organisation that have it, one by one or with all others.
pub async fn of_repo(database: &impl Query, repo_id: i64) -> Result<Vec<TeamRecord>, StoreError> {
    const SQL: &str = concat!(
        columns!(),
        "WHERE t.organisation_id = (SELECT r.owner_id FROM repos r WHERE r.id = $1)
           AND (t.includes_all = 1 OR EXISTS (SELECT 1 FROM team_repos x WHERE x.team_id = t.id AND x.repo_id = $1))
         ORDER BY t.is_owners DESC, t.name_key"
    );
    database.rows(SQL, values![repo_id]).await?.iter().map(record).collect()
}

/// Gives a repository to a team: `false` when it had it already.
pub async fn add_repo(tx: &Tx, id: i64, repo_id: i64) -> Result<bool, StoreError> {
    const SQL: &str =
        "INSERT INTO team_repos (team_id, repo_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING repo_id";
    Ok(tx.first(SQL, values![id, repo_id]).await?.is_some())
}

/// Takes a repository from a team: `false` when it had not been given it.
pub async fn remove_repo(tx: &Tx, id: i64, repo_id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM team_repos WHERE team_id = $1 AND repo_id = $2 RETURNING repo_id";
    Ok(tx.first(SQL, values![id, repo_id]).await?.is_some())
}

/// Takes a repository from all teams.
pub async fn forget_repo(tx: &Tx, repo_id: i64) -> Result<(), StoreError> {
    tx.rows("DELETE FROM team_repos WHERE repo_id = $1", values![repo_id]).await.map(drop)
}
