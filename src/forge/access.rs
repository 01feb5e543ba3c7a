//! Who asks, and what they may do. The only rights logic there is: every door turns its caller into an [`Actor`] and
//! every use case asks here.

use base::name::OwnerName;

use crate::{RepoSummary, Visibility};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Nobody signed in.
    Anonymous,
    /// A signed-in user.
    User(User),
}

/// A signed-in user.
#[derive(Clone, Debug)]
pub struct User {
    /// The account.
    pub id: i64,
    /// The name to sign in with.
    pub name: OwnerName,
    /// Says whether the user administers the site.
    pub is_admin: bool,
    /// What the credential allows, at most.
    pub scope: Scope,
}

/// What a credential allows, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A token that clones and fetches.
    Read,
    /// A token that also pushes; and SSH keys.
    Write,
    /// A session: all that the user may do.
    Full,
}

impl Actor {
    /// The user, when one is signed in.
    pub const fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user),
        }
    }
}

/// What an actor may do with one repository. Ordered: each level holds those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing; not even know that it exists.
    None,
    /// Clone and browse.
    Read,
    /// Push.
    Write,
    /// Change settings, delete.
    Admin,
}

impl Access {
    /// The rights of `actor` in a repository of `owner_id` that is `visibility`, cut by the credential's scope.
    pub fn of(actor: &Actor, owner_id: i64, visibility: Visibility) -> Self {
        let _ = (actor, owner_id, visibility);
        todo!("skeleton")
    }
}

/// Proof that the actor may read this repository. Got from [`crate::Forge::repo`] alone.
#[derive(Clone, Debug)]
pub struct RepoRead {
    pub(crate) id: i64,
    pub(crate) summary: RepoSummary,
    pub(crate) access: Access,
}

/// Proof that the actor may push to this repository.
#[derive(Clone, Debug)]
pub struct RepoWrite(pub(crate) RepoRead);

/// Proof that the actor may administer this repository.
#[derive(Clone, Debug)]
pub struct RepoAdmin(pub(crate) RepoRead);

impl RepoRead {
    /// What lists show of it.
    pub const fn summary(&self) -> &RepoSummary {
        &self.summary
    }

    /// Fails with [`crate::Error::Denied`] when the actor may read but not push.
    pub fn for_write(self) -> Result<RepoWrite, crate::Error> {
        todo!("skeleton")
    }

    /// Fails with [`crate::Error::Denied`] when the actor may not administer it.
    pub fn for_admin(self) -> Result<RepoAdmin, crate::Error> {
        todo!("skeleton")
    }
}
