//! Who asks, and what they may do. The only rights logic there is: every door turns its caller into an [`Actor`] and
//! every use case asks here.

use std::net::IpAddr;

use base::Secret;
use base::name::OwnerName;
use store::repos::Sight;

use crate::{Error, RepoSummary, Visibility};

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
    /// What the user came with, so that it can be asked again whether it still holds.
    pub(crate) credential: Credential,
    /// Where the request came from.
    pub(crate) origin: Origin,
}

/// Where a request came from, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address; `None` for the host's own shell.
    pub address: Option<IpAddr>,
    /// The request's name in the server's log.
    pub request: Option<String>,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self { address: Some(address), request: None }
    }
}

/// Who did something, as the audit log tells it. The default is the host's own shell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    pub(crate) id: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) origin: Origin,
}

impl User {
    /// A user for a fixture of pages. The forge makes its own, from credentials that it has checked.
    pub const fn new(id: i64, name: OwnerName, is_admin: bool, scope: Scope) -> Self {
        Self {
            id,
            name,
            is_admin,
            scope,
            credential: Credential::Password(Secret::new(String::new())),
            origin: Origin { address: None, request: None },
        }
    }

    pub(crate) fn who(&self) -> Who {
        Who { id: Some(self.id), name: Some(self.name.to_string()), origin: self.origin.clone() }
    }
}

/// What a user came with.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Name and password, for this one request; the password by its hash.
    Password(Secret<String>),
    /// A session, by its token's hash.
    Session(String),
    /// A token, by its hash.
    Token(String),
    /// An SSH key, by its fingerprint.
    Key(String),
    /// An SSH certificate, by its authority's fingerprint and the second at which it ends.
    Certificate {
        /// The authority.
        authority: String,
        /// Seconds since 1970; the certificate is good until just before.
        ends: u64,
    },
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
    /// The same actor, known to come from there.
    #[must_use]
    pub fn coming_from(self, origin: impl Into<Origin>) -> Self {
        match self {
            Self::Anonymous => Self::Anonymous,
            Self::User(user) => Self::User(User { origin: origin.into(), ..user }),
        }
    }

    /// The user, when one is signed in.
    pub const fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user),
        }
    }

    /// The user, for what only a session may do (`action`, as in "change keys"). Fails with `SignInNeeded` or `Denied`.
    pub(crate) fn in_full(&self, action: &str) -> Result<&User, Error> {
        let user = self.user().ok_or(Error::SignInNeeded)?;
        if user.scope < Scope::Full {
            return Err(Error::Denied { action: format!("{action} with a token or a key") });
        }
        Ok(user)
    }

    /// The administrator, for what only they may do. To everyone else it does not exist.
    pub(crate) fn as_administrator(&self, action: &str) -> Result<&User, Error> {
        if !self.user().is_some_and(|user| user.is_admin) {
            return Err(Error::NotFound);
        }
        self.in_full(action)
    }

    /// Which repositories a list may show.
    pub(crate) fn sight(&self) -> Sight {
        let user = self.user();
        Sight {
            has_internal: user.is_some(),
            has_all: user.is_some_and(|user| user.is_admin),
            owner_id: user.map(|user| user.id),
        }
    }
}

impl Scope {
    const fn ceiling(self) -> Access {
        match self {
            Self::Read => Access::Read,
            Self::Write => Access::Write,
            Self::Full => Access::Admin,
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
        let Actor::User(user) = actor else {
            return if visibility == Visibility::Public { Self::Read } else { Self::None };
        };
        let granted = match visibility {
            _ if user.is_admin || user.id == owner_id => Self::Admin,
            Visibility::Public | Visibility::Internal => Self::Read,
            Visibility::Private => Self::None,
        };
        granted.min(user.scope.ceiling())
    }
}

/// Proof that the actor may read this repository. Got from [`crate::Forge::repo`] alone.
#[derive(Clone, Debug)]
pub struct RepoRead {
    pub(crate) id: i64,
    pub(crate) summary: RepoSummary,
    pub(crate) access: Access,
    /// Whose proof it is.
    pub(crate) by: Option<Who>,
}

/// Proof that the actor may push to this repository.
#[derive(Clone, Debug)]
pub struct RepoWrite(pub(crate) RepoRead);

/// Proof that the actor may administer this repository.
#[derive(Clone, Debug)]
pub struct RepoAdmin(pub(crate) RepoRead);

impl RepoWrite {
    /// What lists show of it.
    pub const fn summary(&self) -> &RepoSummary {
        self.0.summary()
    }
}

impl RepoRead {
    /// What lists show of it.
    pub const fn summary(&self) -> &RepoSummary {
        &self.summary
    }

