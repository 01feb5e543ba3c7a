//! Repositories as things that are made, found, listed and removed. Names become keys in the database; ids alone
//! become directories.

use base::name::{OwnerName, RefName, RepoName, RepoPath};
use store::repos::{self, Asker, NewRepoRecord, RepoRecord, Sight, Wanted};
use store::{loose_directories, users};

use crate::access::{Facts, Judgement, Who};
use crate::events::{Happened, record};
use crate::jobs::{self, Job};
use crate::users::one_line;
use crate::{Access, Actor, Error, Forge, Need, RepoAdmin, RepoRead, RepoSummary, Scope, Visibility, settle};

/// The branch that HEAD of a new repository names.
const FIRST_BRANCH: &str = "main";
/// Repositories in a list.
const LISTED: u32 = 200;
/// Bytes of a text that is looked for.
const LONGEST_TEXT: usize = 100;
/// No owner's number.
const NOBODY: i64 = 0;

/// A repository to make.
#[derive(Debug)]
pub struct NewRepo {
    /// Its name, unparsed.
    pub name: String,
    /// One line of at most 500 characters.
    pub description: String,
    /// Who may read it.
    pub visibility: Visibility,
}

/// Which repositories a list shall hold, of those that the actor may read.
#[derive(Clone, Debug)]
pub struct RepoQuery {
    /// Those of this owner alone.
    pub owner: Option<OwnerName>,
    /// Those alone whose name holds this text, in whatever case.
    pub text: String,
    /// Those alone that are the actor's own, a team's of the actor, or that the actor collaborates in.
    pub is_mine: bool,
    /// The page, from 1.
    pub page: u32,
    /// Repositories on a page, 1 to 200.
    pub limit: u32,
}

