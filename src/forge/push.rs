//! The push gate: sees ref changes while their objects are still in quarantine and says yes or no.
//! Nothing here may move a ref before every rule has passed.

use std::collections::HashSet;

use tokio::io::{AsyncRead, AsyncWrite};

use base::fault;
use base::name::{Oid, RefName, RepoPath};
use git::receive::{self, Limits, Quarantine, RefUpdate, Reply, Request};
use store::intents::{self, IntentRecord, NewIntent};
use store::repos;
use tokio::sync::oneshot;

use crate::events::{self, Happened, record};
use crate::jobs::{self, Job};
use crate::upload::Transport;
use crate::{Actor, Error, Forge, RepoWrite, settle};

/// Stands for "no object", as in pushes.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// A permitted push. Got from [`Forge::begin_push`] alone.
pub struct Push {
    pub(crate) repo: RepoWrite,
    pub(crate) forge: Forge,
    pub(crate) actor: Actor,
}

impl Forge {
    /// Permission to push to `path`. `SignInNeeded` for an anonymous actor, `NotFound` for hidden and absent alike,
    /// `Denied` for who may read but not push (a read-only token, say).
    pub async fn begin_push(&self, actor: &Actor, path: &RepoPath) -> Result<Push, Error> {
        if actor.user().is_none() {
            return Err(Error::SignInNeeded);
        }
        let repo = self.repo(actor, path).await?.for_write()?;
        Ok(Push { repo, forge: self.clone(), actor: actor.clone() })
    }
}

impl Push {
    /// HTTP only: writes the body of `info/refs?service=git-receive-pack`, service line included.
    pub async fn advertise(self, mut output: impl AsyncWrite + Unpin + Send) -> Result<(), Error> {
        let repo = self.forge.0.repositories.repo(self.repo.0.id)?;
        Ok(receive::advertise(&repo, git::Transport::Http, &mut output).await?)
    }

