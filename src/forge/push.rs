//! The push gate: sees ref changes while their objects are still in quarantine and says yes or no.
//! Nothing here may move a ref before every rule has passed.

use std::collections::HashSet;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use base::fault;
use base::name::{Oid, RepoPath, shown as shown_text};
use git::receive::{self, Limits, Quarantine, RefUpdate, Reply, Request, Source};
use store::intents::{self, IntentRecord, NewIntent};
use store::repos;
use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::access::Who;
use crate::events::{Happened, record};
use crate::jobs::{self, Job};
use crate::quota::{self, SiteLimit};
use crate::upload::Transport;
use crate::{Actor, Error, Forge, RepoWrite, settle};

/// Stands for "no object", as in pushes.
pub(crate) const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Pauses between attempts to write the events of a push, in seconds; after the last the site's own rounds do it.
const PAUSES: [u64; 4] = [1, 5, 25, 120];

/// Push options that are named one by one.
const IGNORED_OPTIONS: usize = 5;

/// A permitted push. Got from [`Forge::begin_push`] alone.
pub struct Push {
    pub(crate) repo: RepoWrite,
    pub(crate) forge: Forge,
    pub(crate) actor: Actor,
    /// Says whether the pack is one that was made here.
    is_own: bool,
}

/// What was noted of a push, and what of it moved.
type Moved = (Vec<IntentRecord>, Vec<RefUpdate>);

impl Forge {
    /// Permission to push to `path`. `SignInNeeded` for an anonymous actor, `NotFound` for hidden and absent alike,
    /// `Denied` for who may read but not push (a read-only token, say).
    pub async fn begin_push(&self, actor: &Actor, path: &RepoPath) -> Result<Push, Error> {
        if actor.is_anonymous() {
            return Err(Error::SignInNeeded);
        }
        let repo = self.repo(actor, path).await?.for_write()?;
        Ok(Push { repo, forge: self.clone(), actor: actor.clone(), is_own: false })
    }
}