    /// Fails with [`crate::Error::Denied`] when the actor may read but not push.
    pub fn for_write(self) -> Result<RepoWrite, Error> {
        if self.access >= Access::Write { Ok(RepoWrite(self)) } else { Err(self.denied("push to")) }
    }

    /// Fails with [`crate::Error::Denied`] when the actor may not administer it.
    pub fn for_admin(self) -> Result<RepoAdmin, Error> {
        if self.access >= Access::Admin { Ok(RepoAdmin(self)) } else { Err(self.denied("administer")) }
    }

    fn denied(&self, verb: &str) -> Error {
        Error::Denied { action: format!("{verb} {}", self.summary.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: i64 = 1;

    fn user(id: i64, is_admin: bool, scope: Scope) -> Actor {
        Actor::User(User {
            id,
            name: OwnerName::parse("someone").unwrap(),
            is_admin,
            scope,
            credential: Credential::Password(Secret::new(String::new())),
            origin: Origin::default(),
        })
    }

    #[test]
    fn rights_follow_actor_visibility_and_scope() {
        use Access::{Admin, None, Read, Write};
        let who = |name: &str, scope| match name {
            "stranger" => user(2, false, scope),
            "owner" => user(OWNER, false, scope),
            _ => user(3, true, scope),
        };
        // public, internal, private
        let table = [
            ("stranger", Scope::Read, [Read, Read, None]),
            ("stranger", Scope::Write, [Read, Read, None]),
            ("stranger", Scope::Full, [Read, Read, None]),
            ("owner", Scope::Read, [Read, Read, Read]),
            ("owner", Scope::Write, [Write, Write, Write]),
            ("owner", Scope::Full, [Admin, Admin, Admin]),
            ("administrator", Scope::Read, [Read, Read, Read]),
            ("administrator", Scope::Write, [Write, Write, Write]),
            ("administrator", Scope::Full, [Admin, Admin, Admin]),
        ];
        let kinds = [Visibility::Public, Visibility::Internal, Visibility::Private];
        for (name, scope, expected) in table {
            let found = kinds.map(|visibility| Access::of(&who(name, scope), OWNER, visibility));
            assert_eq!(found, expected, "{name} {scope:?}");
        }
        let anonymous = kinds.map(|visibility| Access::of(&Actor::Anonymous, OWNER, visibility));
        assert_eq!(anonymous, [Read, None, None]);
    }

    #[test]
    fn a_list_never_shows_more_than_the_rights() {
        let actors = [
            Actor::Anonymous,
            user(2, false, Scope::Read),
            user(OWNER, false, Scope::Read),
            user(3, true, Scope::Full),
        ];
        for actor in actors {
            let sight = actor.sight();
            for visibility in [Visibility::Public, Visibility::Internal, Visibility::Private] {
                let is_listed = visibility == Visibility::Public
                    || (visibility == Visibility::Internal && sight.has_internal)
                    || sight.owner_id == Some(OWNER)
                    || sight.has_all;
                assert_eq!(
                    is_listed,
                    Access::of(&actor, OWNER, visibility) >= Access::Read,
                    "{actor:?} {visibility:?}"
                );
            }
        }
    }

    #[test]
    fn tokens_manage_nothing_and_administration_does_not_exist_for_others() {
        assert!(matches!(Actor::Anonymous.in_full("x"), Err(Error::SignInNeeded)));
        assert!(matches!(user(1, true, Scope::Write).in_full("x"), Err(Error::Denied { .. })));
        assert!(matches!(Actor::Anonymous.as_administrator("x"), Err(Error::NotFound)));
        assert!(matches!(user(1, false, Scope::Full).as_administrator("x"), Err(Error::NotFound)));
        assert!(matches!(user(1, true, Scope::Write).as_administrator("x"), Err(Error::Denied { .. })));
        assert!(user(1, true, Scope::Full).as_administrator("x").is_ok());
    }
}
