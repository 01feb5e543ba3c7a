//! Who asks, and what they may do. The only rights logic there is: every door turns its caller into an [`Actor`] and
//! every use case asks here. Judges facts that others fetched; fetches none.

use std::net::IpAddr;

use base::Secret;
use base::name::OwnerName;
use store::repos::{Asker, Sight};

use crate::{Error, Need, Scope, Visibility};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Nobody signed in.
    Anonymous,
    /// A signed-in user.
    User(User),
    /// A machine with a deploy key, and no user behind it.
    DeployKey(DeployKey),
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

/// A key that opens the repositories that it was added to.
#[derive(Clone, Debug)]
pub struct DeployKey {
    /// `SHA256:…`.
    pub fingerprint: String,
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
    /// A user's name, or a deploy key's fingerprint.
    pub(crate) name: Option<String>,
    pub(crate) origin: Origin,
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

impl Actor {
    /// The same actor, known to come from there.
    #[must_use]
    pub fn coming_from(self, origin: impl Into<Origin>) -> Self {
        match self {
            Self::Anonymous => Self::Anonymous,
            Self::User(user) => Self::User(User { origin: origin.into(), ..user }),
            Self::DeployKey(key) => Self::DeployKey(DeployKey { origin: origin.into(), ..key }),
        }
    }

    /// The user, when one is signed in.
    pub const fn user(&self) -> Option<&User> {
        match self {
            Self::User(user) => Some(user),
            Self::Anonymous | Self::DeployKey(_) => None,
        }
    }

    /// Who it is, in words: a user's name, or a deploy key's fingerprint.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user.name.as_str()),
            Self::DeployKey(key) => Some(&key.fingerprint),
        }
    }

    /// Says whether nobody is known to be there: neither a user nor a key.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// The actor as the audit log tells of it; `None` for nobody.
    pub(crate) fn who(&self) -> Option<Who> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user.who()),
            Self::DeployKey(key) => {
                Some(Who { id: None, name: Some(key.fingerprint.clone()), origin: key.origin.clone() })
            }
        }
    }

    /// The user, for `action` (as in "change keys"), which a token may do when it was made for `need`.
    /// Fails with `SignInNeeded` or `Denied`.
    pub(crate) fn needs(&self, need: Need, action: &str) -> Result<&User, Error> {
        self.user_when(action, |scope| scope.holds(need))
    }

    /// The user, for what only a session may do. Fails with `SignInNeeded` or `Denied`.
    pub(crate) fn in_full(&self, action: &str) -> Result<&User, Error> {
        self.user_when(action, |scope| scope == Scope::Full)
    }

    /// The user, for what a session may do, or who gave the password with this very request.
    /// Fails with `SignInNeeded` or `Denied`.
    pub(crate) fn with_password(&self, action: &str) -> Result<&User, Error> {
        self.user_when(action, |scope| matches!(scope, Scope::Full | Scope::Password))
    }

    /// The administrator, for what only they may do, and only in a session. To everyone else it does not exist.
    pub(crate) fn as_administrator(&self, action: &str) -> Result<&User, Error> {
        self.known_administrator()?;
        self.in_full(action)
    }

    /// The administrator, for what a token of theirs may do when it was made for `need`. To everyone else it does not
    /// exist.
    pub(crate) fn administers(&self, need: Need, action: &str) -> Result<&User, Error> {
        self.known_administrator()?;
        self.needs(need, action)
    }

    fn known_administrator(&self) -> Result<(), Error> {
        if self.user().is_some_and(|user| user.is_admin) { Ok(()) } else { Err(Error::NotFound) }
    }

    fn user_when(&self, action: &str, is_enough: impl FnOnce(Scope) -> bool) -> Result<&User, Error> {
        let user = match self {
            Self::User(user) => user,
            Self::Anonymous => return Err(Error::SignInNeeded),
            Self::DeployKey(_) => return Err(Error::Denied { action: format!("{action} with a deploy key") }),
        };
        match user.scope {
            scope if is_enough(scope) => Ok(user),
            Scope::Token { .. } => Err(Error::Denied { action: format!("{action} with this token") }),
            Scope::Key => Err(Error::Denied { action: format!("{action} with a key") }),
            Scope::Full | Scope::Password => Err(Error::Denied { action: format!("{action} with a password alone") }),
        }
    }

    /// Whom the store looks up grants for.
    pub(crate) fn asker(&self) -> Asker<'_> {
        match self {
            Self::Anonymous => Asker::default(),
            Self::User(user) => {
                let token_id = if let Scope::Token { limited, .. } = user.scope { limited } else { None };
                Asker { user_id: Some(user.id), key: None, token_id }
            }
            Self::DeployKey(key) => Asker { user_id: None, key: Some(&key.fingerprint), token_id: None },
        }
    }

    /// Which repositories a list may show: those in which [`Facts::judge`] gives at least [`Access::Read`].
    pub(crate) fn sight(&self, requires_sign_in: bool) -> Sight<'_> {
        let user = self.user();
        Sight {
            asker: self.asker(),
            has_all: user.is_some_and(|user| user.is_admin),
            has_internal: user.is_some(),
            has_public: !requires_sign_in && !matches!(self, Self::DeployKey(_)),
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
    /// Sort issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Change what the repository says of itself, and its default branch.
    Maintain,
    /// Change who may do what, rename, transfer, delete.
    Admin,
}