impl Push {
    /// The same for a pack that was made here and is in memory: it waits for no client's.
    pub(crate) fn with_own_pack(self) -> Self {
        Self { is_own: true, ..self }
    }

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
        for line in ignored(request.push_options()) {
            reply.say(&line).await?;
        }
        let limits = self.limits(&repo).await?;
        let quarantine = Quarantine::take_in(&repo, &mut request, input, &mut reply, limits).await?;
        for line in Box::pin(self.judge(&repo, &mut request, &quarantine)).await? {
            reply.say(&line).await?;
        }
        let request = self.accept(repo, request, quarantine).await?;
        Ok(reply.finish(&request).await?)
    }

    /// A deploy key's pushes are taken for its repository's owner's.
    async fn limits(&self, repo: &git::Repo) -> Result<Limits, Error> {
        let account = self.actor.user().map_or(self.repo.0.owner_id, |user| user.id);
        let (there, database) = (repo.size_on_disk().await?, self.forge.0.store.read());
        Ok(Limits {
            source: if self.is_own { Source::Own(account) } else { Source::Client(account) },
            pack_bytes: quota::limits(&database).await?.unsigned(SiteLimit::Pack),
            room: quota::room(&database, self.repo.0.id, there).await?,
            least_free: quota::LEAST_FREE,
        })
    }

    /// Moves what still stands, on a task that nobody can interrupt.
    async fn accept(self, repo: git::Repo, mut request: Request, quarantine: Quarantine) -> Result<Request, Error> {
        if request.updates().is_empty() {
            return Ok(request);
        }
        let (done, outcome) = oneshot::channel();
        let forge = self.forge.clone();
        forge.spawn(async move {
            let (result, left) = match self.move_refs(&repo, &mut request, quarantine).await {
                Ok(left) => (Ok(request), left),
                Err(error) => (Err(error), None),
            };
            // The client may be gone; what was done stays done.
            let _ = done.send(result);
            if let Some((intents, moved)) = left {
                self.conclude_later(&intents, &moved).await;
            }
        });
        outcome.await.map_err(|error| Error::Git(Box::new(error)))?
    }

    /// The pusher as it is now, when it may still push: a push may take an hour, and rights end sooner.
    pub(crate) async fn may_still_push(&self) -> Result<Option<Actor>, Error> {
        let Some(actor) = self.forge.still_holds(&self.actor).await? else { return Ok(None) };
        match self.forge.repo(&actor, &self.repo.0.summary.path).await {
            Ok(now) => Ok((now.id == self.repo.0.id && now.for_write().is_ok()).then_some(actor)),
            Err(Error::NotFound | Error::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives what moved and has no event yet.
    async fn move_refs(
        &self,
        repo: &git::Repo,
        request: &mut Request,
        quarantine: Quarantine,
    ) -> Result<Option<Moved>, Error> {
        let place = self.forge.0.places.enter(repo.id()).await;
        let Some(intents) = self.intend(repo, request, quarantine.byte_count()).await? else { return Ok(None) };
        fault::point("forge:push:intended");
        let moved = match self.migrate_and_move(repo, request, quarantine, place).await {
            Ok(moved) => moved,
            Err(error) => {
                self.look_again(intents).await;
                return Err(error);
            }
        };
        fault::point("forge:push:moved");
        let concluded = self.conclude(&intents, &moved).await;
        if let Err(error) = self.adopt_default_branch(repo, &moved).await {
            tracing::error!(repo.id = self.repo.0.id, error = &error as &dyn std::error::Error, "HEAD was not moved");
        }
        let Err(error) = concluded else { return Ok(None) };
        // The refs have moved and the client shall hear so. The intents stay until the events are written.
        tracing::error!(repo.id = self.repo.0.id, error = &error as &dyn std::error::Error, "a push has no event yet");
        Ok(Some((intents, moved)))
    }

    /// The database was away. What is left when it stays away is settled by [`settle::overdue`], or the next start.
    async fn conclude_later(&self, intents: &[IntentRecord], moved: &[RefUpdate]) {
        let mut closing = self.forge.0.closing.subscribe();
        for pause in PAUSES {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(pause)) => {}
                _ = closing.wait_for(|is_closing| *is_closing) => return,
            }
            if self.conclude(intents, moved).await.is_ok() {
                tracing::info!(repo.id = self.repo.0.id, "the push has its event now");
                return;
            }
        }
    }

    async fn migrate_and_move(
        &self,
        repo: &git::Repo,
        request: &mut Request,
        quarantine: Quarantine,
        place: OwnedMutexGuard<()>,
    ) -> Result<Vec<RefUpdate>, Error> {
        quarantine.migrate().await?;
        // From here on the next one measures what has come.
        drop(place);
        fault::point("forge:push:migrated");
        Ok(receive::move_refs(repo, request).await?)
    }

    /// Takes the room that the push needs and notes what is about to move. `None` when there is no room: then the
    /// request says so, and nothing was noted.
    async fn intend(
        &self,
        repo: &git::Repo,
        request: &mut Request,
        added: u64,
    ) -> Result<Option<Vec<IntentRecord>>, Error> {
        let Who { id: actor_id, name: actor, origin } = self.actor.who().ok_or(Error::SignInNeeded)?;
        let address = origin.address.map(|address| address.to_string());
        let (repo_id, at) = (self.repo.0.id, self.forge.now());
        let there = repo.size_on_disk().await?;
        let tx = self.forge.0.store.begin().await?;
        if let Err(why) = quota::take_git_room(&tx, repo_id, there, added).await? {
            request.refuse_all(&why);
            return Ok(None);
        }
        let mut noted = Vec::new();
        for update in request.updates() {
            let new = NewIntent {
                repo_id,
                actor_id,
                actor: actor.as_deref(),
                at,
                ref_name: update.name.as_str(),
                old_id: shown(update.old.as_ref()),
                new_id: shown(update.new.as_ref()),
                address: address.as_deref(),
                request: origin.request.as_deref(),
            };
            let id = intents::insert(&tx, &new).await?;
            noted.push(new.noted(id));
        }
        tx.commit().await?;
        Ok(Some(noted))
    }

    /// Writes the events of what moved, and forgets all that was intended.
    async fn conclude(&self, intents: &[IntentRecord], moved: &[RefUpdate]) -> Result<(), Error> {
        let names: HashSet<&str> = moved.iter().map(|update| update.name.as_str()).collect();
        let tx = self.forge.0.store.begin().await?;
        for intent in intents {
            if names.contains(intent.ref_name.as_str()) {
                settle::write(&tx, intent).await?;
            } else {
                intents::remove(&tx, intent.id).await?;
            }
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
        if let Err(error) = settle::settle_intents(store, repositories, &intents, self.forge.now()).await {
            tracing::error!(
                repo.id = self.repo.0.id,
                error = &error as &dyn std::error::Error,
                "a failed push could not be settled; it will be tried again"
            );
        }
    }

    /// While HEAD names a branch that does not exist, the first branch that is pushed becomes the default one.
    async fn adopt_default_branch(&self, repo: &git::Repo, moved: &[RefUpdate]) -> Result<(), Error> {
        let head = repo.head().await?;
        let Some(pushed) = moved.iter().find(|update| update.name.is_branch() && update.new.is_some()) else {
            return Ok(());
        };
        if head == pushed.name || !repo.adopt_head(&pushed.name).await? {
            return Ok(());
        }
        let by = self.actor.who().ok_or(Error::SignInNeeded)?;
        let (old, new) = (head.as_str(), pushed.name.as_str());
        let tx = self.forge.0.store.begin().await?;
        record(&tx, self.forge.now(), &by, Happened::DefaultBranch { id: self.repo.0.id, old, new }).await?;
        Ok(tx.commit().await?)
    }
}

fn shown(id: Option<&Oid>) -> &str {
    id.map_or(NOTHING, Oid::as_str)
}

/// What the pusher is told of options: none is known here yet, and silence would look like consent.
fn ignored(options: &[String]) -> Vec<String> {
    let told = |option: &String| format!("the push option `{}` is not known here and was ignored", shown_text(option));
    let mut lines: Vec<_> = options.iter().take(IGNORED_OPTIONS).map(told).collect();
    if options.len() > IGNORED_OPTIONS {
        lines.push(format!("and {} more push options were ignored", options.len() - IGNORED_OPTIONS));
    }
    lines
}
