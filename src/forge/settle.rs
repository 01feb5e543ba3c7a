//! What a crash left half done is finished or undone, when the forge opens and from time to time: ref moves without their
//! event, repository directories without their row. Never touches what another running process is in the middle of.

use std::collections::BTreeMap;
use std::path::Path;

use base::clock::Timestamp;
use base::file::{FileError, Lock};
use base::name::RefName;
use git::Repositories;
use store::events::{self, EventRecord};
use store::intents::{self, IntentRecord};
use store::{Store, Tx, loose_directories, quotas, repos};

use crate::Error;
use crate::past::happened;
use crate::site::{OpenError, beside, on_thread};

/// Seconds after which a move that is under way would have ended by itself.
const OVERDUE: i64 = 15 * 60;
/// Seconds before an intent in which events are looked for that it may follow from or be one of.
const BEFORE: i64 = 24 * 60 * 60;
/// Events of one ref that are looked at.
const EVENTS: i64 = 200;

/// Settles what was left, unless another process has the forge open: then nothing was left, or it is at work on it.
/// The lock it gives says that this process is one.
pub(crate) async fn run(
    store: &Store,
    repositories: &Repositories,
    database: &Path,
    now: Timestamp,
) -> Result<Lock, OpenError> {
    let path = beside(database, "forge.lock");
    let failed = |error: FileError| OpenError::Store(Box::new(error));
    match Lock::take(&path) {
        Ok(alone) => {
            settle(store, repositories, now).await.map_err(|error| OpenError::Store(Box::new(error)))?;
            drop(alone);
        }
        Err(FileError::Locked { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    on_thread(move || Lock::share(&path)).await.map_err(failed)
}

async fn settle(store: &Store, repositories: &Repositories, now: Timestamp) -> Result<(), Error> {
    let left = intents::all(&store.read()).await?;
    settle_left(store, repositories, &left, now).await;
    if let Err(error) = repositories.sweep_alone().await {
        tracing::error!(error = &error as &dyn std::error::Error, "what killed pushes left was not removed");
    }
    for id in loose_directories::all(&store.read()).await? {
        if let Err(error) = remove_directory(store, repositories, id).await {
            tracing::error!(repo.id = id, error = &error as &dyn std::error::Error, "a directory was not removed");
        }
    }
    let tx = store.begin().await?;
    quotas::recount_lfs(&tx).await?;
    Ok(tx.commit().await?)
}

/// Settles what nobody came back to: its process is dead, or could not reach the database at the end.
pub(crate) async fn overdue(store: &Store, repositories: &Repositories, now: Timestamp) -> Result<(), Error> {
    let mut left = intents::all(&store.read()).await?;
    left.retain(|intent| intent.at < now.plus_seconds(-OVERDUE));
    settle_left(store, repositories, &left, now).await;
    Ok(())
}

/// Settles intents that nobody else will. The Git that a dead process started may still be at work.
async fn settle_left(store: &Store, repositories: &Repositories, left: &[IntentRecord], now: Timestamp) {
    let mut by_repo: BTreeMap<i64, Vec<IntentRecord>> = BTreeMap::new();
    for intent in left {
        by_repo.entry(intent.repo_id).or_default().push(intent.clone());
    }
    for (repo_id, left) in by_repo {
        let settled = async {
            repositories.repo(repo_id)?.at_rest().await?;
            settle_intents(store, repositories, &left, now).await
        };
        // One broken repository must not keep the whole site down; its intents stay for the next time.
        if let Err(error) = settled.await {
            tracing::error!(repo.id = repo_id, error = &error as &dyn std::error::Error, "a push could not be settled");
        }
    }
}

/// Removes a directory that no repository owns, then forgets it.
pub(crate) async fn remove_directory(store: &Store, repositories: &Repositories, id: i64) -> Result<(), Error> {
    repositories.remove(id).await?;
    let tx = store.begin().await?;
    loose_directories::settle(&tx, id).await?;
    Ok(tx.commit().await?)
}

/// Writes the events of those of `ours`, all of one repository, that happened; forgets those that did not.
pub(crate) async fn settle_intents(
    store: &Store,
    repositories: &Repositories,
    ours: &[IntentRecord],
    now: Timestamp,
) -> Result<(), Error> {
    let mut names: Vec<&str> = ours.iter().map(|intent| intent.ref_name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        settle_ref(store, repositories, name, ours, now).await?;
    }
    Ok(())
}

/// Moves of one ref explain each other, so that all that are noted are looked at together, also those of others.
async fn settle_ref(
    store: &Store,
    repositories: &Repositories,
    name: &str,
    ours: &[IntentRecord],
    now: Timestamp,
) -> Result<(), Error> {
    let ours: Vec<_> = ours.iter().filter(|intent| intent.ref_name == name).collect();
    let (Some(repo_id), Some(since)) = (ours.first().map(|one| one.repo_id), ours.iter().map(|one| one.at).min())
    else {
        return Ok(());
    };
    let target = repositories.repo(repo_id)?.target(&RefName::parse(name)?).await?;
    let value = target.map_or_else(|| crate::push::NOTHING.to_owned(), |id| id.to_string());
    let mut all = intents::all(&store.read()).await?;
    all.retain(|intent| intent.repo_id == repo_id && intent.ref_name == name);
    let about = (repo_id, crate::events::REF_MOVED, name);
    let told = events::changes_of(&store.read(), about, since.plus_seconds(-BEFORE), EVENTS).await?;
    let told: Vec<_> = told.into_iter().map(|(_, old, new)| (old, new)).collect();
    let moves: Vec<_> = all.iter().map(|intent| (intent.old_id.clone(), intent.new_id.clone())).collect();
    let happened: Vec<_> = happened(&value, &told, &moves).into_iter().filter_map(|at| all.get(at)).collect();
    let tx = store.begin().await?;
    for intent in &happened {
        if ours.iter().any(|one| one.id == intent.id) {
            write(&tx, intent).await?;
            repos::set_pushed(&tx, repo_id, now).await?;
        }
    }
    for intent in &ours {
        intents::remove(&tx, intent.id).await?;
    }
    tx.commit().await?;
    tracing::warn!(repo.id = repo_id, ref_name = name, moves = happened.len(), "an interrupted push was settled");
    Ok(())
}

/// Writes the event of a move and forgets the intent, unless somebody else did so already.
pub(crate) async fn write(tx: &Tx, intent: &IntentRecord) -> Result<(), Error> {
    if !intents::remove(tx, intent.id).await? {
        let about = (intent.repo_id, crate::events::REF_MOVED, intent.ref_name.as_str());
        let told = events::changes_of(tx, about, intent.at, EVENTS).await?;
        let ours = (intent.at, intent.old_id.clone(), intent.new_id.clone());
        if told.contains(&ours) {
            return Ok(());
        }
    }
    Ok(crate::events::append(tx, moved(intent)).await?)
}

/// The event of a ref move.
pub(crate) fn moved(intent: &IntentRecord) -> EventRecord {
    EventRecord {
        at: intent.at,
        actor_id: intent.actor_id,
        actor: intent.actor.clone(),
        kind: crate::events::REF_MOVED.into(),
        repo_id: Some(intent.repo_id),
        repo: None,
        subject: intent.ref_name.clone(),
        old_value: Some(intent.old_id.clone()),
        new_value: Some(intent.new_id.clone()),
        address: intent.address.clone(),
        request: intent.request.clone(),
    }
}
