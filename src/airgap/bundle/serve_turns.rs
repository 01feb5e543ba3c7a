//! How many are answered at a time, in all or of one address: who comes when all places are taken waits for one, and not for ever.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Places, so many for each key.
pub(crate) struct Turns<K> {
    most: usize,
    taken: Mutex<BTreeMap<K, usize>>,
    freed: Condvar,
}

/// A place, until it is dropped.
pub(crate) struct Turn<'t, K: Ord> {
    turns: &'t Turns<K>,
    key: K,
}

impl<K: Ord + Clone> Turns<K> {
    /// `most` places for each key.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, taken: Mutex::new(BTreeMap::new()), freed: Condvar::new() }
    }

    /// Takes one of the places of `key`, or gives up after `wait`.
    pub(crate) fn take(&self, key: K, wait: Duration) -> Option<Turn<'_, K>> {
        let is_full = |taken: &mut BTreeMap<K, usize>| taken.get(&key).is_some_and(|count| *count >= self.most);
        let waited = self.freed.wait_timeout_while(self.lock(), wait, is_full);
        let (mut taken, ended) = waited.unwrap_or_else(PoisonError::into_inner);
        if ended.timed_out() && taken.get(&key).is_some_and(|count| *count >= self.most) {
            return None;
        }
        *taken.entry(key.clone()).or_default() += 1;
        drop(taken);
        Some(Turn { turns: self, key })
    }
}

impl<K> Turns<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
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
        let turns = Turns::new(2);
        let (first, _second) = (turns.take("a", Duration::ZERO).unwrap(), turns.take("a", Duration::ZERO).unwrap());
        assert!(turns.take("a", Duration::from_millis(20)).is_none(), "a third place");
        assert!(turns.take("b", Duration::ZERO).is_some(), "another's places are its own");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.take("a", Duration::from_mins(1)).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(turns.lock().len(), 1, "what nobody holds is forgotten");
    }
}
