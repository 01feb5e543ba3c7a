//! Whether what a push brings to protected branches and tags is signed. Every commit that these branches did not have
//! must be; all of them are looked at together first, and one by one only to say which is not. Moves nothing.

use std::collections::HashMap;

use base::name::Oid;
use git::receive::{Quarantine, RefUpdate};

use crate::Error;
use crate::protection::Protection;
use crate::push::Push;

/// New commits whose signatures are checked in one push.
const COMMITS: usize = 5_000;
/// Branches that are looked at one by one.
const SINGLES: usize = 50;
/// Objects that are read at once: a commit may be a megabyte.
const PIECE: usize = 100;

impl Push {
    /// Why updates are refused, by the ref's name. `known` is what was judged before.
    pub(crate) async fn judge_signed<'u>(
        &self,
        quarantine: &Quarantine,
        updates: &[(&'u RefUpdate, &Protection)],
        known: &[Oid],
    ) -> Result<HashMap<&'u str, String>, Error> {
        let (mut branches, mut tags, mut refused) = (Vec::new(), Vec::new(), HashMap::new());
        for (update, protection) in updates {
            let Some(new) = update.new.clone() else { continue };
            let list = if update.name.is_branch() { &mut branches } else { &mut tags };
            list.push((update.name.as_str(), protection.pattern.as_str(), new));
        }
        let ids: Vec<Oid> = tags.iter().map(|(_, _, id)| id.clone()).collect();
        for ((name, pattern, _), missing) in tags.iter().zip(self.missing(quarantine, &ids, false).await?) {
            refused.extend(missing.map(|why| (*name, format!("protected by `{pattern}`: {why}"))));
        }
        let tips: Vec<Oid> = branches.iter().map(|(_, _, tip)| tip.clone()).collect();
        let Some(why) = self.judge_commits(quarantine, &tips, known).await? else { return Ok(refused) };
        for (name, pattern, tip) in &branches {
            let why = match branches.len() {
                1 => Some(why.clone()),
                2..=SINGLES => self.judge_commits(quarantine, std::slice::from_ref(tip), known).await?,
                _ => Some(format!("{why} (in one of {} branches; push them in parts)", branches.len())),
            };
            refused.extend(why.map(|why| (*name, format!("protected by `{pattern}`: {why}"))));
        }
        Ok(refused)
    }

    /// Why these tips together are refused.
    async fn judge_commits(
        &self,
        quarantine: &Quarantine,
        tips: &[Oid],
        known: &[Oid],
    ) -> Result<Option<String>, Error> {
        if tips.is_empty() {
            return Ok(None);
        }
        let Some(commits) = quarantine.new_commits(tips, known, COMMITS).await? else {
            return Ok(Some(format!("more than {COMMITS} new commits must be signed; push them in parts")));
        };
        Ok(self.missing(quarantine, &commits, true).await?.into_iter().flatten().next())
    }

    /// What each object's signature lacks; no further than to the first that lacks something, when that is enough.
    async fn missing(
        &self,
        quarantine: &Quarantine,
        ids: &[Oid],
        is_first_enough: bool,
    ) -> Result<Vec<Option<String>>, Error> {
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks(PIECE) {
            let found = self.forge.signatures(quarantine.signables(ids).await?).await?;
            let lacks =
                ids.iter().zip(found).map(|(id, signature)| Some(format!("{} {}", id.short(), signature.missing()?)));
            all.extend(lacks);
            if is_first_enough && all.iter().any(Option::is_some) {
                break;
            }
        }
        Ok(all)
    }
}
