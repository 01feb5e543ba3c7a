//! Protected branches and tags: what a repository's administrators set, and what that means for one change of one ref.
//! Create, move and delete are judged each by itself. Nobody stands above a protection; who may change it, changes it.

use base::name::{OwnerName, RefName};
use store::protections::{self, ProtectionRecord, ProtectionSet};
use store::{Query, users};

use crate::events::{Happened, record};
use crate::ref_pattern::RefPattern;
use crate::{Access, Error, Forge, RepoAdmin};

/// Protections of one repository.
const MOST: usize = 100;
/// People that one protection names.
const MOST_USERS: usize = 50;

/// What a protection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectedKind {
    /// Branches.
    Branch,
    /// Tags.
    Tag,
}

/// Who may push, besides the people that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushLevel {
    /// Nobody.
    Nobody,
    /// Whoever may push to the repository.
    Write,
    /// Whoever maintains or administers the repository.
    Maintain,
    /// Whoever administers the repository.
    Admin,
}

/// A protection as pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Its id.
    pub id: i64,
    /// What it is for.
    pub kind: ProtectedKind,
    /// The names that it is for.
    pub pattern: RefPattern,
    /// Who may push.
    pub level: PushLevel,
    /// Who may push as well, by name.
    pub users: Vec<OwnerName>,
    /// Says whether they may make one of these names.
    pub may_create: bool,
    /// Says whether they may move it to where it does not follow from.
    pub may_force: bool,
    /// Says whether they may delete it.
    pub may_delete: bool,
    /// Says whether what comes in must be signed.
    pub require_signed: bool,
    pub(crate) user_ids: Vec<i64>,
}

/// A protection to make, as a form has it.
#[derive(Clone, Debug, Default)]
pub struct NewProtection {
    /// `branch` or `tag`.
    pub kind: String,
    /// The pattern, unparsed.
    pub pattern: String,
    /// `nobody`, `write`, `maintain` or `admin`.
    pub level: String,
    /// Names with commas or spaces between them.
    pub users: String,
    /// Says whether they may make one of these names.
    pub may_create: bool,
    /// Says whether they may move it to where it does not follow from.
    pub may_force: bool,
    /// Says whether they may delete it.
    pub may_delete: bool,
    /// Says whether what comes in must be signed.
    pub require_signed: bool,
}

impl ProtectedKind {
    /// As it is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
        }
    }

    fn of(stored: &str) -> Option<Self> {
        [Self::Branch, Self::Tag].into_iter().find(|kind| kind.as_str() == stored)
    }
}

impl PushLevel {
    /// As it is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    fn of(stored: &str) -> Option<Self> {
        [Self::Nobody, Self::Write, Self::Maintain, Self::Admin].into_iter().find(|level| level.as_str() == stored)
    }

    /// The least right that is enough; `None` when none is.
    const fn least(self) -> Option<Access> {
        match self {
            Self::Nobody => None,
            Self::Write => Some(Access::Write),
            Self::Maintain => Some(Access::Maintain),
            Self::Admin => Some(Access::Admin),
        }
    }
}

/// One change of one ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    /// To where it follows from what was there.
    Forward,
    /// To anywhere else; any move of a tag.
    Force,
    Delete,
}

impl Protection {
    /// What is stored, as it is understood. What is not understood lets nobody push.
    fn of(stored: ProtectionRecord) -> Option<Self> {
        let ProtectionRecord { id, set, .. } = stored;
        Some(Self {
            id,
            kind: ProtectedKind::of(&set.kind)?,
            pattern: RefPattern::parse(&set.pattern).ok()?,
            level: PushLevel::of(&set.push_level).unwrap_or(PushLevel::Nobody),
            users: Vec::new(),
            may_create: set.may_create,
            may_force: set.may_force,
            may_delete: set.may_delete,
            require_signed: set.require_signed,
            user_ids: set.user_ids,
        })
    }

    /// The protection that holds for a ref: of those whose pattern fits, the closest one alone; of equally close ones
    /// the oldest.
    pub(crate) fn closest<'p>(all: &'p [Self], name: &RefName) -> Option<&'p Self> {
        let kind = if name.is_branch() { ProtectedKind::Branch } else { ProtectedKind::Tag };
        let fitting = all.iter().filter(|one| one.kind == kind && one.pattern.fits(name.short()));
        // The last of equals would win: the oldest is the last this way.
        fitting.rev().max_by_key(|one| one.pattern.closeness())
    }

    /// Says why `user_id`, who has this right in the repository, may not do this.
    pub(crate) fn judge(&self, change: Change, user_id: Option<i64>, access: Access) -> Result<(), &'static str> {
        let is_of_level = self.level.least().is_some_and(|least| access >= least);
        if access < Access::Write || !(is_of_level || user_id.is_some_and(|id| self.user_ids.contains(&id))) {
            return Err(match self.level {
                _ if !self.user_ids.is_empty() => "only certain people may push here",
                PushLevel::Nobody => "nobody may push here",
                PushLevel::Maintain => "only maintainers and administrators of the repository may push here",
                PushLevel::Write | PushLevel::Admin => "only administrators of the repository may push here",
            });
        }
        match change {
            Change::Create if !self.may_create => Err("none of this name may be made"),
            Change::Force if !self.may_force && self.kind == ProtectedKind::Tag => Err("it may not be moved"),
            Change::Force if !self.may_force => Err("only fast-forwards are taken; fetch and rebase or merge first"),
            Change::Delete if !self.may_delete => Err("it may not be deleted"),
            _ => Ok(()),
        }
    }

    /// What the audit log says of it.
    fn told(&self) -> String {
        let word = |is_set: bool, word: &'static str| if is_set { word } else { "" };
        let users: Vec<_> = self.user_ids.iter().map(i64::to_string).collect();
        let text = format!(
            "push={} users={}{}{}{}{}",
            self.level.as_str(),
            users.join("+"),
            word(self.may_create, " create"),
            word(self.may_force, " force"),
            word(self.may_delete, " delete"),
            word(self.require_signed, " signed"),
        );
        text
    }
}

