//! What a push is judged by while its objects are in quarantine: rights of that moment, names, protections, signatures,
//! numbers and sizes. Each ref is judged by itself, with nothing remembered from the one before. Moves nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::name::{Oid, RefName};
use git::receive::{Quarantine, RefUpdate, Request};

use crate::protection::{Change, Protection, protections_of};
use crate::push::Push;
use crate::quota::{self, SiteLimit, SiteLimits};
use crate::site::on_thread;
use crate::{Access, Actor, Error, Scope, User};

/// Bytes of the names of all refs of one repository: each is told to whoever fetches.
const REF_NAME_BYTES: usize = 16 << 20;

/// What holds for every ref of one push.
struct Ground {
    default_branch: RefName,
    protections: Arc<[Protection]>,
    /// `None` for a deploy key, which nobody can name.
    user_id: Option<i64>,
    access: Access,
    limits: SiteLimits,
}

impl Push {
    /// Judges every update, and gives lines that tell the pusher more than a reason can.
    pub(crate) async fn judge(
        &self,
        repo: &git::Repo,
        request: &mut Request,
        quarantine: &Quarantine,
    ) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        if request.updates().is_empty() {
            return Ok(lines);
        }
        let Some(ground) = self.ground(repo).await? else {
            request.refuse_all("you may no longer push here");
            return Ok(lines);
        };
        self.judge_numbers(repo, request, &ground).await?;
        if let Some(why) = too_large(quarantine, &ground).await? {
            request.refuse_all(&why);
        }
        let (updates, mut refused, mut unsigned) = (request.updates(), HashMap::new(), Vec::new());
        for (update, protection) in updates.iter().zip(closest(&updates, &ground).await) {
            let verdict = match judge_name(update, &ground.default_branch) {
                Err(reason) => Err(reason.to_owned()),
                Ok(()) => judge_protected(update, protection, quarantine, &ground).await?,
            };
            match verdict {
                Err(reason) => drop(refused.insert(update.name.as_str(), reason)),
                Ok(()) => unsigned.extend(protection.filter(|one| one.require_signed).map(|one| (update, one))),
            }
        }
        if !unsigned.is_empty() {
            let is_branch = unsigned.iter().any(|(update, _)| update.name.is_branch());
            let known = if is_branch { judged_refs(repo, &ground).await? } else { Vec::new() };
            refused.extend(self.judge_signed(quarantine, &unsigned, &known).await?);
        }
        if refused.values().any(|reason| reason.starts_with("protected")) {
            let (site, path) = (&self.forge.settings().site_url, &self.repo.0.summary.path);
            lines.push(format!("Protections of {path} are set under {site}/{path}/settings/protection"));
        }
        request.refuse_each(|update| refused.get(update.name.as_str()));
        Ok(lines)
    }

    /// `None` when the pusher, or what the pusher came with, may no longer push.
    async fn ground(&self, repo: &git::Repo) -> Result<Option<Ground>, Error> {
        let Some(actor) = self.may_still_push().await? else { return Ok(None) };
        // A key or a token cuts what it opens to pushing; a protection asks what the account may do. A deploy key has none.
        let (account, user_id) = match &actor {
            Actor::Anonymous => return Ok(None),
            Actor::User(user) => (Actor::User(User { scope: Scope::Full, ..user.clone() }), Some(user.id)),
            Actor::DeployKey(_) => (actor.clone(), None),
        };
        let access = match self.forge.repo(&account, &self.repo.0.summary.path).await {
            Ok(now) if now.id == self.repo.0.id => now.access,
            Ok(_) | Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let database = self.forge.0.store.read();
        Ok(Some(Ground {
            default_branch: repo.head().await?,
            protections: protections_of(&database, self.repo.0.id).await?.into(),
            user_id,
            access,
            limits: quota::limits(&database).await?,
        }))
    }

    async fn judge_numbers(&self, repo: &git::Repo, request: &mut Request, ground: &Ground) -> Result<(), Error> {
        let updates = request.updates();
        let most = ground.limits.unsigned(SiteLimit::PushRefs);
        if most > 0 && updates.len() as u64 > most {
            request.refuse_all(&format!("a push may change {most} refs at once here; push them in parts"));
            return Ok(());
        }
        let most = ground.limits.unsigned(SiteLimit::Refs);
        let made = updates.iter().filter(|update| update.old.is_none()).count();
        if made == 0 {
            return Ok(());
        }
        let there: HashSet<Vec<u8>> = repo.all_refs().await?.into_iter().map(|(name, _)| name).collect();
        // What is not there makes no room by going.
        let goes = |update: &&RefUpdate| update.new.is_none() && there.contains(update.name.as_str().as_bytes());
        let gone = updates.iter().filter(goes).count();
        let fresh = updates.iter().filter(|update| update.old.is_none()).map(|update| update.name.as_str().len());
        let bytes = there.iter().map(Vec::len).chain(fresh).fold(0, usize::saturating_add);
        let count = there.len().saturating_add(made).saturating_sub(gone);
        if let Some(why) = too_many(count as u64, bytes, most) {
            request.refuse_each(|update| update.old.is_none().then_some(&why));
        }
        Ok(())
    }
}

/// The protection of each update, in their order. Names and patterns may be many.
async fn closest<'g>(updates: &[RefUpdate], ground: &'g Ground) -> Vec<Option<&'g Protection>> {
    let all = Arc::clone(&ground.protections);
    let names: Vec<_> = updates.iter().map(|update| update.name.clone()).collect();
    let find = move || names.iter().map(|name| Protection::closest(&all, name).map(|one| one.id)).collect();
    let found: Vec<Option<i64>> = on_thread(find).await;
    let by_id: HashMap<i64, &Protection> = ground.protections.iter().map(|one| (one.id, one)).collect();
    found.into_iter().map(|id| id.and_then(|id| by_id.get(&id).copied())).collect()
}

