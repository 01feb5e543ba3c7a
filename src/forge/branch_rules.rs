//! What the protections of a repository mean for branches and for one actor, to be shown. The gate judges pushes by
//! itself; nothing here lets anything in.

use base::name::RefName;

use crate::protection::{Change, Protection, protections_of};
use crate::{Access, Error, Forge, RepoRead};

/// What holds for a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRule {
    /// Says whether a protection is for it.
    pub is_protected: bool,
    /// The protection's pattern; told to who administers the repository alone.
    pub pattern: Option<String>,
    /// Says whether the actor may push to it, fast-forward.
    pub can_push: bool,
}

impl Forge {
    /// What holds for each of these branches.
    pub async fn branch_rules(&self, repo: &RepoRead, names: &[&RefName]) -> Result<Vec<BranchRule>, Error> {
        let all = protections_of(&self.0.store.read(), repo.id).await?;
        let user_id = repo.by.as_ref().and_then(|who| who.id);
        let rule = |name: &&RefName| {
            let found = Protection::closest(&all, name);
            let can_push = match found {
                Some(protection) => protection.judge(Change::Forward, user_id, repo.access).is_ok(),
                None => repo.access >= Access::Write,
            };
            let pattern = found.filter(|_| repo.access >= Access::Admin);
            BranchRule {
                is_protected: found.is_some(),
                pattern: pattern.map(|protection| protection.pattern.as_str().to_owned()),
                can_push,
            }
        };
        Ok(names.iter().map(rule).collect())
    }
}
