//! What became of a ref, worked out from what it is now: which of the moves that were noted but never concluded happened.
//! Pure; decides nothing about what is done with the answer.

/// Steps of the search. What is found by then is at least a path straight back.
const STEPS: usize = 10_000;

/// From what to what.
type Move = (String, String);

/// The places in `noted` of the moves that happened, in their order. `value` is what the ref is now and `told` are the
/// moves that are on record, both lists oldest first. Goes back from `value` along as many recorded moves as it can and, with
/// as many of those, along as many noted ones. A noted move that would lead back to where the way has been is left out: what
/// came to nothing is not made up.
pub(crate) fn happened(value: &str, told: &[Move], noted: &[Move]) -> Vec<usize> {
    let mut search = Search {
        told,
        noted,
        has_told: vec![false; told.len()],
        way: Vec::new(),
        been: vec![value.to_owned()],
        best: (0, Vec::new()),
        steps: STEPS,
    };
    search.back(value, 0);
    search.best.1.reverse();
    search.best.1
}

struct Search<'m> {
    told: &'m [Move],
    noted: &'m [Move],
    /// Which recorded moves the way has taken.
    has_told: Vec<bool>,
    /// Which noted ones, last first.
    way: Vec<usize>,
    been: Vec<String>,
    /// How many recorded ones the best way has, and its noted ones.
    best: (usize, Vec<usize>),
    steps: usize,
}

impl Search<'_> {
    fn back(&mut self, at: &str, told: usize) {
        if (told, self.way.len()) > (self.best.0, self.best.1.len()) {
            self.best = (told, self.way.clone());
        }
        let Some(steps) = self.steps.checked_sub(1) else { return };
        self.steps = steps;
        for (place, (old, new)) in self.told.iter().enumerate().rev() {
            if new == at && self.has_told.get(place) == Some(&false) {
                self.take(place, true);
                self.been.push(old.clone());
                self.back(old, told + 1);
                self.been.pop();
                self.take(place, false);
            }
        }
        for (place, (old, new)) in self.noted.iter().enumerate().rev() {
            if new == at && !self.been.contains(old) {
                self.way.push(place);
                self.been.push(old.clone());
                self.back(old, told);
                self.been.pop();
                self.way.pop();
            }
        }
    }

    fn take(&mut self, place: usize, is_taken: bool) {
        if let Some(taken) = self.has_told.get_mut(place) {
            *taken = is_taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ab` is a move from a to b.
    fn moves(text: &str) -> Vec<Move> {
        text.split_whitespace().map(|one| (one[..1].to_owned(), one[1..].to_owned())).collect()
    }

    #[test]
    fn what_happened_is_what_leads_to_where_the_ref_is() {
        for (value, told, noted, expected) in [
            ("b", "", "ab", vec![0]),
            ("a", "", "ab", vec![]),
            // Both were killed before either had its event.
            ("c", "", "ab bc", vec![0, 1]),
            ("c", "", "bc ab", vec![1, 0]),
            // The second moved on from the first and has its event.
            ("c", "bc", "ab", vec![0]),
            // Two clients made the same tag, and one of them was refused.
            ("x", "0x", "0x", vec![]),
            ("x", "0x", "x0 0x", vec![]),
            ("x", "", "0x 0x", vec![1]),
            // Told before it moved, and refused since it was elsewhere.
            ("b", "ab", "cb", vec![]),
            ("a", "ab ba", "ab", vec![]),
            ("b", "ab ba", "ab", vec![0]),
            ("0", "0a ab", "b0", vec![0]),
            ("d", "0a bc", "ab cd", vec![0, 1]),
            ("z", "ab", "bc", vec![]),
        ] {
            assert_eq!(happened(value, &moves(told), &moves(noted)), expected, "{value} {told} {noted}");
        }
    }

    #[test]
    fn a_ref_that_swings_to_and_fro_does_not_keep_the_site_from_opening() {
        let swings = moves(&"ab ba ".repeat(100));
        assert!(happened("a", &swings, &moves(&"ba ".repeat(100))).len() <= 1);
    }
}
