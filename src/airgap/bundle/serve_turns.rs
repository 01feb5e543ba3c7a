//! How many are answered at a time, in all or of one address: who comes when all places are taken waits for one, and not for ever.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Places, so many for each key.
pub(crate) struct Turns<K> {
    most: usize,
    /// How many may wait for the places of one key.
    waiting: usize,
    taken: Mutex<BTreeMap<K, Held>>,
    freed: Condvar,
}

/// What there is of one key.
#[derive(Default)]
struct Held {
    taken: usize,
    waiting: usize,
}

/// A place, until it is dropped.
pub(crate) struct Turn<'t, K: Ord> {
    turns: &'t Turns<K>,
    key: K,
}

impl<K: Ord + Clone> Turns<K> {
    /// `most` places for each key, and `waiting` that may wait for them.
    pub(crate) const fn new(most: usize, waiting: usize) -> Self {
        Self { most, waiting, taken: Mutex::new(BTreeMap::new()), freed: Condvar::new() }
    }

    /// Takes one of the places of `key`, or gives up after `wait`; at once when too many wait already.
    pub(crate) fn take(&self, key: K, wait: Duration) -> Option<Turn<'_, K>> {
        let is_full = |taken: &mut BTreeMap<K, Held>| taken.get(&key).is_some_and(|held| held.taken >= self.most);
        let mut taken = self.lock();
        if is_full(&mut taken) {
            let held = taken.entry(key.clone()).or_default();
            if held.waiting >= self.waiting {
                return None;
            }
            held.waiting += 1;
            let waited = self.freed.wait_timeout_while(taken, wait, is_full);
            (taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
            taken.entry(key.clone()).or_default().waiting -= 1;
            if is_full(&mut taken) {
                return None;
            }
        }
        taken.entry(key.clone()).or_default().taken += 1;
        drop(taken);
        Some(Turn { turns: self, key })
    }
}

impl<K> Turns<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Held>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        if let Some(held) = taken.get_mut(&self.key) {
            held.taken -= 1;
            if held.taken == 0 && held.waiting == 0 {
                taken.remove(&self.key);
            }
        }
        drop(taken);
        self.turns.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_places_and_one_that_is_given_back_goes_to_who_waits() {
        let turns = Turns::new(2, 1);
        let (first, _second) = (turns.take("a", Duration::ZERO).unwrap(), turns.take("a", Duration::ZERO).unwrap());
        assert!(turns.take("a", Duration::from_millis(20)).is_none(), "a third place");
        assert!(turns.take("b", Duration::ZERO).is_some(), "another's places are its own");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.take("a", Duration::from_mins(1)).is_some());
            while turns.lock().get("a").is_none_or(|held| held.waiting == 0) {
                std::thread::yield_now();
            }
            let begun = std::time::Instant::now();
            assert!(turns.take("a", Duration::from_mins(1)).is_none(), "a second one that waits");
            assert!(begun.elapsed() < Duration::from_secs(30), "it is sent away at once");
            drop(first);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(turns.lock().len(), 1, "what nobody holds is forgotten");
    }
}
