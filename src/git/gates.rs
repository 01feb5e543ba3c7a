//! How much may run at once. Who finds no place waits; nobody is refused.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Error;

/// Clones, fetches and advertisements that run Git at once; an idle one holds about 6 MiB.
const UPLOADS: usize = 32;
/// Pushes that run Git at once.
const RECEIVES: usize = 8;
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
    pub(crate) receives: Semaphore,
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
            receives: Semaphore::new(RECEIVES),
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
