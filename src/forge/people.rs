//! Accounts as those who are signed in see each other: names, and nothing that opens a door. To who is not signed in
//! there are no accounts; the program's own are nobody's to see.

use base::clock::Timestamp;
use base::name::OwnerName;
use store::organisations;
use store::users::{self, UserRecord};

use crate::{Actor, Error, Forge, Need, Paged, RepoRead, Stretch};

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// The name to sign in with.
    pub name: OwnerName,
    /// The name to show; may be empty.
    pub full_name: String,
    /// Says whether it administers the site.
    pub is_admin: bool,
    /// Says whether it may sign in.
    pub is_active: bool,
    /// When it was made.
    pub created: Timestamp,
    /// The last sign-in.
    pub seen: Option<Timestamp>,
}

impl Forge {
    /// The actor's own account.
    pub async fn own_account(&self, actor: &Actor) -> Result<Account, Error> {
        let id = actor.needs(Need::ReadUser, "look at the account")?.id;
        self.account_by_id(id).await?.ok_or(Error::NotFound)
    }

    /// The account of this name.
    pub async fn account(&self, actor: &Actor, name: &OwnerName) -> Result<Account, Error> {
        actor.needs(Need::ReadUser, "look at accounts")?;
        let database = self.0.store.read();
        let found = users::by_key(&database, &name.key()).await?.ok_or(Error::NotFound)?;
        if users::service_accounts(&database).await?.contains(&found.id) {
            return Err(Error::NotFound);
        }
        view(found)
    }

    /// A part of the accounts whose name or full name holds `text`, by name; the one with the id `only` alone, if given.
    pub async fn accounts(
        &self,
        actor: &Actor,
        text: &str,
        only: Option<i64>,
        window: Stretch,
    ) -> Result<Paged<Account>, Error> {
        actor.needs(Need::ReadUser, "look at accounts")?;
        let text = text.trim().to_lowercase();
        let fits = |user: &UserRecord| {
            let holds = |name: &str| name.to_lowercase().contains(&text);
            only.is_none_or(|id| id == user.id) && (holds(&user.name) || holds(&user.full_name))
        };
        let found: Vec<_> = users::people(&self.0.store.read()).await?.into_iter().filter(fits).collect();
        let total = found.len();
        let rows = found.into_iter().skip(window.skip).take(window.limit).map(view).collect::<Result<_, _>>()?;
        Ok(Paged { rows, total })
    }

    /// A part of all accounts, by name. For administrators; `NotFound` for everyone else.
    pub async fn all_accounts(&self, actor: &Actor, window: Stretch) -> Result<Paged<Account>, Error> {
        actor.administers(Need::ReadAdmin, "see users")?;
        let found = users::people(&self.0.store.read()).await?;
        let total = found.len();
        let rows = found.into_iter().skip(window.skip).take(window.limit).map(view).collect::<Result<_, _>>()?;
        Ok(Paged { rows, total })
    }

    /// One account. For administrators; `NotFound` for everyone else.
    pub async fn administered_account(&self, actor: &Actor, name: &OwnerName) -> Result<Account, Error> {
        actor.administers(Need::ReadAdmin, "see users")?;
        view(users::by_key(&self.0.store.read(), &name.key()).await?.ok_or(Error::NotFound)?)
    }

    /// The name of the owner with this number; `None` when there is none. Says nothing that a list of repositories,
    /// which asks for the rights, would not say.
    pub async fn owner_name(&self, id: i64) -> Result<Option<OwnerName>, Error> {
        let found = users::owner_name(&self.0.store.read(), id).await?;
        Ok(found.map(|name| OwnerName::parse(&name)).transpose()?)
    }

    /// The owner of a repository, to whoever may know the repository: a user or an organisation.
    pub(crate) async fn owner_of(&self, repo: &RepoRead) -> Result<Account, Error> {
        if let Some(user) = self.account_by_id(repo.owner_id).await? {
            return Ok(user);
        }
        let name = &repo.summary.path.owner;
        let found = organisations::by_key(&self.0.store.read(), None, &name.key()).await?.ok_or(Error::NotFound)?;
        Ok(Account {
            id: found.id,
            name: name.clone(),
            full_name: found.full_name,
            is_admin: false,
            is_active: true,
            created: found.created,
            seen: None,
        })
    }

    pub(crate) async fn account_by_id(&self, id: i64) -> Result<Option<Account>, Error> {
        users::by_id(&self.0.store.read(), id).await?.map(view).transpose()
    }
}

fn view(user: UserRecord) -> Result<Account, Error> {
    let UserRecord { id, name, full_name, is_admin, is_active, created, seen, .. } = user;
    Ok(Account { id, name: OwnerName::parse(&name)?, full_name, is_admin, is_active, created, seen })
}
