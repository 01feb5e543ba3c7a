//! The lines of one changed file, as a page shows them. Pure.

use std::borrow::Cow;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::words;
use crate::{DiffLine, DiffOptions, Hunk, LineKind};

/// Characters of a section's heading.
const SECTION: usize = 80;
/// Bytes of one line that are shown.
const LINE_BYTES: usize = 4_096;

/// A file's difference.
pub(crate) struct LineDiff {
    pub(crate) hunks: Vec<Hunk>,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    /// Lines in the hunks.
    pub(crate) shown: usize,
}

/// Says whether content is no text, as git does: a NUL among the first 8,000 bytes.
pub(crate) fn is_binary(content: &[u8]) -> bool {
    content.iter().take(8_000).any(|byte| *byte == 0)
}

/// Compares line by line. `None` when more than `limit` lines would be shown.
pub(crate) fn compare(old: &[u8], new: &[u8], limit: usize, options: &DiffOptions) -> Option<LineDiff> {
    let (old_lines, new_lines): (Vec<&[u8]>, Vec<&[u8]>) = (split(old), split(new));
    let mut input = InternedInput::default();
    input.update_before(old_lines.iter().map(|line| token(line, options)));
    input.update_after(new_lines.iter().map(|line| token(line, options)));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let (added, removed) = (u64::from(diff.count_additions()), u64::from(diff.count_removals()));
    if added + removed > limit as u64 {
        return None;
    }
    let changes: Vec<_> = diff.hunks().collect();
    let context = options.context;
    let mut found = LineDiff { hunks: Vec::new(), added, removed, shown: 0 };
    let mut sections = Sections { lines: &old_lines, looked_at: 0, last: None };
    for group in changes.chunk_by(|a, b| b.before.start - a.before.end <= context.saturating_mul(2)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let before = first.before.start.min(context);
        let (old_start, new_start) = (first.before.start - before, first.after.start - before);
        let after = (count(old_lines.len()) - last.before.end).min(context);
        let (old_end, new_end) = (last.before.end + after, (last.after.end + after).min(count(new_lines.len())));
        let mut lines = Lines { so_far: Vec::new(), old: old_start, new: new_start };
        for change in group {
            lines.context(change.before.start, &new_lines);
            let begun = lines.so_far.len();
            change.before.clone().for_each(|at| lines.push(LineKind::Removed, text_at(&old_lines, at)));
            change.after.clone().for_each(|at| lines.push(LineKind::Added, text_at(&new_lines, at)));
            words::emphasise(lines.so_far.get_mut(begun..).unwrap_or_default());
        }
        lines.context(old_end, &new_lines);
        found.shown += lines.so_far.len();
        if found.shown > limit {
            return None;
        }
        let header = format!("@@ -{} +{} @@", range(old_start, old_end), range(new_start, new_end));
        let section = sections.above(old_start as usize);
        found.hunks.push(Hunk { header, section, lines: lines.so_far });
    }
    Some(found)
}

fn split(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

/// What makes two lines the same.
fn token<'l>(line: &'l [u8], options: &DiffOptions) -> Cow<'l, [u8]> {
    if options.ignores_blanks {
        line.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
    } else {
        Cow::Borrowed(line)
    }
}

/// Looks for what git takes for the heading of a part of a file: a line that begins with a letter, `_` or `$`.
struct Sections<'l> {
    lines: &'l [&'l [u8]],
    looked_at: usize,
    last: Option<usize>,
}

impl Sections<'_> {
    /// The heading above this line; asked for from the top down.
    fn above(&mut self, line: usize) -> String {
        for (at, line) in self.lines.iter().enumerate().take(line).skip(self.looked_at) {
            let is_heading = line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$'));
            self.last = if is_heading { Some(at) } else { self.last };
        }
        self.looked_at = self.looked_at.max(line);
        let heading = self.last.and_then(|at| self.lines.get(at)).map(|line| text(line)).unwrap_or_default();
        heading.trim_end().chars().take(SECTION).collect()
    }
}

/// Lines of a hunk while it grows, with the next line numbers (from 0).
struct Lines {
    so_far: Vec<DiffLine>,
    old: u32,
    new: u32,
}

impl Lines {
    fn push(&mut self, kind: LineKind, text: String) {
        let old = (kind != LineKind::Added).then_some(self.old + 1);
        let new = (kind != LineKind::Removed).then_some(self.new + 1);
        self.old += u32::from(old.is_some());
        self.new += u32::from(new.is_some());
        self.so_far.push(DiffLine { kind, old, new, text, emphasis: Vec::new() });
    }

    /// Unchanged lines up to this one of the older version, as the newer one has them.
    fn context(&mut self, until: u32, new: &[&[u8]]) {
        while self.old < until {
            self.push(LineKind::Context, text_at(new, self.new));
        }
    }
}

/// A range as diff(1) writes it: no count when it is 1, and the line before it when it is empty.
fn range(start: u32, end: u32) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn text_at(lines: &[&[u8]], at: u32) -> String {
    lines.get(at as usize).map(|line| text(line)).unwrap_or_default()
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line.get(..LINE_BYTES).unwrap_or(line)).into_owned()
}
