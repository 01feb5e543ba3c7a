//! Teams of an organisation: who is in them and which repositories they have. Members see them, owners change them; the
//! team of owners is always there and never empty.

use std::collections::HashSet;

use base::name::{OwnerName, RepoName, TeamName};
use store::repos::{self, Asker, Wanted};
use store::teams::{self, TeamFields, TeamRecord};
use store::{Tx, users};

use crate::collaborators::person;
use crate::organisations::{OrganisationRead, member};
use crate::repositories::permitted;
use crate::users::one_line;
use crate::{Access, Error, Forge, OrganisationMember, OrganisationOwner, TeamDetails, TeamView};

/// Teams of one organisation.
const MOST: usize = 500;

/// A team to make, or what one shall become.
#[derive(Clone, Debug)]
pub struct TeamForm {
    /// Its name, unparsed.
    pub name: String,
    /// One line of at most 500 characters.
    pub description: String,
    /// What it may do in its repositories; not [`Access::None`].
    pub permission: Access,
    /// Says whether all repositories of the organisation are its, also those that come.
    pub includes_all_repositories: bool,
    /// Says whether its members may make repositories.
    pub can_create_repositories: bool,
}

impl Forge {
    /// The teams of an organisation, the owners first.
    pub async fn teams(&self, at: &OrganisationMember) -> Result<Vec<TeamView>, Error> {
        let database = self.0.store.read();
        let found = teams::of_organisation(&database, at.0.view.id).await?;
        let (given, seen) = (teams::repos_of_organisation(&database, at.0.view.id).await?, self.seen_by(at).await?);
        let count = |team: i64| given.iter().filter(|(of, repo)| *of == team && seen.contains(repo)).count();
        let counted = |team: TeamRecord| Ok(TeamView { repository_count: count(team.id), ..view(team)? });
        found.into_iter().map(counted).collect()
    }

    /// The repositories of the organisation that the member may know of: being in it is no right to those of its teams.
    async fn seen_by(&self, at: &OrganisationMember) -> Result<HashSet<i64>, Error> {
        let requires_sign_in = self.site_settings().await.requires_sign_in;
        let OrganisationRead { view, actor, .. } = &at.0;
        let wanted = Wanted { owner_id: Some(view.id), name: "", is_mine: false, limit: i64::MAX, offset: 0 };
        let found = repos::visible(&self.0.store.read(), actor.sight(requires_sign_in), wanted).await?;
        let permitted = found.into_iter().filter_map(|repo| permitted(actor, requires_sign_in, repo).ok());
        Ok(permitted.map(|repo| repo.id).collect())
    }

    /// A team with its members, and its repositories as far as the member may know of them.
    pub async fn team(&self, at: &OrganisationMember, name: &TeamName) -> Result<TeamDetails, Error> {
        let database = self.0.store.read();
        let team = teams::by_key(&database, at.0.view.id, &name.key()).await?.ok_or(Error::NotFound)?;
        let found = teams::members(&database, team.id).await?.into_iter();
        let members: Result<Vec<_>, Error> =
            found.map(|(id, name, full_name)| member((id, name, full_name, team.is_owners))).collect();
        let (given, seen) = (teams::repos(&database, team.id).await?, self.seen_by(at).await?);
        let known = given.iter().filter(|(id, _)| seen.contains(id));
        let repositories = known.map(|(_, name)| RepoName::parse(name)).collect::<Result<Vec<_>, _>>()?;
        let team = TeamView { repository_count: repositories.len(), ..view(team)? };
        Ok(TeamDetails { team, members: members?, repositories })
    }

    /// The name of a team of the organisation, by its number.
    pub async fn team_name(&self, at: &OrganisationMember, id: i64) -> Result<TeamName, Error> {
        let all = self.teams(at).await?;
        all.into_iter().find(|team| team.id == id).map(|team| team.name).ok_or(Error::NotFound)
    }

    /// Makes a team without members.
    pub async fn create_team(&self, at: &OrganisationOwner, form: TeamForm) -> Result<TeamView, Error> {
        let (name, description) = judged(&form)?;
        let tx = self.0.store.begin().await?;
        if teams::of_organisation(&tx, at.0.view.id).await?.len() >= MOST {
            let problem = format!("names one team too many; {MOST} is the most");
            return Err(Error::Field { field: "name", problem });
        }
        let made = teams::insert(&tx, at.0.view.id, false, fields(&form, &name, &name.key(), &description)).await;
        made.map_err(taken(&name))?;
        let permission = Some(form.permission.name());
        self.tell(&tx, &at.0, "team.created", (name.as_str(), None, permission)).await?;
        let made = teams::by_key(&tx, at.0.view.id, &name.key()).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        view(made)
    }

    /// Changes what a team is called and what it may do. Of the team of owners only the description changes.
    pub async fn change_team(&self, at: &OrganisationOwner, name: &TeamName, form: TeamForm) -> Result<(), Error> {
        let (new_name, description) = judged(&form)?;
        let tx = self.0.store.begin().await?;
        let team = found(&tx, at, name).await?;
        let permission = Access::of_number(team.permission);
        let form = if team.is_owners {
            let (includes_all_repositories, can_create_repositories) = (true, true);
            TeamForm { permission, includes_all_repositories, can_create_repositories, ..form }
        } else {
            form
        };
        let kept = if team.is_owners { name } else { &new_name };
        let key = kept.key();
        teams::update(&tx, team.id, fields(&form, kept, &key, &description)).await.map_err(taken(kept))?;
        let about = (kept.as_str(), Some(permission.name()), Some(form.permission.name()));
        self.tell(&tx, &at.0, "team.changed", about).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a team. The team of owners stays.
    pub async fn delete_team(&self, at: &OrganisationOwner, name: &TeamName) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        let team = found(&tx, at, name).await?;
        if team.is_owners {
            return Err(Error::Denied { action: format!("remove the owners of {}", at.0.view.name) });
        }
        teams::remove(&tx, team.id).await?;
        self.tell(&tx, &at.0, "team.removed", (&team.name, None, None)).await?;
        Ok(tx.commit().await?)
    }

