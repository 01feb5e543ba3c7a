//! The lines of one changed file, as a page shows them. Pure.

use imara_diff::{Algorithm, Diff, InternedInput, sources::byte_lines};

use crate::{DiffLine, Hunk, LineKind};

/// Unchanged lines shown around a change.
const CONTEXT: u32 = 3;
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
pub(crate) fn compare(old: &[u8], new: &[u8], limit: usize) -> Option<LineDiff> {
    let input = InternedInput::new(byte_lines(old), byte_lines(new));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let (added, removed) = (u64::from(diff.count_additions()), u64::from(diff.count_removals()));
    if added + removed > limit as u64 {
        return None;
    }
    let old_text = |at: u32| input.before.get(at as usize).map_or(String::new(), |token| text(input.interner[*token]));
    let new_text = |at: u32| input.after.get(at as usize).map_or(String::new(), |token| text(input.interner[*token]));
    let (old_count, new_count) = (count(input.before.len()), count(input.after.len()));
    let mut hunks = Vec::new();
    let mut shown = 0;
    let changes: Vec<_> = diff.hunks().collect();
    for group in changes.chunk_by(|a, b| b.before.start - a.before.end <= 2 * CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let before = first.before.start.min(CONTEXT);
        let (old_start, new_start) = (first.before.start - before, first.after.start - before);
        let after = (old_count - last.before.end).min(CONTEXT);
        let (old_end, new_end) = (last.before.end + after, (last.after.end + after).min(new_count));
        let mut lines = Lines { so_far: Vec::new(), old: old_start, new: new_start };
        for change in group {
            lines.context(change.before.start, &old_text);
            change.before.clone().for_each(|at| lines.push(LineKind::Removed, old_text(at)));
            change.after.clone().for_each(|at| lines.push(LineKind::Added, new_text(at)));
        }
        lines.context(old_end, &old_text);
        shown += lines.so_far.len();
        if shown > limit {
            return None;
        }
        let header = format!("@@ -{} +{} @@", range(old_start, old_end), range(new_start, new_end));
        hunks.push(Hunk { header, lines: lines.so_far });
    }
    Some(LineDiff { hunks, added, removed, shown })
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
        self.so_far.push(DiffLine { kind, old, new, text });
    }

    fn context(&mut self, until: u32, text: &impl Fn(u32) -> String) {
        while self.old < until {
            self.push(LineKind::Context, text(self.old));
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

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line.get(..LINE_BYTES).unwrap_or(line)).into_owned()
}
