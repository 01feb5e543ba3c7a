//! Warm handles for reading in process. A handle sees refs that other processes move (loose refs are read each time,
//! packed ones when their file changes) and packs that they add (on the first miss); it never writes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use gix::ThreadSafeRepository;

use crate::error::Cause;

/// Handles kept; the one that was not used for longest goes first.
const KEPT: usize = 64;

/// A bounded cache of open repositories.
#[derive(Default)]
pub(crate) struct Handles {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: HashMap<i64, (ThreadSafeRepository, u64)>,
    uses: u64,
}

impl Handles {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The open repository, from the cache when it is there.
    pub(crate) fn get(&self, id: i64, path: &Path) -> Result<gix::Repository, Cause> {
        if let Some(found) = self.cached(id) {
            return Ok(found.to_thread_local());
        }
        let opened = open(path)?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let use_number = inner.uses;
        if inner.open.len() >= KEPT {
            let oldest = inner.open.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.map(|oldest| inner.open.remove(&oldest));
        }
        inner.open.insert(id, (opened.clone(), use_number));
        Ok(opened.to_thread_local())
    }

    /// Drops the handle, so that the next reader opens the repository anew.
    pub(crate) fn forget(&self, id: i64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&id);
    }

    fn cached(&self, id: i64) -> Option<ThreadSafeRepository> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let use_number = inner.uses;
        let (repository, used) = inner.open.get_mut(&id)?;
        *used = use_number;
        Some(repository.clone())
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Handles")
    }
}

fn open(path: &Path) -> Result<ThreadSafeRepository, Cause> {
    let options = gix::open::Options::isolated()
        .open_path_as_is(true)
        .with(gix::sec::Trust::Full)
        // A push adds one pack; a handle that runs out of slots is opened anew.
        .object_store_slots(gix::odb::store::init::Slots::Given(256))
        .config_overrides([
            // For each read that runs: a dozen may at once.
            "core.deltaBaseCacheLimit=4m",
            "gitoxide.objects.noReplace=true",
            // An object's own size is looked at before it is loaded, but not that of the one it is a delta of.
            "gitoxide.objects.allocLimit=64m",
        ]);
    Ok(options.open(path)?)
}
