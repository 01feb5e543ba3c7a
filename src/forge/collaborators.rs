//! Users whom the administrator of a repository lets in, one by one.

use base::name::OwnerName;
use store::users::UserRecord;
use store::{Query, collaborators, teams, users};

use crate::events::{Happened, record};
use crate::{Access, CollaboratorView, Error, Forge, RepoAdmin, RepoRead, TeamView};

impl Forge {
    /// The collaborators of a repository, by name.
    pub async fn collaborators(&self, repo: &RepoAdmin) -> Result<Vec<CollaboratorView>, Error> {
        let found = collaborators::of_repo(&self.0.store.read(), repo.0.id).await?;
        found
            .into_iter()
            .map(|(id, name, level)| {
                Ok(CollaboratorView { id, name: OwnerName::parse(&name)?, access: Access::of_number(level) })
            })
            .collect()
    }

    /// Gives a user a level in a repository, whatever it was before. Fails with `Field` on `user` when there is no such
    /// user or the user owns it, and on `level` for [`Access::None`].
    pub async fn set_collaborator(&self, repo: &RepoAdmin, user: &OwnerName, level: Access) -> Result<(), Error> {
        let RepoRead { id, owner_id, summary, .. } = &repo.0;
        if level == Access::None {
            return Err(Error::Field { field: "level", problem: "must be one of those that can be granted".into() });
        }
        let tx = self.0.store.begin().await?;
        let user = person(&tx, user).await?;
        if user.id == *owner_id {
            return Err(Error::Field { field: "user", problem: format!("`{}` owns the repository", user.name) });
        }
        let old = collaborators::of_repo(&tx, *id).await?.into_iter().find(|(other, ..)| *other == user.id);
        collaborators::set(&tx, *id, user.id, level.number()).await?;
        let old = old.map(|(.., level)| Access::of_number(level).name());
        let (repo_path, new) = (summary.path.to_string(), Some(level.name()));
        let place = Some((*id, repo_path.as_str()));
        let event = Happened::Noted { kind: "collaborator.set", repo: place, subject: &user.name, old, new };
        record(&tx, self.now(), repo.0.who()?, event).await?;
        Ok(tx.commit().await?)
    }

    /// Takes a user's level in a repository away. `NotFound` when there is none.
    pub async fn remove_collaborator(&self, repo: &RepoAdmin, user: &OwnerName) -> Result<(), Error> {
        let RepoRead { id, summary, .. } = &repo.0;
        let tx = self.0.store.begin().await?;
        let user = users::by_key(&tx, &user.key()).await?.ok_or(Error::NotFound)?;
        if !collaborators::remove(&tx, *id, user.id).await? {
            return Err(Error::NotFound);
        }
        let path = summary.path.to_string();
        let place = Some((*id, path.as_str()));
        let kind = "collaborator.removed";
        let event = Happened::Noted { kind, repo: place, subject: &user.name, old: None, new: None };
        record(&tx, self.now(), repo.0.who()?, event).await?;
        Ok(tx.commit().await?)
    }

    /// The teams that have a repository of an organisation, the owners first.
    pub async fn repo_teams(&self, repo: &RepoAdmin) -> Result<Vec<TeamView>, Error> {
        let found = teams::of_repo(&self.0.store.read(), repo.0.id).await?;
        found.into_iter().map(crate::teams::view).collect()
    }
}

/// The person of this name, as a form's field `user`. The program's own accounts are nobody.
pub(crate) async fn person(database: &impl Query, name: &OwnerName) -> Result<UserRecord, Error> {
    let absent = || Error::Field { field: "user", problem: format!("`{name}` is no user here") };
    let (_, kind, _) = users::owner_kind(database, &name.key()).await?.ok_or_else(absent)?;
    if kind != "user" {
        return Err(absent());
    }
    users::by_key(database, &name.key()).await?.ok_or_else(absent)
}
