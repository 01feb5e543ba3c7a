//! Which words of a changed line differ from the line that it took the place of. Pure and bounded: a line that is long,
//! or shares little with its counterpart, is left as a whole.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::{DiffLine, LineKind};

/// Bytes of a line that is looked into.
const LINE: usize = 400;
/// Pairs of lines in one change that are looked into.
const PAIRS: usize = 100;
/// Of a pair, in percent, what must be common.
const COMMON: usize = 40;

/// Marks what differs in the lines of one change: those removed, then those added.
pub(super) fn emphasise(lines: &mut [DiffLine]) {
    let cut = lines.iter().take_while(|line| line.kind == LineKind::Removed).count();
    let (removed, added) = lines.split_at_mut(cut);
    for (old, new) in removed.iter_mut().zip(added).take(PAIRS) {
        if let Some((before, after)) = differing(&old.text, &new.text) {
            old.emphasis = before;
            new.emphasis = after;
        }
    }
}

type Ranges = Vec<Range<usize>>;

/// The ranges that one text has and the other has not; `None` when too little is common.
fn differing(old: &str, new: &str) -> Option<(Ranges, Ranges)> {
    if old.len().max(new.len()) > LINE {
        return None;
    }
    let (before, after) = (words(old), words(new));
    let mut input = InternedInput::default();
    input.update_before(before.iter().map(|range| old.get(range.clone()).unwrap_or_default()));
    input.update_after(after.iter().map(|range| new.get(range.clone()).unwrap_or_default()));
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for hunk in diff.hunks() {
        left.extend(joined(&before, hunk.before));
        right.extend(joined(&after, hunk.after));
    }
    let blanks = |text: &str| text.bytes().filter(u8::is_ascii_whitespace).count();
    let whole = new.len() - blanks(new);
    let changed: usize = right.iter().map(|range| range.end - range.start).sum();
    let is_like = whole.saturating_sub(changed) * 100 >= whole.max(1) * COMMON;
    is_like.then(|| (closed(left, old), closed(right, new)))
}

/// Words, runs of blanks, and single other characters.
fn words(text: &str) -> Ranges {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 1,
        c if c.is_whitespace() => 2,
        _ => 0,
    };
    let mut words: Ranges = Vec::new();
    let mut last = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some(word) if class(c) != 0 && class(c) == last => word.end = end,
            _ => words.push(at..end),
        }
        last = class(c);
    }
    words
}

/// Words in a row as one range of the text.
fn joined(words: &[Range<usize>], range: Range<u32>) -> Option<Range<usize>> {
    let words = words.get(range.start as usize..range.end as usize)?;
    Some(words.first()?.start..words.last()?.end)
}

/// Ranges with nothing but blanks between them as one.
fn closed(ranges: Ranges, text: &str) -> Ranges {
    let mut out: Ranges = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if text.get(last.end..range.start).is_some_and(|between| between.trim().is_empty()) => {
                last.end = range.end;
            }
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_differ_are_marked() {
        let shown = |old: &str, new: &str| {
            let (left, right) = differing(old, new)?;
            let cut = |text: &str, ranges: &Ranges| {
                ranges.iter().map(|range| text[range.clone()].to_owned()).collect::<Vec<_>>().join("|")
            };
            Some((cut(old, &left), cut(new, &right)))
        };
        let some = |left: &str, right: &str| Some((left.to_owned(), right.to_owned()));
        assert_eq!(shown("let a = 1;", "let b = 1;"), some("a", "b"));
        assert_eq!(shown("f(x, y)", "f(x, y, zö)"), some("", ", zö"));
        assert_eq!(shown("one two three four", "one 2 3 four"), some("two three", "2 3"));
        assert_eq!(shown("completely other", "nothing in common here"), None);
        assert_eq!(shown("same", "same"), some("", ""));
        assert_eq!(shown(&"a ".repeat(300), "a"), None);
    }
}
