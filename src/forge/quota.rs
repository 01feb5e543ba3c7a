//! How much a repository and an owner may take, and the other numbers that an administrator of the site sets. Room is taken
//! before anything is kept, in one transaction with the sum that it is held against.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base::name::OwnerName;
use store::quotas::{self, Usage};
use store::{Query, Tx, users};
use tokio::sync::OwnedMutexGuard;

use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, RepoAdmin, RepoWrite};

/// Bytes of a MiB, which forms count in.
const MIB: i64 = 1 << 20;
/// Bytes that stay free for the database and what already runs: below it no pack is taken.
pub(crate) const LEAST_FREE: u64 = 256 << 20;
/// The most that a number in MiB may be: an exbibyte.
const MOST_MIB: i64 = 1 << 40;

/// A number that holds for the whole site; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteLimit {
    /// Bytes of one repository.
    Repository,
    /// Bytes of all repositories of one owner.
    Owner,
    /// Bytes of the pack of one push, as it comes in.
    Pack,
    /// Bytes of one object.
    Object,
    /// Refs that one push changes.
    PushRefs,
    /// Refs of one repository.
    Refs,
}

impl SiteLimit {
    /// All of them, in the order in which pages show them.
    pub const ALL: [Self; 6] = [Self::Repository, Self::Owner, Self::Pack, Self::Object, Self::PushRefs, Self::Refs];

    /// As it is stored and as forms name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository_bytes",
            Self::Owner => "owner_bytes",
            Self::Pack => "pack_bytes",
            Self::Object => "object_bytes",
            Self::PushRefs => "push_refs",
            Self::Refs => "repository_refs",
        }
    }

    /// Says whether it counts bytes, which forms have in MiB.
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::Repository | Self::Owner | Self::Pack | Self::Object)
    }

    /// What holds where nobody set anything.
    const fn default(self) -> i64 {
        match self {
            Self::PushRefs => 10_000,
            Self::Refs => 100_000,
            _ => 0,
        }
    }
}

/// The numbers of the site, as pages show them: bytes in MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteLimits {
    values: Vec<(&'static str, i64)>,
    /// Owners with a number of their own, and how many MiB it is.
    pub owners: Vec<(String, i64)>,
}

impl SiteLimits {
    /// The number in force, in MiB where it counts bytes; 0 is no limit.
    pub fn shown(&self, limit: SiteLimit) -> i64 {
        if limit.is_bytes() { self.get(limit).div_euclid(MIB) } else { self.get(limit) }
    }

    pub(crate) fn get(&self, limit: SiteLimit) -> i64 {
        let found = self.values.iter().find(|(name, _)| *name == limit.as_str());
        found.map_or(limit.default(), |(_, value)| *value)
    }

    /// The number for who counts without a sign; 0 is no limit.
    pub(crate) fn unsigned(&self, limit: SiteLimit) -> u64 {
        u64::try_from(self.get(limit)).unwrap_or(0)
    }
}

/// What a repository takes and may take, in bytes; a limit of 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepoUsage {
    /// Git objects, measured now.
    pub git_bytes: u64,
    /// Large files (LFS).
    pub lfs_bytes: u64,
    /// What the repository may take.
    pub limit: u64,
    /// Says whether that number was set for this repository.
    pub is_own_limit: bool,
    /// What its owner's repositories take together, as of their last pushes.
    pub owner_bytes: u64,
    /// What they may take together.
    pub owner_limit: u64,
}

/// One place for each repository: who measures and takes room does so alone.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<i64, Weak<tokio::sync::Mutex<()>>>>);

impl Places {
    pub(crate) async fn enter(&self, repo_id: i64) -> OwnedMutexGuard<()> {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let found = places.get(&repo_id).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                places.retain(|_, place| place.strong_count() > 0);
                let place = Arc::default();
                places.insert(repo_id, Arc::downgrade(&place));
                place
            })
        };
        place.lock_owned().await
    }
}

