//! What a request of version 2 over HTTP turns out to be, found out before Git is started. Whatever is not known exactly is
//! left to Git itself, with every byte that was read of it.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::everything::Everything;
use crate::ls_refs::{Answer, Asked, hidden};
use crate::{Error, Repo, pktline};

/// Bytes of a request that are looked at; Git answers a longer one. Enough for a clone of 20,000 refs.
const LONGEST: usize = 1 << 20;
/// Bytes that are read at a time.
const PIECE: usize = 16 << 10;
/// How requests begin that can be answered here.
const COMMANDS: [&[u8]; 3] = [b"0014command=ls-refs\n", b"0011command=fetch", b"0012command=fetch\n"];

/// What a request turned out to be.
pub(crate) enum Heard {
    /// A whole request for refs, and what answers it.
    Refs(Answer),
    /// A whole request for all that refs lead to.
    Everything(Everything),
    /// Something for Git: the bytes that were read of it.
    Other(Vec<u8>),
}

/// Reads as far as it takes to know what is asked.
pub(crate) async fn hear(repo: &Repo, input: &mut (impl AsyncRead + Unpin + Send)) -> Result<Heard, Error> {
    let (mut seen, mut checked) = (Vec::new(), 0);
    loop {
        seen.reserve(PIECE);
        let count = input.read_buf(&mut seen).await.map_err(Error::Transfer)?;
        if count == 0 || seen.len() > LONGEST || !is_known(&seen) {
            return Ok(Heard::Other(seen));
        }
        let mut lines = Lines(seen.get(checked..).unwrap_or_default());
        let end = lines.find(|line| matches!(line, Line::Flush | Line::Wrong));
        checked = seen.len() - lines.0.len();
        match end {
            Some(Line::Flush) => break,
            Some(_) => return Ok(Heard::Other(seen)),
            None => {}
        }
    }
    let Some(hidden) = hidden() else { return Ok(Heard::Other(seen)) };
    if let Some(asked) = Asked::parse(&seen) {
        let table = repo.table().await?;
        return Ok(if table.is_exact { Heard::Refs(Answer { asked, table, hidden }) } else { Heard::Other(seen) });
    }
    let Some(everything) = Everything::parse(&seen) else { return Ok(Heard::Other(seen)) };
    let table = repo.table().await?;
    let is_told = table.is_exact && everything.is_told(&table, &hidden);
    Ok(if is_told { Heard::Everything(everything) } else { Heard::Other(seen) })
}

/// How many bytes the request takes that `bytes` begin with, when it is one that is answered without Git if the refs allow it.
pub fn understood(bytes: &[u8]) -> Option<usize> {
    let mut lines = Lines(bytes);
    let end = lines.find(|line| matches!(line, Line::Flush | Line::Wrong))?;
    let is_whole = end == Line::Flush && is_known(bytes);
    let is_ours = is_whole && (Asked::parse(bytes).is_some() || Everything::parse(bytes).is_some());
    is_ours.then_some(bytes.len() - lines.0.len())
}

/// Says whether this is how a request begins that can be answered here, or the first bytes of it.
fn is_known(bytes: &[u8]) -> bool {
    COMMANDS.iter().any(|command| {
        let length = bytes.len().min(command.len());
        bytes.get(..length) == command.get(..length)
    })
}

/// The lines of a request, newline taken off. What is left behind the last whole one stays in it.
pub(crate) struct Lines<'b>(pub(crate) &'b [u8]);

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'b> {
    Text(&'b [u8]),
    Delimiter,
    Flush,
    /// No line that Git would send.
    Wrong,
}

impl<'b> Iterator for Lines<'b> {
    type Item = Line<'b>;

    fn next(&mut self) -> Option<Line<'b>> {
        let digits = std::str::from_utf8(self.0.get(..4)?).unwrap_or_default();
        let is_plain = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let length = if is_plain { usize::from_str_radix(digits, 16).ok() } else { None };
        let (line, taken) = match length {
            Some(0) => (Line::Flush, 4),
            Some(1) => (Line::Delimiter, 4),
            Some(length @ 5..=pktline::LONGEST) => {
                let text = self.0.get(4..length)?;
                (Line::Text(text.strip_suffix(b"\n").unwrap_or(text)), length)
            }
            _ => (Line::Wrong, self.0.len()),
        };
        self.0 = self.0.get(taken..).unwrap_or_default();
        Some(line)
    }
}