impl Default for RepoQuery {
    fn default() -> Self {
        Self { owner: None, text: String::new(), is_mine: false, page: 1, limit: LISTED }
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct RepoPage {
    /// The repositories, last pushed (or made) first.
    pub repositories: Vec<RepoSummary>,
    /// How many there are on all pages.
    pub total: u64,
}

impl Forge {
    /// The fetch that is the authorisation. `NotFound` when it is absent or hidden from the actor, in one time class;
    /// `Denied` when the actor may know of it but came with a credential that was not made for repositories.
    pub async fn repo(&self, actor: &Actor, path: &RepoPath) -> Result<RepoRead, Error> {
        let requires_sign_in = self.site_settings().await.requires_sign_in;
        let database = self.0.store.read();
        let found = repos::by_keys(&database, actor.asker(), &path.owner.key(), &path.name.key()).await?;
        permitted(actor, requires_sign_in, found.ok_or(Error::NotFound)?)
    }

    /// The same by the repository's number.
    pub async fn repo_by_id(&self, actor: &Actor, id: i64) -> Result<RepoRead, Error> {
        let requires_sign_in = self.site_settings().await.requires_sign_in;
        let found = repos::by_id(&self.0.store.read(), actor.asker(), id).await?;
        permitted(actor, requires_sign_in, found.ok_or(Error::NotFound)?)
    }

    /// Makes an empty repository owned by the actor, default branch `main`.
    pub async fn create_repo(&self, actor: &Actor, new: NewRepo) -> Result<RepoSummary, Error> {
        let owner = actor.needs(Need::WriteRepository, "make repositories")?.name.clone();
        self.create_repo_in(actor, &owner, new).await
    }

    /// Makes an empty repository under the actor's own name, or in an organisation of which the actor is an owner or in
    /// a team that may. `NotFound` for all other owners, `Denied` in an organisation that does not let the actor.
    pub async fn create_repo_in(&self, actor: &Actor, owner: &OwnerName, new: NewRepo) -> Result<RepoSummary, Error> {
        let (owner_id, owner) = self.place_for(actor, owner).await?;
        let name = RepoName::parse(new.name.trim())?;
        let description = one_line("description", &new.description, 0, 500)?;
        let by = actor.who().ok_or(Error::SignInNeeded)?;
        self.make_repo(&by, owner_id, RepoPath { owner, name }, (description, new.visibility)).await
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
        self.sweep_lfs_aside();
        self.wake_workers();
        Ok(())
    }

    /// What the actor may read, last pushed first; at most 200. The dashboard shows the actor's own apart from the others.
    pub async fn repos(&self, actor: &Actor) -> Result<Vec<RepoSummary>, Error> {
        Ok(self.find_repos(actor, &RepoQuery::default()).await?.repositories)
    }

    /// What the actor may read and `query` asks for. `Denied` with a credential that was not made for repositories. An
    /// owner that is absent, or hidden, has none.
    pub async fn find_repos(&self, actor: &Actor, query: &RepoQuery) -> Result<RepoPage, Error> {
        if let Some(user) = actor.user()
            && let Scope::Token { scopes, .. } = user.scope
            && !scopes.holds(Need::ReadRepository)
        {
            return Err(Error::Denied { action: "list repositories with this token".into() });
        }
        // No name is as long, and databases bound what a pattern may be.
        if query.text.len() > LONGEST_TEXT {
            return Ok(RepoPage { repositories: Vec::new(), total: 0 });
        }
        let requires_sign_in = self.site_settings().await.requires_sign_in;
        let database = self.0.store.read();
        let owner = match &query.owner {
            Some(name) => users::owner_kind(&database, &name.key()).await?.map_or(Some(NOBODY), |(id, ..)| Some(id)),
            None => None,
        };
        let limit = query.limit.clamp(1, LISTED);
        let wanted = Wanted {
            owner_id: owner,
            name: &pattern(&query.text),
            is_mine: query.is_mine,
            limit: limit.into(),
            offset: i64::from(query.page.saturating_sub(1)).saturating_mul(limit.into()),
        };
        let sight = actor.sight(requires_sign_in);
        let found = repos::visible(&database, sight, wanted).await?;
        let is_all = wanted.offset == 0 && found.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        let total = if is_all {
            u64::try_from(found.len()).unwrap_or(u64::MAX)
        } else {
            u64::try_from(repos::count_visible(&database, sight, wanted).await?).unwrap_or_default()
        };
        let mut repositories = Vec::with_capacity(found.len());
        for record in found {
            match permitted(actor, requires_sign_in, record) {
                Ok(repo) => repositories.push(repo.summary),
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(RepoPage { repositories, total })
    }

    /// All repositories, last pushed first. For the host's own shell.
    pub async fn all_repos(&self) -> Result<Vec<RepoSummary>, Error> {
        let sight = Sight { asker: Asker::default(), has_all: true, has_internal: true, has_public: true };
        let wanted = Wanted { owner_id: None, name: "", is_mine: false, limit: i64::MAX, offset: 0 };
        repos::visible(&self.0.store.read(), sight, wanted).await?.into_iter().map(summary).collect()
    }

    /// Makes the directory first, on a fresh id that stays on the list of loose ones until the row is there: a crash in
    /// between leaves nothing that anyone sees, and the next start removes it.
    pub(crate) async fn make_repo(
        &self,
        by: &Who,
        owner_id: i64,
        path: RepoPath,
        (description, visibility): (String, Visibility),
    ) -> Result<RepoSummary, Error> {
        let name_key = path.name.key();
        let (database, nobody) = (self.0.store.read(), Asker::default());
        if repos::by_keys(&database, nobody, &path.owner.key(), &name_key).await?.is_some() {
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
        record(&tx, created, by, event).await?;
        tx.commit().await?;
        Ok(RepoSummary { path, description, visibility, created, pushed: None })
    }
}

/// The proof, when the actor may read.
pub(crate) fn permitted(actor: &Actor, requires_sign_in: bool, found: RepoRecord) -> Result<RepoRead, Error> {
    let visibility = Visibility::of(&found.visibility);
    let grants = &found.grants;
    let facts = Facts {
        visibility,
        owner_id: found.owner_id,
        organisation: grants.organisation.as_deref().map(Visibility::of),
        is_member: grants.is_member,
        team: Access::of_number(grants.team),
        collaborator: Access::of_number(grants.collaborator),
        key: Access::of_number(grants.key),
        is_listed: grants.is_listed,
        requires_sign_in,
    };
    let Judgement { granted, access } = facts.judge(actor);
    if granted < Access::Read {
        return Err(Error::NotFound);
    }
    let is_open_to_all = facts.is_open_to_all();
    let (id, owner_id, summary) = (found.id, found.owner_id, summary(found)?);
    if access < Access::Read {
        return Err(Error::Denied { action: format!("read {} with this token", summary.path) });
    }
    Ok(RepoRead { id, owner_id, summary, access, is_open_to_all, by: actor.who() })
}

fn summary(found: RepoRecord) -> Result<RepoSummary, Error> {
    Ok(RepoSummary {
        path: RepoPath::parse(&found.owner, &found.name)?,
        description: found.description,
        visibility: Visibility::of(&found.visibility),
        created: found.created,
        pushed: found.pushed,
    })
}

/// What LIKE finds a text with, anywhere in a name.
fn pattern(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut pattern = String::from("%");
    for letter in text.to_ascii_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

impl Visibility {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Private => "private",
        }
    }

    /// What is not understood is private.
    pub(crate) fn of(stored: &str) -> Self {
        match stored {
            "public" => Self::Public,
            "internal" => Self::Internal,
            _ => Self::Private,
        }
    }
}
