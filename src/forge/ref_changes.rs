//! Branches and tags made and taken away by a program. Each is a push of one ref through the same gate as every other, so
//! that whatever judges pushes judges it. Never moves a ref by itself.

use base::name::RefName;
use git::edit::{TagDraft, as_push, outcome};
use git::receive::RefUpdate;

use crate::{Actor, EditError, Error, Forge, RepoWrite, Transport};

/// Bytes of a tag's message.
const MESSAGE: usize = 64 << 10;

impl Forge {
    /// Makes a branch or a plain tag at what `from` names (a branch, a tag or an object id; the default branch when
    /// empty); an annotated tag, when `message` is not empty. `BranchExists` when there is one of this name.
    pub async fn create_ref(
        &self,
        actor: &Actor,
        repo: &RepoWrite,
        name: &RefName,
        (from, message): (&str, &str),
    ) -> Result<(), EditError> {
        if message.len() > MESSAGE {
            let problem = format!("is longer than {} KiB", MESSAGE >> 10);
            return Err(Error::Field { field: "message", problem }.into());
        }
        let handle = self.handle(&repo.0)?;
        if handle.target(name).await?.is_some() {
            return Err(EditError::BranchExists(name.short().to_owned()));
        }
        let from =
            if from.is_empty() { self.default_branch(&repo.0).await?.0.as_str().to_owned() } else { from.into() };
        let commit = self.revision(&repo.0, &from).await?.commit;
        let (new, pack) = if message.trim().is_empty() {
            (commit, handle.empty_pack().await?)
        } else {
            let tagger = self.person(actor).await?;
            let draft = TagDraft { name: name.short().to_owned(), commit, message: message.into(), tagger };
            handle.new_tag(draft).await?
        };
        self.push_one(actor, repo, RefUpdate { name: name.clone(), old: None, new: Some(new) }, &pack).await
    }

    /// Takes a branch or a tag away. `NotFound` when there is none.
    pub async fn delete_ref(&self, actor: &Actor, repo: &RepoWrite, name: &RefName) -> Result<(), EditError> {
        let old = self.handle(&repo.0)?.target(name).await?;
        let old = Some(old.ok_or(Error::NotFound)?);
        self.push_one(actor, repo, RefUpdate { name: name.clone(), old, new: None }, b"").await
    }

    async fn push_one(&self, actor: &Actor, repo: &RepoWrite, update: RefUpdate, pack: &[u8]) -> Result<(), EditError> {
        let push = self.begin_push(actor, &repo.0.summary.path).await?.with_own_pack();
        // The name may be another repository's by now.
        if push.repo.0.id != repo.0.id {
            return Err(Error::NotFound.into());
        }
        let mut answer = Vec::new();
        push.run(Transport::Http, as_push(&update, pack).as_slice(), &mut answer).await?;
        let outcome = outcome(&answer).await?;
        let said = outcome.said;
        outcome.refusal.map_or(Ok(()), |reason| Err(EditError::Refused { reason, said }))
    }
}
