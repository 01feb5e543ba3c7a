//! Proofs of a right in one repository. They are made by a fetch alone, so that nobody can forget to ask.

use crate::access::Who;
use crate::{Access, Error, RepoSummary};

/// Proof that the actor may read this repository. Got from [`crate::Forge::repo`] alone.
#[derive(Clone, Debug)]
pub struct RepoRead {
    pub(crate) id: i64,
    pub(crate) owner_id: i64,
    pub(crate) summary: RepoSummary,
    pub(crate) access: Access,
    /// Says whether everyone may read it; who reads it is a matter of record else.
    pub(crate) is_open_to_all: bool,
    /// Whose proof it is.
    pub(crate) by: Option<Who>,
}

/// Proof that the actor may sort issues and pull requests.
#[derive(Clone, Debug)]
pub struct RepoTriage(pub(crate) RepoRead);

/// Proof that the actor may push to this repository.
#[derive(Clone, Debug)]
pub struct RepoWrite(pub(crate) RepoRead);

/// Proof that the actor may change what this repository says of itself.
#[derive(Clone, Debug)]
pub struct RepoMaintain(pub(crate) RepoRead);

/// Proof that the actor may administer this repository.
#[derive(Clone, Debug)]
pub struct RepoAdmin(pub(crate) RepoRead);

impl RepoRead {
    /// What lists show of it.
    pub const fn summary(&self) -> &RepoSummary {
        &self.summary
    }

    /// Its number, which no other repository ever has.
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// What the actor may do with it; at least [`Access::Read`].
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Fails with [`crate::Error::Denied`] when the actor may read but not sort.
    pub fn for_triage(self) -> Result<RepoTriage, Error> {
        self.at_least(Access::Triage, "sort issues of").map(RepoTriage)
    }

    /// Fails with [`crate::Error::Denied`] when the actor may read but not push.
    pub fn for_write(self) -> Result<RepoWrite, Error> {
        self.at_least(Access::Write, "push to").map(RepoWrite)
    }

    /// Fails with [`crate::Error::Denied`] when the actor may not maintain it.
    pub fn for_maintain(self) -> Result<RepoMaintain, Error> {
        self.at_least(Access::Maintain, "maintain").map(RepoMaintain)
    }

    /// Fails with [`crate::Error::Denied`] when the actor may not administer it.
    pub fn for_admin(self) -> Result<RepoAdmin, Error> {
        self.at_least(Access::Admin, "administer").map(RepoAdmin)
    }

    fn at_least(self, least: Access, verb: &str) -> Result<Self, Error> {
        if self.access >= least {
            return Ok(self);
        }
        Err(Error::Denied { action: format!("{verb} {}", self.summary.path) })
    }

    pub(crate) fn who(&self) -> Result<&Who, Error> {
        self.by.as_ref().ok_or(Error::SignInNeeded)
    }
}

impl RepoWrite {
    /// What lists show of it.
    pub const fn summary(&self) -> &RepoSummary {
        self.0.summary()
    }
}

/// A higher proof proves the lower ones.
macro_rules! reads {
    ($($proof:ident),*) => {$(
        impl AsRef<RepoRead> for $proof {
            fn as_ref(&self) -> &RepoRead {
                &self.0
            }
        }
    )*};
}
reads!(RepoTriage, RepoWrite, RepoMaintain, RepoAdmin);
