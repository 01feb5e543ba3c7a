//! Accounts, made by the administrator.

use base::Secret;

use crate::{Actor, Error, Forge, UserView};

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
        let _ = actor;
        todo!("skeleton")
    }

    /// Makes an account. For administrators.
    pub async fn create_user(&self, actor: &Actor, new: NewUser) -> Result<UserView, Error> {
        let _ = (actor, new);
        todo!("skeleton")
    }

    /// Lets a user sign in, or no longer; ends the user's sessions in the second case. For administrators, not on themselves.
    pub async fn set_user_active(&self, actor: &Actor, name: &str, is_active: bool) -> Result<(), Error> {
        let _ = (actor, name, is_active);
        todo!("skeleton")
    }

    /// Changes the actor's own password; the other sessions of the actor end.
    pub async fn change_password(
        &self,
        actor: &Actor,
        old: &Secret<String>,
        new: &Secret<String>,
    ) -> Result<(), Error> {
        let _ = (actor, old, new);
        todo!("skeleton")
    }

    /// Makes the first administrator, or finds that one is there: `true` when it was made. For the host's own shell.
    pub async fn ensure_administrator(&self, name: &str, password: &Secret<String>) -> Result<bool, Error> {
        let _ = (name, password);
        todo!("skeleton")
    }

    /// Says whether the site has an administrator.
    pub async fn has_administrator(&self) -> Result<bool, Error> {
        todo!("skeleton")
    }
}