impl Access {
    /// The levels that can be granted, lowest first.
    pub const GRANTS: [Self; 5] = [Self::Read, Self::Triage, Self::Write, Self::Maintain, Self::Admin];

    /// The level's name, as in `read`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The level that can be granted under this name.
    pub fn granted(name: &str) -> Option<Self> {
        Self::GRANTS.into_iter().find(|level| level.name() == name)
    }

    /// What is stored; a number that this version does not know grants nothing.
    pub(crate) fn of_number(number: i64) -> Self {
        Self::GRANTS.into_iter().find(|level| level.number() == number).unwrap_or(Self::None)
    }

    pub(crate) const fn number(self) -> i64 {
        self as i64
    }
}

/// All that is known of an actor and a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The repository's own.
    pub(crate) visibility: Visibility,
    /// The user or organisation that owns it.
    pub(crate) owner_id: i64,
    /// The visibility of the organisation that owns it; `None` when a user does.
    pub(crate) organisation: Option<Visibility>,
    /// Says whether the actor is in a team of that organisation.
    pub(crate) is_member: bool,
    /// The highest that a team grants.
    pub(crate) team: Access,
    /// What the actor was granted as a collaborator.
    pub(crate) collaborator: Access,
    /// What the actor's deploy key opens.
    pub(crate) key: Access,
    /// Says whether the actor's limited token is for this repository.
    pub(crate) is_listed: bool,
    /// Says whether the site shows nothing to who has not signed in.
    pub(crate) requires_sign_in: bool,
}

/// What an actor may do, and whether the credential is the reason that it is not more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// What whoever asks may know of: [`Access::None`] means that it is absent.
    pub(crate) granted: Access,
    /// What the credential leaves of it.
    pub(crate) access: Access,
}

impl Facts {
    /// The rights of `actor`.
    pub(crate) fn judge(&self, actor: &Actor) -> Judgement {
        let granted = self.granted(actor);
        Judgement { granted, access: granted.min(ceiling(actor)) }
    }

    fn granted(&self, actor: &Actor) -> Access {
        let everyone = if self.is_open_to_all() { Access::Read } else { Access::None };
        match actor {
            Actor::Anonymous => everyone,
            Actor::DeployKey(_) => self.key,
            Actor::User(user) => match user.scope {
                Scope::Token { limited: Some(_), .. } if !self.is_listed => everyone,
                _ if user.is_admin || user.id == self.owner_id => Access::Admin,
                _ => self.by_visibility().max(self.team).max(self.collaborator),
            },
        }
    }

    /// Says whether nobody needs a right to read it: the repository, its organisation and the site all let everyone.
    pub(crate) fn is_open_to_all(&self) -> bool {
        !self.requires_sign_in && self.outside() == Visibility::Public
    }

    /// What every user may do.
    fn by_visibility(&self) -> Access {
        let seen = if self.is_member { self.visibility } else { self.outside() };
        if seen == Visibility::Private { Access::None } else { Access::Read }
    }

    /// How those see it who are not of the organisation: never more than the organisation itself.
    fn outside(&self) -> Visibility {
        match (self.visibility, self.organisation.unwrap_or(Visibility::Public)) {
            (Visibility::Private, _) | (_, Visibility::Private) => Visibility::Private,
            (Visibility::Internal, _) | (_, Visibility::Internal) => Visibility::Internal,
            (Visibility::Public, Visibility::Public) => Visibility::Public,
        }
    }
}

/// The most that a credential leaves of any right in a repository.
fn ceiling(actor: &Actor) -> Access {
    let Actor::User(user) = actor else { return Access::Admin };
    match user.scope {
        Scope::Full | Scope::Password => Access::Admin,
        Scope::Key => Access::Write,
        Scope::Token { scopes, .. } if scopes.holds(Need::WriteRepository) => Access::Admin,
        Scope::Token { scopes, .. } if scopes.holds(Need::ReadRepository) => Access::Read,
        Scope::Token { .. } => Access::None,
    }
}

#[cfg(test)]
#[path = "access_test.rs"]
mod tests;