/// What branches name now that ask for signatures: it was judged when it came. What waits on a branch without this rule
/// has been judged by nobody.
async fn judged_refs(repo: &git::Repo, ground: &Ground) -> Result<Vec<Oid>, Error> {
    let (refs, all) = (repo.all_refs().await?, Arc::clone(&ground.protections));
    let is_judged = move |name: &[u8]| {
        let name = std::str::from_utf8(name).ok().and_then(|name| RefName::parse(name).ok()).filter(RefName::is_branch);
        name.and_then(|name| Protection::closest(&all, &name)).is_some_and(|protection| protection.require_signed)
    };
    let judge = move || refs.into_iter().filter(|(name, _)| is_judged(name)).map(|(_, id)| id).collect::<HashSet<_>>();
    Ok(on_thread(judge).await.into_iter().collect())
}

/// The inner error is why the update is refused.
async fn judge_protected(
    update: &RefUpdate,
    protection: Option<&Protection>,
    quarantine: &Quarantine,
    ground: &Ground,
) -> Result<Result<(), String>, Error> {
    let Some(protection) = protection else { return Ok(Ok(())) };
    let change = match (&update.old, &update.new) {
        (_, None) => Change::Delete,
        (None, Some(_)) => Change::Create,
        // A tag that moves names something else, whether or not that follows.
        (Some(_), Some(_)) if !update.name.is_branch() => Change::Force,
        (Some(_), Some(_)) if quarantine.is_fast_forward(update).await? => Change::Forward,
        (Some(_), Some(_)) => Change::Force,
    };
    let judged = protection.judge(change, ground.user_id, ground.access);
    Ok(judged.map_err(|why| format!("protected by `{}`: {why}", protection.pattern.as_str())))
}

async fn too_large(quarantine: &Quarantine, ground: &Ground) -> Result<Option<String>, Error> {
    let most = ground.limits.unsigned(SiteLimit::Object);
    if most == 0 {
        return Ok(None);
    }
    let found = quarantine.larger_than(most).await?;
    let told = |size: u64| size.div_ceil(1 << 20);
    Ok(found.map(|(id, size)| {
        let id = id.short();
        format!("object {id} has {} MiB, and the largest may have {} MiB here; use Git LFS", told(size), told(most))
    }))
}

/// The rules for one name, whatever else the push holds.
fn judge_name(update: &RefUpdate, default_branch: &RefName) -> Result<(), &'static str> {
    let name = update.name.as_str();
    if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") {
        return Err("only branches and tags can be pushed");
    }
    if update.new.is_none() {
        return if update.name == *default_branch { Err("the default branch cannot be deleted") } else { Ok(()) };
    }
    let short = update.name.short();
    // Both would be taken for something else wherever a short name may stand.
    if short.eq_ignore_ascii_case("HEAD") {
        return Err("a branch or tag cannot be named HEAD");
    }
    if matches!(short.len(), 40 | 64) && short.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a branch or tag cannot be named like an object id");
    }
    Ok(())
}

/// Why a repository may not have so many refs with names of so many bytes.
fn too_many(refs: u64, bytes: usize, most: u64) -> Option<String> {
    if most > 0 && refs > most {
        return Some(format!("a repository may have {most} refs here"));
    }
    let why = || format!("the names of a repository's refs may take {} MiB together", REF_NAME_BYTES >> 20);
    (bytes > REF_NAME_BYTES).then(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, is_deletion: bool) -> RefUpdate {
        let id = Oid::parse(&"1".repeat(40)).unwrap();
        RefUpdate { name: RefName::parse(name).unwrap(), old: None, new: (!is_deletion).then_some(id) }
    }

    #[test]
    fn each_ref_is_judged_by_itself() {
        let main = RefName::parse("refs/heads/main").unwrap();
        for (name, is_deletion, is_fine) in [
            ("refs/heads/main", false, true),
            ("refs/heads/main", true, false),
            ("refs/heads/other", true, true),
            ("refs/tags/v1", false, true),
            ("refs/tags/v1", true, true),
            ("refs/tags/main", true, true),
            ("refs/pull/1/head", false, false),
            ("refs/notes/commits", false, false),
            ("refs/replace/1111111111111111111111111111111111111111", false, false),
            ("refs/headsx/main", false, false),
            ("refs/heads/HEAD", false, false),
            ("refs/tags/head", false, false),
            ("refs/heads/1111111111111111111111111111111111111111", false, false),
            ("refs/tags/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false, false),
            (&format!("refs/heads/{}", "1".repeat(64)), false, false),
            ("refs/heads/1111111111111111111111111111111111111111", true, true),
            ("refs/heads/a/1111111", false, true),
        ] {
            assert_eq!(judge_name(&update(name, is_deletion), &main).is_ok(), is_fine, "{name} {is_deletion}");
        }
    }
    #[test]
    fn refs_are_counted_and_so_are_the_bytes_of_their_names() {
        assert_eq!(too_many(3, 100, 3), None);
        assert_eq!(too_many(9, 100, 0), None);
        assert!(too_many(4, 100, 3).is_some_and(|why| why.contains("3 refs")));
        assert_eq!(too_many(3, 16 << 20, 0), None);
        assert!(too_many(3, (16 << 20) + 1, 0).is_some_and(|why| why.contains("16 MiB")));
    }
}
