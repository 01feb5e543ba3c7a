//! A search in the lines of files. A file's size is looked at before it is loaded, and one at a time is in memory.

use std::ops::Range;
use std::time::Instant;

use base::name::Oid;
use gix::objs::Kind;

use super::walk::{self, End};
use super::{FILE, FileHit, Found, LineHit, Pattern, Piece, SearchLimits, Stop};
use crate::error::Cause;
use crate::read::lines::is_binary;
use crate::read::{header, load};

/// Bytes of a line that are shown, and of those before its first match.
const SHOWN: usize = 300;
const BEFORE: usize = 80;
/// Matches of one file that are looked at.
const MATCHES: usize = 10_000;
/// Bytes that an expression is shown at a time, and those behind them that a match may reach into.
const SLICE: usize = 16 << 10;
const BEYOND: usize = 1 << 10;
/// Matches marked in one line.
const MARKS: usize = 20;

pub(super) fn search(
    git: &gix::Repository,
    commit: &Oid,
    pattern: &Pattern,
    paths: Option<&Pattern>,
    limits: SearchLimits,
) -> Result<Found, Cause> {
    let until = Instant::now() + limits.time;
    let mut found = Found::default();
    let mut bytes = limits.bytes;
    let end = walk::files(git, commit, until, |path, mode, id| {
        if mode.is_link() || paths.is_some_and(|paths| !paths.fits(path.as_bytes())) {
            return Ok(true);
        }
        let Some((Kind::Blob, size)) = header(git, id)? else { return Ok(true) };
        if size > FILE {
            found.large += 1;
            return Ok(true);
        }
        let Some(left) = bytes.checked_sub(size) else {
            found.stop = Some(Stop::Bytes);
            return Ok(false);
        };
        bytes = left;
        let data = load(git, id, Kind::Blob, FILE)?.unwrap_or_default();
        if is_binary(&data) {
            found.binary += 1;
            return Ok(true);
        }
        found.searched += 1;
        let Matching { lines, more, is_late } = matching(&data, pattern, limits.lines, until);
        if !lines.is_empty() {
            if found.files.len() >= limits.files {
                found.stop = Some(Stop::Results);
                return Ok(false);
            }
            let hit = |(number, line, marks): (usize, Range<usize>, Vec<_>)| LineHit {
                number,
                pieces: pieces(&data, &line, &marks),
            };
            found.files.push(FileHit { path: path.clone(), lines: lines.into_iter().map(hit).collect(), more });
        }
        if is_late {
            found.stop = Some(Stop::Time);
        }
        Ok(!is_late)
    })?;
    if end == End::Late {
        found.stop = Some(Stop::Time);
    }
    Ok(found)
}

/// What a file gave.
#[derive(Default)]
struct Matching {
    /// The first lines with a match: number, place, and the matches' places.
    lines: Vec<(usize, Range<usize>, Vec<Range<usize>>)>,
    /// Further lines with a match.
    more: usize,
    /// Says whether the time was over before the end.
    is_late: bool,
}

/// The first lines with a match, and how many more there are. An expression sees a slice of the file at a time, and after
/// each of its answers the time is looked at: however slow it is, it cannot hold a thread.
fn matching(data: &[u8], pattern: &Pattern, limit: usize, until: Instant) -> Matching {
    let mut found = Matching::default();
    let (mut number, mut counted, mut matches, mut at) = (1_usize, 0_usize, 0_usize, 0_usize);
    let mut last_line = usize::MAX;
    while at < data.len() && matches < MATCHES {
        let (begins_before, end) = slice(data, at);
        let seen = data.get(..end).unwrap_or(data);
        while matches < MATCHES {
            if Instant::now() >= until {
                found.is_late = true;
                return found;
            }
            let next = pattern.0.find_at(seen, at).filter(|found| found.start() < begins_before);
            let Some(hit) = next else { break };
            at = hit.end().max(hit.start() + 1);
            matches += 1;
            if hit.is_empty() {
                if at >= begins_before {
                    break;
                }
                continue;
            }
            let before = data.get(counted..hit.start()).unwrap_or_default();
            number += before.split(|byte| *byte == b'\n').count().saturating_sub(1);
            counted = hit.start();
            let line = line_around(data, hit.start());
            let mark = hit.start()..hit.end().min(line.end);
            if last_line == line.start {
                let same = found.lines.last_mut().filter(|(_, other, marks)| *other == line && marks.len() < MARKS);
                if let Some((_, _, marks)) = same {
                    marks.push(mark);
                }
            } else if found.lines.len() < limit {
                found.lines.push((number, line.clone(), vec![mark]));
            } else {
                found.more += 1;
            }
            last_line = line.start;
            if at >= begins_before {
                break;
            }
        }
        at = at.max(begins_before);
    }
    found
}

/// What is looked at next: where matches of it begin at the latest, and where it ends. Whole lines, or a part of a long one
/// with a little of what follows.
fn slice(data: &[u8], at: usize) -> (usize, usize) {
    let rest = data.get(at..).unwrap_or_default();
    let Some(first) = rest.get(..SLICE) else { return (data.len(), data.len()) };
    match first.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => (at + last + 1, at + last + 1),
        None => (at + SLICE, data.len().min(at + SLICE + BEYOND)),
    }
}

fn line_around(data: &[u8], at: usize) -> Range<usize> {
    let before = data.get(..at).unwrap_or_default();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let rest = data.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\n').map_or(data.len(), |found| at + found);
    start..end
}

/// The line's text in turns: what was not looked for, and what was.
fn pieces(data: &[u8], line: &Range<usize>, marks: &[Range<usize>]) -> Vec<Piece> {
    let first = marks.first().map_or(line.start, |mark| mark.start);
    let mut start = line.start;
    if line.len() > SHOWN {
        start = line.start.max(first.saturating_sub(BEFORE));
        // Not in the middle of a character.
        while start < first && data.get(start).is_some_and(|byte| (0x80..0xc0).contains(byte)) {
            start += 1;
        }
    }
    let end = line.end.min(start + SHOWN);
    let text = |range: Range<usize>| {
        let bytes = data.get(range).unwrap_or_default();
        String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
    };
    let mut pieces = Vec::new();
    let mut at = start;
    for mark in marks.iter().filter(|mark| mark.start < end) {
        pieces.push(Piece { text: text(at..mark.start), is_match: false });
        at = mark.end.min(end);
        pieces.push(Piece { text: text(mark.start..at), is_match: true });
    }
    pieces.push(Piece { text: text(at..end), is_match: false });
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}