    /// Adds a user to a team. Fails with `Field` on `user` when there is no such user.
    pub async fn add_team_member(
        &self,
        at: &OrganisationOwner,
        team: &TeamName,
        user: &OwnerName,
    ) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        let team = found(&tx, at, team).await?;
        let user = person(&tx, user).await?;
        if teams::add_member(&tx, team.id, user.id).await? {
            self.tell(&tx, &at.0, "team.member_added", (&team.name, None, Some(&user.name))).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes a user off a team. `NotFound` when the user is none of its members, `Field` on `user` for the last owner.
    pub async fn remove_team_member(
        &self,
        at: &OrganisationOwner,
        team: &TeamName,
        user: &OwnerName,
    ) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        let team = found(&tx, at, team).await?;
        let user = users::by_key(&tx, &user.key()).await?.ok_or(Error::NotFound)?;
        if !teams::remove_member(&tx, team.id, user.id).await? {
            return Err(Error::NotFound);
        }
        keeps_an_owner(&tx, &team, &at.0.view.name).await?;
        self.tell(&tx, &at.0, "team.member_removed", (&team.name, None, Some(&user.name))).await?;
        Ok(tx.commit().await?)
    }

    /// Gives a repository of the organisation to a team. Fails with `Field` on `repository` when it has none of this
    /// name.
    pub async fn add_team_repo(&self, at: &OrganisationOwner, team: &TeamName, repo: &RepoName) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        let team = found(&tx, at, team).await?;
        let place = repo_of(&tx, at, repo).await?;
        let Some((id, name)) = place else {
            let problem = format!("`{repo}` is none of {}", at.0.view.name);
            return Err(Error::Field { field: "repository", problem });
        };
        if teams::add_repo(&tx, team.id, id).await? {
            self.tell(&tx, &at.0, "team.repo_added", (&team.name, None, Some(&name))).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes a repository from a team. `NotFound` when it had not been given it.
    pub async fn remove_team_repo(
        &self,
        at: &OrganisationOwner,
        team: &TeamName,
        repo: &RepoName,
    ) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        let team = found(&tx, at, team).await?;
        let (id, name) = repo_of(&tx, at, repo).await?.ok_or(Error::NotFound)?;
        if !teams::remove_repo(&tx, team.id, id).await? {
            return Err(Error::NotFound);
        }
        self.tell(&tx, &at.0, "team.repo_removed", (&team.name, None, Some(&name))).await?;
        Ok(tx.commit().await?)
    }
}

async fn found(tx: &Tx, at: &OrganisationOwner, name: &TeamName) -> Result<TeamRecord, Error> {
    teams::by_key(tx, at.0.view.id, &name.key()).await?.ok_or(Error::NotFound)
}

async fn repo_of(tx: &Tx, at: &OrganisationOwner, name: &RepoName) -> Result<Option<(i64, String)>, Error> {
    let found = repos::by_keys(tx, Asker::default(), &at.0.view.name.key(), &name.key()).await?;
    Ok(found.map(|repo| (repo.id, repo.name)))
}

/// Refuses what has left the team of owners without anybody who may sign in.
pub(crate) async fn keeps_an_owner(tx: &Tx, team: &TeamRecord, organisation: &OwnerName) -> Result<(), Error> {
    if team.is_owners && !teams::has_active_member(tx, team.id).await? {
        let problem = format!("is the last owner of {organisation}, and stays until there is another");
        return Err(Error::Field { field: "user", problem });
    }
    Ok(())
}

fn judged(form: &TeamForm) -> Result<(TeamName, String), Error> {
    if form.permission == Access::None {
        return Err(Error::Field { field: "permission", problem: "must be one of those that can be granted".into() });
    }
    Ok((TeamName::parse(form.name.trim())?, one_line("description", &form.description, 0, 500)?))
}

fn fields<'a>(form: &TeamForm, name: &'a TeamName, name_key: &'a str, description: &'a str) -> TeamFields<'a> {
    TeamFields {
        name: name.as_str(),
        name_key,
        description,
        permission: form.permission.number(),
        includes_all: form.includes_all_repositories,
        can_create: form.can_create_repositories,
    }
}

fn taken(name: &TeamName) -> impl Fn(store::StoreError) -> Error {
    move |error| {
        if error.is_unique("teams.name_key") { Error::NameTaken(name.to_string()) } else { error.into() }
    }
}

pub(crate) fn view(team: TeamRecord) -> Result<TeamView, Error> {
    Ok(TeamView {
        id: team.id,
        name: TeamName::parse(&team.name)?,
        description: team.description,
        permission: Access::of_number(team.permission),
        is_owners: team.is_owners,
        includes_all_repositories: team.includes_all,
        can_create_repositories: team.can_create,
        member_count: usize::try_from(team.members).unwrap_or_default(),
        repository_count: usize::try_from(team.repos).unwrap_or_default(),
    })
}
