//! Warm handles for reading in process. A handle sees refs that other processes move (loose refs are read each time,
//! packed ones when their file is another than before) and packs that they add (on the first miss); it never writes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use gix::ThreadSafeRepository;

use crate::error::Cause;
use crate::read::table::Stamp;

/// Handles kept; the one that was not used for longest goes first.
const KEPT: usize = 64;

/// A bounded cache of open repositories.
#[derive(Default)]
pub(crate) struct Handles {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: HashMap<i64, Open>,
    uses: u64,
}

struct Open {
    repository: ThreadSafeRepository,
    used: u64,
    /// Of the packed refs that it may have read: the library itself goes by their time alone, and a clock may be set back.
    packed: Stamp,
}

impl Handles {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The open repository, from the cache when it is there.
    pub(crate) fn get(&self, id: i64, path: &Path) -> Result<gix::Repository, Cause> {
        // Before the refs are read: what is packed meanwhile is seen the next time.
        let packed = Stamp::of(&path.join("packed-refs"))?;
        if let Some(found) = self.cached(id, packed) {
            return Ok(found.to_thread_local());
        }
        let opened = open(path)?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let use_number = inner.uses;
        if inner.open.len() >= KEPT {
            let oldest = inner.open.iter().min_by_key(|(_, open)| open.used).map(|(id, _)| *id);
            oldest.map(|oldest| inner.open.remove(&oldest));
        }
        inner.open.insert(id, Open { repository: opened.clone(), used: use_number, packed });
        Ok(opened.to_thread_local())
    }

    /// Drops the handle, so that the next reader opens the repository anew.
    pub(crate) fn forget(&self, id: i64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&id);
    }

    /// The handle, when it is there and the packed refs are those that it knows, or could be read anew.
    fn cached(&self, id: i64, packed: Stamp) -> Option<ThreadSafeRepository> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let use_number = inner.uses;
        let open = inner.open.get_mut(&id)?;
        open.used = use_number;
        let repository = open.repository.clone();
        if open.packed == packed {
            return Some(repository);
        }
        open.packed = packed;
        drop(inner);
        repository.refs.force_refresh_packed_buffer().ok()?;
        Some(repository)
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use base::name::RefName;

    use crate::testing::Site;

    /// The library reads the packed refs anew only when their time grows; a clock that is set back would keep what was
    /// deleted for ever.
    #[test]
    fn a_ref_that_was_packed_and_deleted_is_gone_whatever_the_clock_says() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main", "main:old"]);
        site.git(&["pack-refs", "--all"]);
        let old = RefName::branch("old").unwrap();
        assert!(site.block_on(site.repo.target(&old)).unwrap().is_some());
        site.git(&["update-ref", "-d", "refs/heads/old"]);
        let packed = File::options().append(true).open(site.repo.path().join("packed-refs")).unwrap();
        packed.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(1)).unwrap();
        assert_eq!(site.block_on(site.repo.target(&old)).unwrap(), None);
        assert_eq!(site.block_on(site.repo.branches(9)).unwrap().refs.len(), 1);
        assert_eq!(site.block_on(site.repo.all_refs()).unwrap().len(), 1);
    }
}
