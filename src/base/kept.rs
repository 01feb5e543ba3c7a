//! What was worked out of things that never change, kept by what they are called. What was not used for longest goes first
//! once all of it weighs too much; nothing here may grow without a bound, and nothing may be kept under a name whose
//! meaning can change.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by key, shared by all readers of a site.
#[derive(Debug)]
pub struct Kept<K, V> {
    limit: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, One<V>>,
    order: BTreeMap<u64, K>,
    weight: usize,
    uses: u64,
}

#[derive(Debug)]
struct One<V> {
    value: V,
    weight: usize,
    used: u64,
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// Keeps values of at most this weight together, in whatever unit the caller weighs.
    pub fn new(limit: usize) -> Self {
        let inner = Inner { values: HashMap::new(), order: BTreeMap::new(), weight: 0, uses: 0 };
        Self { limit, inner: Mutex::new(inner) }
    }

    /// The value, now the one that was used last.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let uses = inner.uses;
        let found = inner.values.get_mut(key)?;
        let before = std::mem::replace(&mut found.used, uses);
        let value = found.value.clone();
        if let Some(key) = inner.order.remove(&before) {
            inner.order.insert(uses, key);
        }
        Some(value)
    }

    /// Keeps a value, in place of one that had its key. One heavier than all may weigh together is not kept.
    pub fn put(&self, key: K, weight: usize, value: V) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove(&key);
        if weight > self.limit {
            return;
        }
        inner.uses += 1;
        inner.weight += weight;
        let used = inner.uses;
        inner.order.insert(used, key.clone());
        inner.values.insert(key, One { value, weight, used });
        while inner.weight > self.limit {
            let Some((_, oldest)) = inner.order.pop_first() else { break };
            inner.remove(&oldest);
        }
    }

    /// Drops a value.
    pub fn forget(&self, key: &K) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(one) = self.values.remove(key) {
            self.weight -= one.weight;
            self.order.remove(&one.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let kept = Kept::new(25);
        for key in ["a", "b"] {
            kept.put(key, 10, key.len());
        }
        assert_eq!(kept.get(&"a"), Some(1));
        kept.put("c", 10, 1);
        assert_eq!((kept.get(&"a"), kept.get(&"b"), kept.get(&"c")), (Some(1), None, Some(1)));
        kept.put("a", 5, 2);
        assert_eq!(kept.get(&"a"), Some(2));
        kept.put("a", 100, 3);
        assert_eq!((kept.get(&"a"), kept.get(&"c")), (None, Some(1)), "too heavy, and in nobody's way");
        kept.forget(&"c");
        let inner = kept.inner.lock().unwrap();
        assert_eq!((inner.weight, inner.values.len(), inner.order.len()), (0, 0, 0));
    }
}
