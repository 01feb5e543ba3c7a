//! What a crash left half done is finished or undone when the forge opens: ref moves without their event, repository
//! directories without their row. Never touches what another running process is in the middle of.

use std::path::Path;

use base::clock::Timestamp;
use base::file::{FileError, Lock};
use base::name::RefName;
use git::Repositories;
use store::events::{self, EventRecord};
use store::intents::{self, IntentRecord};
use store::{Store, loose_directories, quotas, repos};

use crate::Error;
use crate::site::{OpenError, beside, on_thread};

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
    for intent in intents::all(&store.read()).await? {
        let repo_id = intent.repo_id;
        // One broken repository must not keep the whole site down; its intent stays for the next time.
        if let Err(error) = left_intent(store, repositories, intent, now).await {
            tracing::error!(repo.id = repo_id, error = &error as &dyn std::error::Error, "a push could not be settled");
        }
    }
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

/// Settles the intent of a process that is dead. The Git that it started may not be.
async fn left_intent(
    store: &Store,
    repositories: &Repositories,
    intent: IntentRecord,
    now: Timestamp,
) -> Result<(), Error> {
    repositories.repo(intent.repo_id)?.at_rest().await?;
    one_intent(store, repositories, intent, now).await
}

/// Removes a directory that no repository owns, then forgets it.
pub(crate) async fn remove_directory(store: &Store, repositories: &Repositories, id: i64) -> Result<(), Error> {
    repositories.remove(id).await?;
    let tx = store.begin().await?;
    loose_directories::settle(&tx, id).await?;
    Ok(tx.commit().await?)
}

/// Writes the event of a move that happened; forgets one that did not.
pub(crate) async fn one_intent(
    store: &Store,
    repositories: &Repositories,
    intent: IntentRecord,
    now: Timestamp,
) -> Result<(), Error> {
    let name = RefName::parse(&intent.ref_name)?;
    let target = repositories.repo(intent.repo_id)?.target(&name).await?;
    let is_there = target.map_or_else(|| intent.new_id.bytes().all(|b| b == b'0'), |id| id.as_str() == intent.new_id);
    let has_happened = is_there
        || events::has_moved_from(&store.read(), intent.repo_id, &intent.ref_name, &intent.new_id, intent.at).await?;
    let tx = store.begin().await?;
    if has_happened {
        crate::events::append(&tx, moved(&intent)).await?;
        repos::set_pushed(&tx, intent.repo_id, now).await?;
    }
    intents::remove(&tx, intent.id).await?;
    tx.commit().await?;
    tracing::warn!(repo.id = intent.repo_id, intent.ref_name, has_happened, "an interrupted push was settled");
    Ok(())
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