    /// Reads commands and pack, judges them in quarantine, moves refs, reports. Over SSH the advertisement comes first.
    /// A refusal of the push is part of the report, not an error here. Once the refs begin to move, it goes on to the
    /// end also when the client is gone and this future dropped.
    pub async fn run(
        self,
        transport: Transport,
        mut input: impl AsyncRead + Unpin + Send,
        mut output: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Error> {
        let repo = self.forge.0.repositories.repo(self.repo.0.id)?;
        if transport == Transport::Ssh {
            receive::advertise(&repo, git::Transport::Ssh, &mut output).await?;
        }
        let mut request = Request::read(&mut input).await?;
        if request.is_empty() {
            return Ok(());
        }
        let mut reply = Reply::new(output, &request);
        let quarantine = Quarantine::take_in(&repo, &mut request, input, &mut reply, Limits { pack_bytes: 0 }).await?;
        let default_branch = repo.head().await?;
        for update in request.updates() {
            if let Err(reason) = judge(&update, &default_branch) {
                request.refuse(&update.name, reason);
            }
        }
        let request = self.accept(repo, request, quarantine).await?;
        Ok(reply.finish(&request).await?)
    }

    /// Moves what still stands, on a task that nobody can interrupt.
    async fn accept(self, repo: git::Repo, mut request: Request, quarantine: Quarantine) -> Result<Request, Error> {
        if !self.may_still_push().await? {
            request.refuse_all("you may no longer push here");
        }
        if request.updates().is_empty() {
            return Ok(request);
        }
        let (done, outcome) = oneshot::channel();
        let forge = self.forge.clone();
        forge.spawn(async move {
            let result = self.move_refs(&repo, &mut request, quarantine).await;
            // The client may be gone; what was done stays done.
            let _ = done.send(result.map(|()| request));
        });
        outcome.await.map_err(|error| Error::Git(Box::new(error)))?
    }

    /// A push may take an hour, and rights end sooner.
    async fn may_still_push(&self) -> Result<bool, Error> {
        let Some(user) = self.actor.user() else { return Ok(false) };
        if !self.forge.still_holds(user).await? {
            return Ok(false);
        }
        match self.forge.repo(&self.actor, &self.repo.0.summary.path).await {
            Ok(now) => Ok(now.id == self.repo.0.id && now.for_write().is_ok()),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn move_refs(&self, repo: &git::Repo, request: &mut Request, quarantine: Quarantine) -> Result<(), Error> {
        let intents = self.intend(&request.updates()).await?;
        fault::point("forge:push:intended");
        let moved = match self.migrate_and_move(repo, request, quarantine).await {
            Ok(moved) => moved,
            Err(error) => {
                self.look_again(intents).await;
                return Err(error);
            }
        };
        fault::point("forge:push:moved");
        if let Err(error) = self.conclude(&intents, &moved).await {
            // The refs have moved and the client shall hear so. The intents stay, and the next start writes the events.
            tracing::error!(
                repo.id = self.repo.0.id,
                error = &error as &dyn std::error::Error,
                "a push has no event yet"
            );
        }
        if let Err(error) = self.adopt_default_branch(repo, &moved).await {
            tracing::error!(repo.id = self.repo.0.id, error = &error as &dyn std::error::Error, "HEAD was not moved");
        }
        Ok(())
    }

    async fn migrate_and_move(
        &self,
        repo: &git::Repo,
        request: &mut Request,
        quarantine: Quarantine,
    ) -> Result<Vec<RefUpdate>, Error> {
        quarantine.migrate().await?;
        fault::point("forge:push:migrated");
        Ok(receive::move_refs(repo, request).await?)
    }

    async fn intend(&self, updates: &[RefUpdate]) -> Result<Vec<IntentRecord>, Error> {
        let actor_id = self.actor.user().ok_or(Error::SignInNeeded)?.id;
        let (repo_id, at) = (self.repo.0.id, self.forge.now());
        let mut noted = Vec::with_capacity(updates.len());
        let tx = self.forge.0.store.begin().await?;
        for update in updates {
            let (ref_name, old_id, new_id) =
                (update.name.as_str(), shown(update.old.as_ref()), shown(update.new.as_ref()));
            let id = intents::insert(&tx, &NewIntent { repo_id, actor_id, at, ref_name, old_id, new_id }).await?;
            let (ref_name, old_id, new_id) = (ref_name.into(), old_id.into(), new_id.into());
            noted.push(IntentRecord { id, repo_id, actor_id, at, ref_name, old_id, new_id });
        }
        tx.commit().await?;
        Ok(noted)
    }

    /// Writes the events of what moved, and forgets all that was intended.
    async fn conclude(&self, intents: &[IntentRecord], moved: &[RefUpdate]) -> Result<(), Error> {
        let origin = &self.actor.user().ok_or(Error::SignInNeeded)?.origin;
        let names: HashSet<&str> = moved.iter().map(|update| update.name.as_str()).collect();
        let tx = self.forge.0.store.begin().await?;
        for intent in intents {
            if names.contains(intent.ref_name.as_str()) {
                let mut event = settle::moved(intent);
                event.address = origin.address.map(|address| address.to_string());
                event.request.clone_from(&origin.request);
                events::append(&tx, event).await?;
            }
            intents::remove(&tx, intent.id).await?;
        }
        if !moved.is_empty() {
            repos::set_pushed(&tx, self.repo.0.id, self.forge.now()).await?;
            jobs::put(&tx, &Job::TidyRepository { repo: self.repo.0.id }, self.forge.now()).await?;
        }
        tx.commit().await?;
        self.forge.wake_workers();
        self.forge.tell_moved(self.repo.0.id, moved);
        Ok(())
    }

    /// Git failed half-way: what the refs say now is what happened.
    async fn look_again(&self, intents: Vec<IntentRecord>) {
        let (store, repositories) = (&self.forge.0.store, &self.forge.0.repositories);
        for intent in intents {
            if let Err(error) = settle::one_intent(store, repositories, intent, self.forge.now()).await {
                tracing::error!(
                    repo.id = self.repo.0.id,
                    error = &error as &dyn std::error::Error,
                    "a failed push could not be settled; the next start will try"
                );
            }
        }
    }

    /// While HEAD names a branch that does not exist, the first branch that is pushed becomes the default one.
    async fn adopt_default_branch(&self, repo: &git::Repo, moved: &[RefUpdate]) -> Result<(), Error> {
        let head = repo.head().await?;
        let Some(pushed) = moved.iter().find(|update| update.name.is_branch() && update.new.is_some()) else {
            return Ok(());
        };
        if repo.target(&head).await?.is_some() {
            return Ok(());
        }
        repo.set_head(&pushed.name).await?;
        let by = self.actor.user().ok_or(Error::SignInNeeded)?.who();
        let (old, new) = (head.as_str(), pushed.name.as_str());
        let tx = self.forge.0.store.begin().await?;
        record(&tx, self.forge.now(), &by, Happened::DefaultBranch { id: self.repo.0.id, old, new }).await?;
        Ok(tx.commit().await?)
    }
}

fn shown(id: Option<&Oid>) -> &str {
    id.map_or(NOTHING, Oid::as_str)
}

/// The rules for one ref, whatever else the push holds.
fn judge(update: &RefUpdate, default_branch: &RefName) -> Result<(), &'static str> {
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
    if Oid::parse(&short.to_ascii_lowercase()).is_ok() {
        return Err("a branch or tag cannot be named like an object id");
    }
    Ok(())
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
            ("refs/heads/1111111111111111111111111111111111111111", true, true),
            ("refs/heads/a/1111111", false, true),
        ] {
            assert_eq!(judge(&update(name, is_deletion), &main).is_ok(), is_fine, "{name} {is_deletion}");
        }
    }
}
