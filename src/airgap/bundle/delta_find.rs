//! Finds where the content of a frame has been before. Sampled by what stands there and not by its place, so that moved,
//! renamed and repacked content is found as well. Guesses: a wrong one makes a patch larger, never false.

use std::collections::{BTreeMap, HashMap};

use super::delta_file::Origin;
use super::delta_patch::REFERENCE;

/// The most samples, roughly.
const MOST: u64 = 1 << 20;
/// The step in which places are counted, in bytes.
const STEP: u64 = 1 << 20;
/// The least that must agree before a patch is tried.
const LEAST: usize = 2;

/// Where samples of known content are.
pub(crate) struct Places {
    gear: [u64; 256],
    /// One of so many bytes is sampled: a power of two.
    rate: u32,
    /// Of each origin by itself: what both have may be found whole in one of them only.
    known: BTreeMap<Origin, HashMap<u64, u64>>,
}

impl Places {
    /// For about `size` bytes of content.
    pub(crate) fn new(size: u64) -> Self {
        let mut state = 0_u64;
        let mut next = || {
            // SplitMix64: any numbers would do, as long as they are always the same.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let one = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let two = (one ^ (one >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            two ^ (two >> 31)
        };
        let gear = std::array::from_fn(|_| next());
        let rate = (10..32).find(|rate| size >> rate <= MOST).unwrap_or(32);
        Self { gear, rate, known: BTreeMap::new() }
    }

    /// Remembers content that begins at the byte `from` of all that `origin` holds.
    pub(crate) fn add(&mut self, origin: Origin, from: u64, content: &[u8]) {
        let samples = self.samples(content);
        let known = self.known.entry(origin).or_default();
        for (key, at) in samples {
            known.entry(key).or_insert(from + at);
        }
    }

    /// The region that has most of `content`, as its origin, its first byte and its length. `None` when nothing has any.
    pub(crate) fn find(&self, content: &[u8], sizes: &dyn Fn(Origin) -> u64) -> Option<(Origin, u64, u64)> {
        let mut votes: BTreeMap<(Origin, u64), usize> = BTreeMap::new();
        for (key, _) in self.samples(content) {
            for (origin, known) in &self.known {
                if let Some(at) = known.get(&key) {
                    *votes.entry((*origin, at / STEP)).or_default() += 1;
                }
            }
        }
        let votes: Vec<((Origin, u64), usize)> = votes.into_iter().collect();
        // The region has a step more at both its ends.
        let wide = REFERENCE / STEP - 2;
        let mut best: Option<(usize, Origin, u64, u64)> = None;
        for (index, ((origin, first), _)) in votes.iter().enumerate() {
            let within = votes.iter().skip(index).take_while(|((other, at), _)| other == origin && at - first < wide);
            let (mut sum, mut last) = (0, *first);
            for ((_, at), count) in within {
                (sum, last) = (sum + count, *at);
            }
            // Of two that have as much, the new bundle's own: where nothing was sampled, it has what was changed.
            let is_better =
                |(most, other, ..): (usize, Origin, u64, u64)| sum > most || (sum == most && *origin > other);
            if best.is_none_or(is_better) {
                best = Some((sum, *origin, *first, last));
            }
        }
        let (_, origin, first, last) = best.filter(|(sum, ..)| *sum >= LEAST)?;
        let from = first.saturating_sub(1) * STEP;
        let until = ((last + 2) * STEP).min(sizes(origin));
        (until > from).then(|| (origin, from, until - from))
    }

    /// One in so many places of `content`, chosen by the 64 bytes before it, with what these are.
    fn samples(&self, content: &[u8]) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let (mut hash, mut last) = (0_u64, 0);
        for (at, byte) in (0_u64..).zip(content) {
            hash = (hash << 1).wrapping_add(self.gear.get(usize::from(*byte)).copied().unwrap_or_default());
            if hash >> (64 - self.rate) == 0 && at >= 64 && hash != last {
                found.push((hash, at));
                last = hash;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(size: usize, seed: u8) -> Vec<u8> {
        let mut hash = [seed; 32];
        let next = || {
            hash = vault::digest::sha256(&hash);
            hash
        };
        std::iter::repeat_with(next).take(size / 32).flatten().collect()
    }

    #[test]
    fn content_is_found_where_it_was_wherever_it_is_now() {
        let mut places = Places::new(8 << 20);
        let old = noise(6 << 20, 1);
        places.add(Origin::Base, 10 << 20, &old);
        places.add(Origin::Made, 0, &noise(1 << 20, 2));
        let sizes = |_| 16_u64 << 20;
        let moved = [b"something before".as_slice(), &old[(3 << 20) + 777..(4 << 20) + 777]].concat();
        let (origin, from, length) = places.find(&moved, &sizes).unwrap();
        assert_eq!(origin, Origin::Base);
        assert!(from <= 13 << 20 && from + length >= (14 << 20) + 777 && length <= 6 << 20, "{from} {length}");
        assert_eq!(places.find(&noise(1 << 20, 2), &sizes).unwrap().0, Origin::Made);
        assert_eq!(places.find(&noise(1 << 20, 3), &sizes), None);
        assert_eq!(places.find(&vec![0; 1 << 20], &sizes), None);
    }
}
