//! Accounts, made by the administrator. To everyone else the administration does not exist.

use base::Secret;
use base::name::OwnerName;
use store::users::{self, NewUserRecord, OwnerKind, UserRecord};
use store::{ceremonies, sessions};

use crate::access::Who;
use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, Need, SignedIn, UserView, owners, passwords};

/// An account to make.
#[derive(Debug)]
pub struct NewUser {
    /// The name to sign in with, unparsed.
    pub name: String,
    /// The name to show; may be empty.
    pub full_name: String,
    /// At least 12 characters.
    pub password: Secret<String>,
    /// Says whether the user shall administer the site.
    pub is_admin: bool,
}

impl Forge {
    /// All accounts, by name. For administrators; `NotFound` for everyone else.
    pub async fn users(&self, actor: &Actor) -> Result<Vec<UserView>, Error> {
        actor.administers(Need::ReadAdmin, "see users")?;
        users::people(&self.0.store.read()).await?.into_iter().map(view).collect()
    }

    /// Makes an account. For administrators. Fails with `ProofNeeded` when it shall be one of an administrator.
    pub async fn create_user(&self, actor: &Actor, new: NewUser) -> Result<UserView, Error> {
        let user = actor.administers(Need::WriteAdmin, "make users")?;
        if new.is_admin {
            self.proved_if_session(user).await?;
        }
        let by = user.who();
        let name = OwnerName::parse(new.name.trim())?;
        let full_name = one_line("full_name", &new.full_name, 0, 100)?;
        passwords::judge(&new.password)?;
        let hash = self.0.passwords.hash(&new.password).await?;
        let tx = self.0.store.begin().await?;
        owners::is_free(&tx, &name, self.now()).await?;
        let stored = NewUserRecord {
            kind: OwnerKind::User,
            name: name.as_str(),
            name_key: &name.key(),
            full_name: &full_name,
            password_hash: Some(&hash),
            is_admin: new.is_admin,
            created: self.now(),
        };
        let id = users::insert(&tx, &stored).await.map_err(owners::taken(&name))?;
        let event = Happened::UserCreated { name: name.as_str(), is_admin: new.is_admin };
        record(&tx, self.now(), &by, event).await?;
        let user = users::by_id(&tx, id).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        view(user)
    }

    /// Changes the actor's own password; the other sessions of the actor end, and this one goes on under another token.
    /// Fails with `Field` on `old` when that is not the password, and with `TooManyAttempts` as [`Forge::sign_in`] does.
    pub async fn change_password(
        &self,
        actor: &Actor,
        old: &Secret<String>,
        new: &Secret<String>,
    ) -> Result<SignedIn, Error> {
        let user = actor.in_full("change the password")?;
        passwords::judge(new)?;
        self.judge_own_password(user, old, "old").await?;
        let hash = self.0.passwords.hash(new).await?;
        let tx = self.0.store.begin().await?;
        users::set_password(&tx, user.id, &hash).await?;
        let signed_in = self.after_change(&tx, user).await?;
        record(&tx, self.now(), &user.who(), Happened::PasswordChanged { name: user.name.as_str() }).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// All accounts, by name. For the host's own shell.
    pub async fn all_users(&self) -> Result<Vec<UserView>, Error> {
        users::people(&self.0.store.read()).await?.into_iter().map(view).collect()
    }

    /// Gives an account another password and ends its sessions. For the host's own shell. Fails with `NotFound`, and
    /// with `Field` on `password`.
    pub async fn reset_password(&self, name: &str, password: &Secret<String>) -> Result<(), Error> {
        let key = OwnerName::parse(name)?.key();
        passwords::judge(password)?;
        let is_person = |user: &UserRecord| OwnerName::parse(&user.name).is_ok_and(|name| name.key() == key);
        let hash = self.0.passwords.hash(password).await?;
        let tx = self.0.store.begin().await?;
        let user = users::people(&tx).await?.into_iter().find(is_person).ok_or(Error::NotFound)?;
        users::set_password(&tx, user.id, &hash).await?;
        sessions::remove_of_user(&tx, user.id, None).await?;
        ceremonies::end_of_user(&tx, user.id).await?;
        record(&tx, self.now(), &Who::default(), Happened::PasswordReset { name: &user.name }).await?;
        Ok(tx.commit().await?)
    }

    /// Makes the first administrator, or finds that one is there: `true` when it was made. For the host's own shell.
    pub async fn ensure_administrator(&self, name: &str, password: &Secret<String>) -> Result<bool, Error> {
        if self.has_administrator().await? {
            return Ok(false);
        }
        let name = OwnerName::parse(name)?;
        passwords::judge(password)?;
        let hash = self.0.passwords.hash(password).await?;
        let tx = self.0.store.begin().await?;
        // Another installer may have come first while this one hashed.
        if users::has_administrator(&tx).await? {
            return Ok(false);
        }
        let stored = NewUserRecord {
            kind: OwnerKind::User,
            name: name.as_str(),
            name_key: &name.key(),
            full_name: "",
            password_hash: Some(&hash),
            is_admin: true,
            created: self.now(),
        };
        users::insert(&tx, &stored).await.map_err(owners::taken(&name))?;
        let event = Happened::UserCreated { name: name.as_str(), is_admin: true };
        record(&tx, self.now(), &Who::default(), event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Says whether the site has an administrator.
    pub async fn has_administrator(&self) -> Result<bool, Error> {
        Ok(users::has_administrator(&self.0.store.read()).await?)
    }
}

pub(crate) fn view(user: UserRecord) -> Result<UserView, Error> {
    let UserRecord { name, full_name, is_admin, is_active, created, seen, .. } = user;
    let full_name = if full_name.is_empty() { name.clone() } else { full_name };
    Ok(UserView { name: OwnerName::parse(&name)?, full_name, is_admin, is_active, created, seen })
}

/// A form's text, trimmed: one line of `least` to `most` characters.
pub(crate) fn one_line(field: &'static str, text: &str, least: usize, most: usize) -> Result<String, Error> {
    let text = text.trim();
    let count = text.chars().count();
    let problem = if text.chars().any(char::is_control) {
        "must be one line of plain text".into()
    } else if count < least {
        "must not be empty".into()
    } else if count > most {
        format!("must have at most {most} characters")
    } else {
        return Ok(text.into());
    };
    Err(Error::Field { field, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_form_is_one_line_of_bounded_length() {
        assert_eq!(one_line("title", "  a b ", 1, 3).unwrap(), "a b");
        for refused in ["", "  ", "abcd", "a\nb", "a\u{1b}b"] {
            assert!(one_line("title", refused, 1, 3).is_err(), "{refused:?}");
        }
        assert_eq!(one_line("description", "", 0, 3).unwrap(), "");
    }
}
