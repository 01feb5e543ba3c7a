//! What changes while somebody looks: told after it has happened, to those alone who may read it when it is told. Holds
//! nothing that matters: who hears nothing reloads the page, as ever.

use std::time::Duration;

use base::name::RepoPath;
use git::receive::RefUpdate;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::{Actor, Error, Forge};

/// Refs that one event names at most.
const NAMED: usize = 50;

/// A ref that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedRef {
    /// Its full name.
    pub name: String,
    /// What it is now; `None` when it is gone.
    pub id: Option<String>,
}

/// What happened in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The refs that moved, the first fifty.
    pub refs: Vec<MovedRef>,
}

/// What a watch heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something changed.
    Changed(Change),
    /// Nothing did, in all that time.
    Nothing,
}

/// Somebody who watches a repository.
pub struct Watch {
    forge: Forge,
    actor: Actor,
    path: RepoPath,
    id: i64,
    topic: String,
    heard: Receiver<store::Signal>,
}

impl Forge {
    /// Watches a repository from now on. `NotFound` when it is absent or hidden from the actor.
    pub async fn watch(&self, actor: &Actor, path: &RepoPath) -> Result<Watch, Error> {
        // Before the right is looked at, so that nothing falls in between.
        let heard = self.0.signals.listen();
        let id = self.repo(actor, path).await?.id;
        Ok(Watch { forge: self.clone(), actor: actor.clone(), path: path.clone(), id, topic: topic(id), heard })
    }

    /// Tells of refs that moved. Call it after the commit.
    pub(crate) fn tell_moved(&self, repo_id: i64, moved: &[RefUpdate]) {
        let refs = moved.iter().take(NAMED).map(|update| MovedRef {
            name: update.name.to_string(),
            id: update.new.as_ref().map(|id| id.as_str().to_owned()),
        });
        let change = Change { refs: refs.collect() };
        if let Ok(text) = serde_json::to_string(&change) {
            self.0.signals.publish(&topic(repo_id), &text);
        }
    }
}

impl Watch {
    /// Waits for the next change, at most as long as `patience`. `None` when the actor may no longer know of any, or
    /// the forge closes.
    pub async fn next(&mut self, patience: Duration) -> Option<Told> {
        let told = match tokio::time::timeout(patience, self.hear()).await {
            Ok(change) => Told::Changed(change?),
            Err(_) => Told::Nothing,
        };
        self.may_read().await.then_some(told)
    }

    /// The next change; `None` when the forge closes. Loses nothing when it is dropped.
    async fn hear(&mut self) -> Option<Change> {
        let mut closing = self.forge.0.closing.subscribe();
        loop {
            let heard = tokio::select! {
                heard = self.heard.recv() => heard,
                _ = closing.wait_for(|is_closing| *is_closing) => return None,
            };
            match heard {
                Ok(signal) if signal.topic == self.topic => {
                    // What came over the wire is read, never passed on as it is.
                    if let Ok(change) = serde_json::from_str(&signal.text) {
                        return Some(change);
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Says whether the actor may still read the repository: rights end while somebody looks.
    async fn may_read(&self) -> bool {
        let actor = match &self.actor {
            Actor::Anonymous => Actor::Anonymous,
            somebody => match self.forge.still_holds(somebody).await {
                Ok(Some(actor)) => actor,
                Ok(None) | Err(_) => return false,
            },
        };
        self.forge.repo(&actor, &self.path).await.is_ok_and(|repo| repo.id == self.id)
    }
}

fn topic(repo_id: i64) -> String {
    format!("repository {repo_id}")
}
