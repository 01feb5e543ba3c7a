//! What was worked out of immutable objects, kept by their ids. The oldest go first once all of it weighs too much;
//! nothing here may grow without a bound.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use base::name::{Oid, TreePath};

/// A path in a commit of one repository.
pub(crate) type Place = (i64, Oid, TreePath);

/// Values by key, shared by all readers of a site.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    limit: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, (usize, V)>,
    order: VecDeque<K>,
    weight: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    /// Keeps values of at most this weight together, in whatever unit the caller weighs.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::new(Inner { values: HashMap::new(), order: VecDeque::new(), weight: 0 }) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.values.get(key).map(|(_, value)| value.clone())
    }

    pub(crate) fn put(&self, key: K, weight: usize, value: V) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove(&key);
        inner.weight += weight;
        inner.order.push_back(key.clone());
        inner.values.insert(key, (weight, value));
        while inner.weight > self.limit {
            let Some(oldest) = inner.order.front().cloned() else { break };
            inner.remove(&oldest);
        }
    }

    pub(crate) fn forget(&self, key: &K) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some((weight, _)) = self.values.remove(key) {
            self.weight -= weight;
            self.order.retain(|kept| kept != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_value_goes_first() {
        let kept = Kept::new(25);
        for key in ["a", "b", "c"] {
            kept.put(key, 10, key.len());
        }
        assert_eq!((kept.get(&"a"), kept.get(&"b"), kept.get(&"c")), (None, Some(1), Some(1)));
        kept.put("d", 100, 1);
        kept.forget(&"d");
        let inner = kept.inner.lock().unwrap();
        assert_eq!((inner.weight, inner.values.len(), inner.order.len()), (0, 0, 0));
    }
}
