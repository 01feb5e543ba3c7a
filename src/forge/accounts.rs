//! What becomes of accounts: suspended and let in again, made administrators, removed. A site is never left without an
//! administrator who may sign in, nor an organisation without an owner, nor a repository without either.

use base::Secret;
use base::name::OwnerName;
use store::users::{self, UserRecord};
use store::{Tx, ceremonies, organisations, repos, sessions};

use crate::access::User;
use crate::collaborators::person;
use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, Need, Scope, passwords};

impl Forge {
    /// Lets a user sign in, or no longer: sessions end for good, and keys and tokens open nothing until an administrator
    /// lifts it. For administrators, not on themselves.
    pub async fn set_user_active(&self, actor: &Actor, name: &str, is_active: bool) -> Result<(), Error> {
        let by = actor.administers(Need::WriteAdmin, "change users")?;
        let tx = self.0.store.begin().await?;
        let user = other(&tx, by, name, "suspend").await?;
        if !is_active {
            keeps_an_administrator(&tx, &user).await?;
            sessions::remove_of_user(&tx, user.id, None).await?;
            ceremonies::end_of_user(&tx, user.id).await?;
        }
        users::set_active(&tx, user.id, is_active).await?;
        record(&tx, self.now(), &by.who(), Happened::UserActive { name: &user.name, is_active }).await?;
        Ok(tx.commit().await?)
    }

    /// Makes a user an administrator of the site, or no longer one. For administrators, not on themselves. To
    /// make one fails with `ProofNeeded`.
    pub async fn set_user_admin(&self, actor: &Actor, name: &str, is_admin: bool) -> Result<(), Error> {
        let by = actor.administers(Need::WriteAdmin, "change users")?;
        if is_admin {
            self.proved_if_session(by).await?;
        }
        let tx = self.0.store.begin().await?;
        let user = other(&tx, by, name, "demote").await?;
        if !is_admin {
            keeps_an_administrator(&tx, &user).await?;
        }
        users::set_admin(&tx, user.id, is_admin).await?;
        let word = |is_admin: bool| Some(if is_admin { "administrator" } else { "user" });
        let (old, new) = (word(user.is_admin), word(is_admin));
        let event = Happened::Noted { kind: "user.administers", repo: None, subject: &user.name, old, new };
        record(&tx, self.now(), &by.who(), event).await?;
        Ok(tx.commit().await?)
    }

    /// Gives a user another password and ends the sessions. For administrators, not on themselves: one's own is changed
    /// by who knows the old one. Fails with `Field` on `password`.
    pub async fn set_user_password(&self, actor: &Actor, name: &str, password: &Secret<String>) -> Result<(), Error> {
        let by = actor.administers(Need::WriteAdmin, "change users")?;
        passwords::judge(password)?;
        let hash = self.0.passwords.hash(password).await?;
        let tx = self.0.store.begin().await?;
        let user = other(&tx, by, name, "set the password of").await?;
        // The program's own accounts never sign in.
        if users::service_accounts(&tx).await?.contains(&user.id) {
            return Err(Error::NotFound);
        }
        users::set_password(&tx, user.id, &hash).await?;
        sessions::remove_of_user(&tx, user.id, None).await?;
        ceremonies::end_of_user(&tx, user.id).await?;
        record(&tx, self.now(), &by.who(), Happened::PasswordReset { name: &user.name }).await?;
        Ok(tx.commit().await?)
    }

    /// An account as if it had signed in: what it does is recorded under its name, without an address. For the host's
    /// own shell, which needs no password of the site's. Fails with `Field` on `user` when there is no such account.
    pub async fn acting_as(&self, name: &str) -> Result<Actor, Error> {
        let found = person(&self.0.store.read(), &OwnerName::parse(name)?).await?;
        let name = OwnerName::parse(&found.name)?;
        Ok(Actor::User(User::new(found.id, name, found.is_admin, Scope::Full)))
    }

    /// Removes an account with its ceremonies, sessions, keys, tokens and all that was granted to it. What it did stays in the audit
    /// log, and its name is nobody's for 90 days. For administrators, not on themselves. Fails with `Field` on `name`
    /// while it owns repositories, or is the last owner of an organisation.
    pub async fn delete_user(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let by = actor.administers(Need::WriteAdmin, "remove users")?;
        let tx = self.0.store.begin().await?;
        let user = other(&tx, by, name, "remove").await?;
        keeps_an_administrator(&tx, &user).await?;
        let owned = repos::names_of_owner(&tx, user.id).await?;
        if !owned.is_empty() {
            let owned: Vec<_> = owned.iter().map(|repo| format!("{}/{repo}", user.name)).collect();
            return Err(held(&format!("still owns {}", listed(&owned))));
        }
        let organisations = organisations::last_owned_by(&tx, user.id).await?;
        if !organisations.is_empty() {
            return Err(held(&format!("is the last owner of {}", listed(&organisations))));
        }
        users::remove(&tx, user.id).await?;
        users::remember_name(&tx, &user.name.to_ascii_lowercase(), self.now()).await?;
        let event = Happened::Noted { kind: "user.removed", repo: None, subject: &user.name, old: None, new: None };
        record(&tx, self.now(), &by.who(), event).await?;
        Ok(tx.commit().await?)
    }
}

/// The person of this name, who is not the administrator at work.
async fn other(tx: &Tx, by: &User, name: &str, verb: &str) -> Result<UserRecord, Error> {
    let key = OwnerName::parse(name).map_err(|_| Error::NotFound)?.key();
    let user = users::by_key(tx, &key).await?.ok_or(Error::NotFound)?;
    if user.id == by.id {
        return Err(Error::Denied { action: format!("{verb} your own account") });
    }
    Ok(user)
}

async fn keeps_an_administrator(tx: &Tx, user: &UserRecord) -> Result<(), Error> {
    if user.is_admin && user.is_active && !users::has_other_administrator(tx, user.id).await? {
        return Err(held("is the last administrator who may sign in"));
    }
    Ok(())
}

fn held(why: &str) -> Error {
    Error::Field { field: "name", problem: format!("cannot go: the account {why}") }
}

/// The first ten of a list, in words.
pub(crate) fn listed(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(10));
    let rest = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("{}{rest}", shown.join(", "))
}
