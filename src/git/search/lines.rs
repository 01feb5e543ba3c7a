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
        let (lines, more) = matching(&data, pattern, limits.lines, until);
        if lines.is_empty() {
            return Ok(true);
        }
        if found.files.len() >= limits.files {
            found.stop = Some(Stop::Results);
            return Ok(false);
        }
        found.files.push(FileHit { path: path.clone(), lines, more });
        Ok(true)
    })?;
    if end == End::Late {
        found.stop = Some(Stop::Time);
    }
    Ok(found)
}

/// The first lines with a match, and how many more there are.
fn matching(data: &[u8], pattern: &Pattern, limit: usize, until: Instant) -> (Vec<LineHit>, usize) {
    let mut lines: Vec<(usize, Range<usize>, Vec<Range<usize>>)> = Vec::new();
    let (mut more, mut number, mut counted, mut last_line) = (0_usize, 1_usize, 0_usize, usize::MAX);
    let is_something = |found: &regex::bytes::Match<'_>| !found.is_empty();
    for (at, found) in pattern.0.find_iter(data).take(MATCHES).filter(is_something).enumerate() {
        if at % 100 == 99 && Instant::now() >= until {
            break;
        }
        let before = data.get(..found.start()).unwrap_or_default();
        number += data.get(counted..found.start()).unwrap_or_default().split(|byte| *byte == b'\n').count() - 1;
        counted = found.start();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = data.get(found.start()..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(data.len(), |at| found.start() + at);
        let mark = found.start()..found.end().min(end);
        if last_line == start {
            if let Some((_, _, marks)) =
                lines.last_mut().filter(|(_, line, marks)| line.start == start && marks.len() < MARKS)
            {
                marks.push(mark);
            }
            continue;
        }
        last_line = start;
        if lines.len() < limit {
            lines.push((number, start..end, vec![mark]));
        } else {
            more += 1;
        }
    }
    let hits = lines.into_iter().map(|(number, line, marks)| LineHit { number, pieces: pieces(data, &line, &marks) });
    (hits.collect(), more)
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