impl Forge {
    /// The numbers of the site. For administrators; `NotFound` for everyone else.
    pub async fn site_limits(&self, actor: &Actor) -> Result<SiteLimits, Error> {
        actor.as_administrator("see the site's limits")?;
        let database = self.0.store.read();
        let owners = quotas::owner_quotas(&database).await?;
        let owners = owners.into_iter().map(|(name, bytes)| (name, bytes.div_euclid(MIB))).collect();
        Ok(SiteLimits { owners, ..limits(&database).await? })
    }

    /// Sets the numbers of the site, each as typed: MiB where it counts bytes. Fails with `Field`.
    pub async fn set_site_limits(&self, actor: &Actor, typed: &[(SiteLimit, String)]) -> Result<(), Error> {
        let by = actor.as_administrator("change the site's limits")?.who();
        let mut parsed = Vec::with_capacity(typed.len());
        for (limit, text) in typed {
            let scale = if limit.is_bytes() { MIB } else { 1 };
            parsed.push((*limit, number(limit.as_str(), text)?.saturating_mul(scale)));
        }
        let tx = self.0.store.begin().await?;
        let before = limits(&tx).await?;
        for (limit, value) in parsed.into_iter().filter(|(limit, value)| before.get(*limit) != *value) {
            quotas::set_site_limit(&tx, limit.as_str(), value).await?;
            let new = value.to_string();
            let happened = Happened::Noted {
                kind: "limit.changed",
                repo: None,
                subject: limit.as_str(),
                old: None,
                new: Some(&new),
            };
            record(&tx, self.now(), &by, happened).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Sets what all repositories of `owner` may take together, in MiB as typed; empty goes back to the site's number.
    pub async fn set_owner_quota(&self, actor: &Actor, owner: &str, typed: &str) -> Result<(), Error> {
        let by = actor.as_administrator("change the quota of an owner")?.who();
        let bytes = optional("quota", typed)?;
        let unknown =
            || Error::Field { field: "owner", problem: "is not the name of an account or organisation".into() };
        let name = OwnerName::parse(owner.trim()).map_err(|_| unknown())?;
        let tx = self.0.store.begin().await?;
        let (id, _, owner) = users::owner_kind(&tx, &name.key()).await?.ok_or_else(unknown)?;
        quotas::set_owner_quota(&tx, id, bytes).await?;
        let new = bytes.map(|bytes| bytes.to_string());
        let happened =
            Happened::Noted { kind: "quota.changed", repo: None, subject: &owner, old: None, new: new.as_deref() };
        record(&tx, self.now(), &by, happened).await?;
        Ok(tx.commit().await?)
    }

    /// Sets what the repository may take, in MiB as typed; empty goes back to the site's number. For administrators of
    /// the site alone: an owner does not set their own quota.
    pub async fn set_repo_quota(&self, actor: &Actor, repo: &RepoAdmin, typed: &str) -> Result<(), Error> {
        // Who administers the repository sees its quota: that only the site's administrator sets it is no secret.
        let action = "change the quota of a repository";
        if !actor.user().is_some_and(|user| user.is_admin) {
            return Err(Error::Denied { action: action.to_owned() });
        }
        let by = actor.as_administrator(action)?.who();
        let bytes = optional("quota", typed)?;
        let tx = self.0.store.begin().await?;
        quotas::set_repo_quota(&tx, repo.0.id, bytes).await?;
        let (new, path) = (bytes.map(|bytes| bytes.to_string()), repo.0.summary.path.to_string());
        let repo = Some((repo.0.id, path.as_str()));
        let happened = Happened::Noted { kind: "quota.changed", repo, subject: &path, old: None, new: new.as_deref() };
        record(&tx, self.now(), &by, happened).await?;
        Ok(tx.commit().await?)
    }

    /// What the repository takes and may take.
    pub async fn usage(&self, repo: &RepoAdmin) -> Result<RepoUsage, Error> {
        let git_bytes = self.0.repositories.repo(repo.0.id)?.size_on_disk().await?;
        let database = self.0.store.read();
        let (usage, limits) = (quotas::usage(&database, repo.0.id).await?, limits(&database).await?);
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(RepoUsage {
            git_bytes,
            lfs_bytes: unsigned(usage.lfs_bytes),
            limit: unsigned(usage.quota.unwrap_or_else(|| limits.get(SiteLimit::Repository))),
            is_own_limit: usage.quota.is_some(),
            owner_bytes: unsigned(usage.owner_bytes),
            owner_limit: unsigned(usage.owner_quota.unwrap_or_else(|| limits.get(SiteLimit::Owner))),
        })
    }

    /// Takes room for `bytes` of large files (LFS) that are about to be kept; the inner error says, in a line for the
    /// user, why there is none. What is not kept after all is given back with [`Forge::give_back_lfs`].
    pub async fn take_lfs_room(&self, repo: &RepoWrite, bytes: u64) -> Result<Result<(), String>, Error> {
        let tx = self.0.store.begin().await?;
        let usage = quotas::usage(&tx, repo.0.id).await?;
        let added = i64::try_from(bytes).unwrap_or(i64::MAX);
        if let Err(why) = has_room(&usage, &limits(&tx).await?, added) {
            return Ok(Err(why));
        }
        quotas::set_lfs_bytes(&tx, repo.0.id, usage.lfs_bytes.saturating_add(added)).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Gives room for large files back.
    pub async fn give_back_lfs(&self, repo: &RepoWrite, bytes: u64) -> Result<(), Error> {
        self.give_back_room(repo.0.id, bytes).await
    }

    /// As [`Forge::give_back_lfs`], also for a repository that is gone.
    pub(crate) async fn give_back_room(&self, repo_id: i64, bytes: u64) -> Result<(), Error> {
        let tx = self.0.store.begin().await?;
        quotas::give_back_lfs(&tx, repo_id, i64::try_from(bytes).unwrap_or(i64::MAX)).await?;
        Ok(tx.commit().await?)
    }
}

/// Takes room for `added` bytes of Git objects in a repository that has `there` bytes on disk now. The inner error says
/// why there is none; then nothing is noted.
pub(crate) async fn take_git_room(tx: &Tx, repo_id: i64, there: u64, added: u64) -> Result<Result<(), String>, Error> {
    let (there, added) = (i64::try_from(there).unwrap_or(i64::MAX), i64::try_from(added).unwrap_or(i64::MAX));
    quotas::set_git_bytes(tx, repo_id, there).await?;
    if added > 0 {
        if let Err(why) = has_room(&quotas::usage(tx, repo_id).await?, &limits(tx).await?, added) {
            return Ok(Err(why));
        }
        quotas::set_git_bytes(tx, repo_id, there.saturating_add(added)).await?;
    }
    Ok(Ok(()))
}

/// Bytes of Git objects that a repository with `there` bytes on disk may still take; `None` where nothing limits them.
pub(crate) async fn room(database: &impl Query, repo_id: i64, there: u64) -> Result<Option<u64>, Error> {
    let (mut usage, limits) = (quotas::usage(database, repo_id).await?, limits(database).await?);
    let there = i64::try_from(there).unwrap_or(i64::MAX);
    usage.owner_bytes = usage.owner_bytes.saturating_sub(usage.git_bytes).saturating_add(there);
    usage.git_bytes = there;
    Ok(left(&usage, &limits))
}

fn left(usage: &Usage, limits: &SiteLimits) -> Option<u64> {
    let own = usage.git_bytes.saturating_add(usage.lfs_bytes);
    let rooms = [
        (usage.quota.unwrap_or_else(|| limits.get(SiteLimit::Repository)), own),
        (usage.owner_quota.unwrap_or_else(|| limits.get(SiteLimit::Owner)), usage.owner_bytes),
    ];
    let rooms = rooms.into_iter().filter(|(limit, _)| *limit > 0).map(|(limit, taken)| limit.saturating_sub(taken));
    rooms.min().map(|room| u64::try_from(room).unwrap_or(0))
}

/// The numbers of the site.
pub(crate) async fn limits(database: &impl Query) -> Result<SiteLimits, Error> {
    let stored = quotas::site_limits(database).await?;
    let known = SiteLimit::ALL.iter().filter_map(|limit| {
        let (_, value) = stored.iter().find(|(name, _)| name == limit.as_str())?;
        Some((limit.as_str(), *value))
    });
    Ok(SiteLimits { values: known.collect(), owners: Vec::new() })
}

fn has_room(usage: &Usage, limits: &SiteLimits, added: i64) -> Result<(), String> {
    let own = usage.git_bytes.saturating_add(usage.lfs_bytes).saturating_add(added);
    let limit = usage.quota.unwrap_or_else(|| limits.get(SiteLimit::Repository));
    if limit > 0 && own > limit {
        return Err(format!("over quota: the repository would take {}, and may take {}", mib(own), mib(limit)));
    }
    let all = usage.owner_bytes.saturating_add(added);
    let limit = usage.owner_quota.unwrap_or_else(|| limits.get(SiteLimit::Owner));
    if limit > 0 && all > limit {
        return Err(format!(
            "over quota: the owner's repositories would take {}, and may take {}",
            mib(all),
            mib(limit)
        ));
    }
    Ok(())
}

/// Whole MiB, rounded up: a limit never looks kept when it is not.
fn mib(bytes: i64) -> String {
    format!("{} MiB", bytes.div_euclid(MIB) + i64::from(bytes.rem_euclid(MIB) > 0))
}

fn number(field: &'static str, text: &str) -> Result<i64, Error> {
    let found = text.trim().parse().ok().filter(|number| (0..=MOST_MIB).contains(number));
    found.ok_or_else(|| Error::Field { field, problem: "is not a whole number; 0 is no limit".into() })
}

fn optional(field: &'static str, text: &str) -> Result<Option<i64>, Error> {
    if text.trim().is_empty() { Ok(None) } else { number(field, text).map(|mib| Some(mib.saturating_mul(MIB))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_number_holds_and_nought_is_none() {
        let usage = Usage { git_bytes: 60, lfs_bytes: 30, quota: None, owner_bytes: 200, owner_quota: None };
        let site = |repository, owner| SiteLimits {
            values: vec![("repository_bytes", repository), ("owner_bytes", owner)],
            owners: vec![],
        };
        for (quota, owner_quota, repository, owner, expected) in [
            (None, None, 0, 0, true),
            (None, None, 99, 0, false),
            (None, None, 100, 0, true),
            (Some(99), None, 0, 0, false),
            (Some(0), None, 99, 0, true),
            (None, None, 0, 209, false),
            (None, None, 0, 210, true),
            (None, Some(209), 0, 0, false),
            (Some(1000), Some(0), 1, 1, true),
        ] {
            let usage = Usage { quota, owner_quota, ..usage };
            let found = has_room(&usage, &site(repository, owner), 10);
            assert_eq!(found.is_ok(), expected, "{quota:?} {owner_quota:?} {repository} {owner}");
            // What may come in is what there is room for.
            let room = left(&usage, &site(repository, owner));
            assert_eq!(room.is_none_or(|room| room >= 10), expected, "{room:?}");
        }
    }

    #[test]
    fn numbers_are_whole_and_bounded() {
        for text in ["", "-1", "1.5", "x", "99999999999999999999"] {
            assert!(number("quota", text).is_err(), "{text}");
        }
        assert_eq!(optional("quota", " ").unwrap(), None);
        assert_eq!(optional("quota", "2").unwrap(), Some(2 << 20));
        assert_eq!(mib(1), "1 MiB");
    }
}
