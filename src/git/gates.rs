//! How much may run at once. Who finds no place waits; only a push is refused in the end, and told so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::Error;

/// Clones, fetches and advertisements that run Git at once; an idle one holds about 6 MiB.
const UPLOADS: usize = 32;
/// Packs of clients that come in at once, and how many of them may be one account's: a client may be as slow as it likes.
const RECEIVES: usize = 8;
const RECEIVES_EACH: usize = RECEIVES / 4;
/// Packs that were made here, of one commit each, at once.
const COMMITS: usize = 4;
const COMMITS_EACH: usize = 1;
/// Short Git commands at once; no client can make one of them wait.
const SHORT: usize = 8;
/// Repositories that are tidied at once.
const TIDIES: usize = 1;
/// Archives on their way at once.
const ARCHIVES: usize = 8;
/// Reads that start Git at once.
const SPAWNED: usize = 4;
/// Walks over a long history at once, each on a blocking thread; a page that finds no place goes without.
const WALKS: usize = 4;
/// Large files and patches on their way to readers, who may be slow.
const STREAMS: usize = 16;
/// Reads in process at once, each on a blocking thread.
const READS: usize = 8;
/// Searches at once, each on a blocking thread for seconds: they must not keep pages waiting.
const SEARCHES: usize = 2;

/// The places of one site.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(crate) uploads: Semaphore,
    pub(crate) receives: Turns,
    pub(crate) commits: Turns,
    pub(crate) short: Semaphore,
    pub(crate) tidies: Semaphore,
    pub(crate) archives: Arc<Semaphore>,
    pub(crate) spawned: Arc<Semaphore>,
    pub(crate) walks: Arc<Semaphore>,
    pub(crate) reads: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) searches: Arc<Semaphore>,
}

impl Gates {
    pub(crate) fn new() -> Self {
        Self {
            uploads: Semaphore::new(UPLOADS),
            receives: Turns::new(RECEIVES, RECEIVES_EACH),
            commits: Turns::new(COMMITS, COMMITS_EACH),
            short: Semaphore::new(SHORT),
            tidies: Semaphore::new(TIDIES),
            archives: Arc::new(Semaphore::new(ARCHIVES)),
            spawned: Arc::new(Semaphore::new(SPAWNED)),
            walks: Arc::new(Semaphore::new(WALKS)),
            reads: Arc::new(Semaphore::new(READS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            searches: Arc::new(Semaphore::new(SEARCHES)),
        }
    }
}

/// Places of which one account never has more than its share.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    share: usize,
    shares: Mutex<HashMap<i64, Weak<Semaphore>>>,
}

/// A place, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_account: OwnedSemaphorePermit,
}

impl Turns {
    fn new(places: usize, share: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(places)), share, shares: Mutex::default() }
    }

    /// Waits for a place for `account`; `None` when there is none within `patience`.
    pub(crate) async fn enter(&self, account: i64, patience: Duration) -> Option<Turn> {
        let own = self.share_of(account);
        // One's own place first: who waits for it keeps none from anybody else.
        let both = async {
            let of_account = own.acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Turn { _of_all: of_all, _of_account: of_account })
        };
        tokio::time::timeout(patience, both).await.ok().flatten()
    }

    fn share_of(&self, account: i64) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&account).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(account, Arc::downgrade(&share));
        share
    }
}

/// Waits for a place.
pub(crate) async fn enter(gate: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    gate.acquire().await.map_err(|_| Error::Cancelled)
}

/// Runs `work` on a blocking thread once there is a place; the place is held until `work` ends, also when the caller
/// has stopped waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    gate: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let place = Arc::clone(gate).acquire_owned().await.map_err(|_| Error::Cancelled)?;
    let task = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    task.await.map_err(|_| Error::Cancelled)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_holds_its_share_leaves_room_for_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let gates = Gates::new();
            let soon = Duration::from_millis(20);
            let mut slow = Vec::new();
            for _ in 0..RECEIVES_EACH {
                slow.push(gates.receives.enter(1, soon).await.unwrap());
            }
            assert!(gates.receives.enter(1, soon).await.is_none(), "more than its share");
            let other = gates.receives.enter(2, soon).await;
            assert!(other.is_some() && gates.commits.enter(1, soon).await.is_some());
            slow.pop();
            assert!(gates.receives.enter(1, soon).await.is_some(), "a place comes back");
        });
    }
}
