//! What changes of a repository besides its content: what it says of itself, who may read it, where it is. Each change
//! takes the proof of the right to it. The former path of a repository that moved is absent, as if it had never been.

use base::name::{OwnerName, RefName, RepoName, RepoPath};
use store::repos::{self, Asker};
use store::{collaborators, deploy_keys, organisations, teams, users};

use crate::events::{Happened, record};
use crate::users::one_line;
use crate::{Actor, Error, Forge, Need, RepoAdmin, RepoMaintain, RepoRead, Visibility};

/// What a repository shall say of itself.
#[derive(Clone, Debug)]
pub struct RepoChange {
    /// One line of at most 500 characters.
    pub description: String,
    /// Who may read it.
    pub visibility: Visibility,
}

impl Forge {
    /// Changes a repository's description.
    pub async fn describe_repo(&self, repo: &RepoMaintain, description: &str) -> Result<(), Error> {
        let visibility = repo.0.summary.visibility;
        self.change(&repo.0, RepoChange { description: description.into(), visibility }).await
    }

    /// Changes a repository's description and who may read it.
    pub async fn change_repo(&self, repo: &RepoAdmin, change: RepoChange) -> Result<(), Error> {
        self.change(&repo.0, change).await
    }

    /// Changes what differs from what the proof has seen, and that alone: what others changed meanwhile stays.
    async fn change(&self, repo: &RepoRead, change: RepoChange) -> Result<(), Error> {
        let description = one_line("description", &change.description, 0, 500)?;
        let tx = self.0.store.begin().await?;
        let found = repos::by_id(&tx, Asker::default(), repo.id).await?.ok_or(Error::NotFound)?;
        if description != repo.summary.description {
            repos::set_description(&tx, repo.id, &description).await?;
        }
        let (old, mut new) = (found.visibility.as_str(), found.visibility.as_str());
        if change.visibility != repo.summary.visibility {
            new = change.visibility.as_str();
            repos::set_visibility(&tx, repo.id, new).await?;
        }
        let path = format!("{}/{}", found.owner, found.name);
        let place = Some((repo.id, path.as_str()));
        let event =
            Happened::Noted { kind: "repo.changed", repo: place, subject: &path, old: Some(old), new: Some(new) };
        record(&tx, self.now(), repo.who()?, event).await?;
        Ok(tx.commit().await?)
    }

    /// Makes another branch the default one. Fails with `Field` on `branch` when the repository has no such branch.
    pub async fn set_default_branch(&self, repo: &RepoMaintain, branch: &RefName) -> Result<(), Error> {
        let handle = self.handle(&repo.0)?;
        let old = handle.head().await?;
        if !branch.is_branch() || !handle.set_head(branch).await? {
            let problem = format!("`{}` is none of the repository's", branch.short());
            return Err(Error::Field { field: "branch", problem });
        }
        if old == *branch {
            return Ok(());
        }
        let tx = self.0.store.begin().await?;
        let event = Happened::DefaultBranch { id: repo.0.id, old: old.as_str(), new: branch.as_str() };
        record(&tx, self.now(), repo.0.who()?, event).await?;
        Ok(tx.commit().await?)
    }

    /// Gives a repository another name under its owner.
    pub async fn rename_repo(&self, repo: &RepoAdmin, name: RepoName) -> Result<RepoPath, Error> {
        let owner = repo.0.summary.path.owner.clone();
        self.move_repo(&repo.0, repo.0.owner_id, RepoPath { owner, name }).await
    }

    /// Gives a repository to another owner: an organisation in which the actor may make repositories, the actor
    /// themselves or, for an administrator of the site, anyone. Teams of the former owner lose it, and deploy keys, which
    /// nobody of the new owner let in, are removed; collaborators stay. Fails with `Field` on `owner` for all others.
    pub async fn transfer_repo(&self, actor: &Actor, repo: &RepoAdmin, owner: &OwnerName) -> Result<RepoPath, Error> {
        let (owner_id, owner) = match self.place_for(actor, owner).await {
            Err(Error::NotFound | Error::Denied { .. }) => self.place_by_administrator(actor, owner).await?,
            place => place?,
        };
        let name = repo.0.summary.path.name.clone();
        self.move_repo(&repo.0, owner_id, RepoPath { owner, name }).await
    }

    /// Where the actor may make repositories: under their own name, and in organisations that let them.
    pub(crate) async fn place_for(&self, actor: &Actor, owner: &OwnerName) -> Result<(i64, OwnerName), Error> {
        let user = actor.needs(Need::WriteRepository, "make repositories")?;
        if user.name.key() == owner.key() {
            return Ok((user.id, user.name.clone()));
        }
        let found = organisations::by_key(&self.0.store.read(), Some(user.id), &owner.key()).await?;
        let found = found.ok_or(Error::NotFound)?;
        if !(user.is_admin || found.is_member || found.visibility != "private") {
            return Err(Error::NotFound);
        }
        if !(user.is_admin || found.can_create) {
            return Err(Error::Denied { action: format!("make repositories in {}", found.name) });
        }
        Ok((found.id, OwnerName::parse(&found.name)?))
    }

    async fn place_by_administrator(&self, actor: &Actor, owner: &OwnerName) -> Result<(i64, OwnerName), Error> {
        let refused = || Error::Field { field: "owner", problem: format!("`{owner}` takes no repositories from you") };
        if !actor.user().is_some_and(|user| user.is_admin) {
            return Err(refused());
        }
        let found = users::owner_kind(&self.0.store.read(), &owner.key()).await?;
        let (id, kind, name) = found.ok_or_else(refused)?;
        if kind == "service" { Err(refused()) } else { Ok((id, OwnerName::parse(&name)?)) }
    }

    /// `NotFound` when another has moved it meanwhile.
    async fn move_repo(&self, repo: &RepoRead, owner_id: i64, to: RepoPath) -> Result<RepoPath, Error> {
        let (old, new) = (repo.summary.path.to_string(), to.to_string());
        if old == new {
            return Ok(to);
        }
        let tx = self.0.store.begin().await?;
        if repos::path(&tx, repo.id).await?.as_deref() != Some(&old) {
            return Err(Error::NotFound);
        }
        let moved = repos::set_place(&tx, repo.id, owner_id, to.name.as_str(), &to.name.key()).await;
        moved.map_err(
            |error| {
                if error.is_unique("repos.name_key") { Error::NameTaken(new.clone()) } else { error.into() }
            },
        )?;
        let place = Some((repo.id, new.as_str()));
        if owner_id != repo.owner_id {
            teams::forget_repo(&tx, repo.id).await?;
            collaborators::remove(&tx, repo.id, owner_id).await?;
            for key in deploy_keys::of_repo(&tx, repo.id).await? {
                deploy_keys::remove(&tx, repo.id, key.id).await?;
                let (kind, subject) = ("deploy_key.removed", key.fingerprint.as_str());
                let event = Happened::Noted { kind, repo: place, subject, old: None, new: None };
                record(&tx, self.now(), repo.who()?, event).await?;
            }
        }
        let event =
            Happened::Noted { kind: "repo.moved", repo: place, subject: &new, old: Some(&old), new: Some(&new) };
        record(&tx, self.now(), repo.who()?, event).await?;
        tx.commit().await?;
        Ok(to)
    }
}