impl Forge {
    /// What is protected in the repository, oldest first.
    pub async fn protections(&self, repo: &RepoAdmin) -> Result<Vec<Protection>, Error> {
        let database = self.0.store.read();
        let mut found = protections_of(&database, repo.0.id).await?;
        for protection in &mut found {
            for id in &protection.user_ids {
                if let Some(user) = users::by_id(&database, *id).await? {
                    protection.users.push(OwnerName::parse(&user.name)?);
                }
            }
        }
        Ok(found)
    }

    /// Protects branches or tags. Fails with `Field`.
    pub async fn protect(&self, repo: &RepoAdmin, new: &NewProtection) -> Result<(), Error> {
        let set = self.parsed(new).await?;
        let tx = self.0.store.begin().await?;
        if protections::of_repo(&tx, repo.0.id).await?.len() >= MOST {
            return Err(Error::Field { field: "pattern", problem: format!("is one too many; {MOST} is the most") });
        }
        let id = protections::insert(&tx, repo.0.id, &set, self.now()).await.map_err(taken)?;
        self.tell_protection(&tx, repo, "protection.added", &ProtectionRecord { id, set, created: self.now() }).await?;
        Ok(tx.commit().await?)
    }

    /// Changes what a protection says. Fails with `Field`, and with `NotFound` when the repository has no such one.
    pub async fn change_protection(&self, repo: &RepoAdmin, id: i64, new: &NewProtection) -> Result<(), Error> {
        let set = self.parsed(new).await?;
        let tx = self.0.store.begin().await?;
        if !protections::update(&tx, repo.0.id, id, &set).await.map_err(taken)? {
            return Err(Error::NotFound);
        }
        self.tell_protection(&tx, repo, "protection.changed", &ProtectionRecord { id, set, created: self.now() })
            .await?;
        Ok(tx.commit().await?)
    }

    /// Protects them no longer. Fails with `NotFound` when the repository has no such protection.
    pub async fn unprotect(&self, repo: &RepoAdmin, id: i64) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        let (kind, pattern) = protections::remove(&tx, repo.0.id, id).await?.ok_or(Error::NotFound)?;
        let by = repo.0.by.clone().ok_or(Error::SignInNeeded)?;
        let subject = format!("{kind} {pattern}");
        let path = repo.0.summary.path.to_string();
        let happened = Happened::Noted {
            kind: "protection.removed",
            repo: Some((repo.0.id, &path)),
            subject: &subject,
            old: None,
            new: None,
        };
        record(&tx, self.now(), &by, happened).await?;
        Ok(tx.commit().await?)
    }

    async fn tell_protection(
        &self,
        tx: &store::Tx,
        repo: &RepoAdmin,
        kind: &'static str,
        stored: &ProtectionRecord,
    ) -> Result<(), Error> {
        let by = repo.0.by.clone().ok_or(Error::SignInNeeded)?;
        let subject = format!("{} {}", stored.set.kind, stored.set.pattern);
        let told = Protection::of(stored.clone()).map(|protection| protection.told());
        let path = repo.0.summary.path.to_string();
        let happened = Happened::Noted {
            kind,
            repo: Some((repo.0.id, &path)),
            subject: &subject,
            old: None,
            new: told.as_deref(),
        };
        Ok(record(tx, self.now(), &by, happened).await?)
    }

    async fn parsed(&self, new: &NewProtection) -> Result<ProtectionSet, Error> {
        let field = |field: &'static str, problem: String| Error::Field { field, problem };
        let kind = ProtectedKind::of(&new.kind).ok_or_else(|| field("kind", "is neither branch nor tag".into()))?;
        let pattern = RefPattern::parse(&new.pattern).map_err(|problem| field("pattern", problem))?;
        let level = PushLevel::of(&new.level).ok_or_else(|| field("level", "is not one of those offered".into()))?;
        let database = self.0.store.read();
        let mut user_ids = Vec::new();
        for name in new.users.split([',', ' ', '\n', '\r', '\t']).filter(|name| !name.is_empty()) {
            let key = OwnerName::parse(name).ok().map(|name| name.key());
            let user = match &key {
                Some(key) => users::by_key(&database, key).await?,
                None => None,
            };
            let id = user
                .ok_or_else(|| field("users", format!("hold `{}`, whom nobody knows", base::name::shown(name))))?
                .id;
            if !user_ids.contains(&id) {
                user_ids.push(id);
            }
        }
        if user_ids.len() > MOST_USERS {
            return Err(field("users", format!("are too many; {MOST_USERS} is the most")));
        }
        user_ids.sort_unstable();
        Ok(ProtectionSet {
            kind: kind.as_str().into(),
            pattern: pattern.as_str().into(),
            push_level: level.as_str().into(),
            may_create: new.may_create,
            may_force: new.may_force,
            may_delete: new.may_delete,
            require_signed: new.require_signed,
            user_ids,
        })
    }
}

/// What is protected in a repository, without the names of people.
pub(crate) async fn protections_of(database: &impl Query, repo_id: i64) -> Result<Vec<Protection>, Error> {
    Ok(protections::of_repo(database, repo_id).await?.into_iter().filter_map(Protection::of).collect())
}

fn taken(error: store::StoreError) -> Error {
    if error.is_unique("protections.pattern") {
        Error::Field { field: "pattern", problem: "is protected already; change that protection".into() }
    } else {
        error.into()
    }
}

#[cfg(test)]
#[path = "protection_test.rs"]
mod tests;
