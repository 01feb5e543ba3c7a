//! What must hold of every body of Git LFS: what it names is an object or an error, and a part lies inside its object.
//! Run by the fuzzer, and over the committed corpus by the ordinary tests.

use serve::lfs_request::{BATCH_LIMIT, batch, lock, lock_page, object, part, unlock};

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(read) = batch(bytes) {
        assert!(read.objects.len() <= BATCH_LIMIT);
        for named in &read.objects {
            assert!(named.oid.len() <= 80 * 4, "{named:?}");
            if let Some(found) = named.object {
                assert_eq!(found.oid.to_string(), named.oid);
                assert_eq!(i64::try_from(found.size), Ok(named.size));
            }
        }
    }
    let _ = (object(bytes), lock(bytes), unlock(bytes), lock_page(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for size in [0, 1, 1000, u64::MAX] {
        if let Ok(Some(part)) = part(Some(text), size) {
            assert!(part.first <= part.last && part.last < size, "{part:?} of {size}");
        }
    }
}
