//! Repositories as things that are made, found, listed and removed. Names become keys in the database; ids alone
//! become directories.

use base::name::{RefName, RepoName, RepoPath};
use store::loose_directories;
use store::repos::{self, NewRepoRecord, RepoRecord};

use crate::access::{User, Who};
use crate::events::{Happened, record};
use crate::jobs::{self, Job};
use crate::users::one_line;
use crate::{Access, Actor, Error, Forge, RepoAdmin, RepoRead, RepoSummary, Visibility, settle};

/// The branch that HEAD of a new repository names.
const FIRST_BRANCH: &str = "main";
/// Repositories in a list.
const LISTED: i64 = 200;

/// A repository to make under the actor's own name.
#[derive(Debug)]
pub struct NewRepo {
    /// Its name, unparsed.
    pub name: String,
    /// One line of at most 500 characters.
    pub description: String,
    /// Who may read it.
    pub visibility: Visibility,
}

impl Forge {
    /// The fetch that is the authorisation. `NotFound` when it is absent or hidden from the actor, in one time class.
    pub async fn repo(&self, actor: &Actor, path: &RepoPath) -> Result<RepoRead, Error> {
        let found = repos::by_keys(&self.0.store.read(), &path.owner.key(), &path.name.key()).await?;
        permitted(actor, found.ok_or(Error::NotFound)?)?.ok_or(Error::NotFound)
    }

    /// Makes an empty repository owned by the actor, default branch `main`.
    pub async fn create_repo(&self, actor: &Actor, new: NewRepo) -> Result<RepoSummary, Error> {
        let user = actor.in_full("make repositories")?;
        let name = RepoName::parse(new.name.trim())?;
        let description = one_line("description", &new.description, 0, 500)?;
        let path = RepoPath { owner: user.name.clone(), name };
        self.make_repo(&user.who(), path, description, new.visibility).await
    }

    /// Removes a repository for good; its objects go soon after, in the background.
    pub async fn delete_repo(&self, repo: RepoAdmin) -> Result<(), Error> {
        let RepoRead { id, summary, by, .. } = repo.0;
        let tx = self.0.store.begin().await?;
        if !repos::remove(&tx, id).await? {
            return Err(Error::NotFound);
        }
        loose_directories::put(&tx, id).await?;
        let by = by.ok_or(Error::SignInNeeded)?;
        record(&tx, self.now(), &by, Happened::RepoRemoved { id, path: &summary.path.to_string() }).await?;
        jobs::put(&tx, &Job::RemoveDirectory { repo: id }, self.now()).await?;
        tx.commit().await?;
        self.wake_workers();
        Ok(())
    }

    /// What the actor may read, last pushed first; at most 200. The dashboard shows the actor's own apart from the others.
    pub async fn repos(&self, actor: &Actor) -> Result<Vec<RepoSummary>, Error> {
        let found = repos::visible(&self.0.store.read(), actor.sight(), LISTED).await?;
        let mut list = Vec::with_capacity(found.len());
        for record in found {
            list.extend(permitted(actor, record)?.map(|repo| repo.summary));
        }
        Ok(list)
    }

    /// Makes the directory first, on a fresh id that stays on the list of loose ones until the row is there: a crash in
    /// between leaves nothing that anyone sees, and the next start removes it.
    pub(crate) async fn make_repo(
        &self,
        owner: &Who,
        path: RepoPath,
        description: String,
        visibility: Visibility,
    ) -> Result<RepoSummary, Error> {
        let owner_id = owner.id.ok_or(Error::SignInNeeded)?;
        let name_key = path.name.key();
        if repos::by_keys(&self.0.store.read(), &path.owner.key(), &name_key).await?.is_some() {
            return Err(Error::NameTaken(path.name.to_string()));
        }
        let tx = self.0.store.begin().await?;
        let id = loose_directories::take(&tx).await?;
        tx.commit().await?;
        self.0.repositories.create(id, &RefName::branch(FIRST_BRANCH)?).await?;
        base::fault::point("forge:repo:directory");

        let created = self.now();
        let new = NewRepoRecord {
            id,
            owner_id,
            name: path.name.as_str(),
            name_key: &name_key,
            visibility: visibility.as_str(),
            description: &description,
            created,
        };
        let tx = self.0.store.begin().await?;
        if let Err(error) = repos::insert(&tx, &new).await {
            drop(tx);
            settle::remove_directory(&self.0.store, &self.0.repositories, id).await?;
            let is_taken = error.is_unique("repos.name_key");
            return Err(if is_taken { Error::NameTaken(path.name.to_string()) } else { error.into() });
        }
        loose_directories::settle(&tx, id).await?;
        let event = Happened::RepoCreated { id, path: &path.to_string(), visibility: visibility.as_str() };
        record(&tx, created, owner, event).await?;
        tx.commit().await?;
        Ok(RepoSummary { path, description, visibility, created, pushed: None })
    }
}

/// The proof, when the actor may read; `None` otherwise.
fn permitted(actor: &Actor, found: RepoRecord) -> Result<Option<RepoRead>, Error> {
    let visibility = Visibility::of(&found.visibility);
    let access = Access::of(actor, found.owner_id, visibility);
    if access < Access::Read {
        return Ok(None);
    }
    let summary = RepoSummary {
        path: RepoPath::parse(&found.owner, &found.name)?,
        description: found.description,
        visibility,
        created: found.created,
        pushed: found.pushed,
    };
    Ok(Some(RepoRead { id: found.id, summary, access, by: actor.user().map(User::who) }))
}

impl Visibility {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Private => "private",
        }
    }

    /// What is not understood is private.
    fn of(stored: &str) -> Self {
        match stored {
            "public" => Self::Public,
            "internal" => Self::Internal,
            _ => Self::Private,
        }
    }
}
