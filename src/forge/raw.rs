//! A file's bytes, whole and as windows of lines, handed on piece by piece: never a whole large file in memory.

use std::time::Duration;

use base::name::{Oid, TreePath};
use bytes::Bytes;

use crate::browse::locate;
use crate::compare::Pieces;
use crate::{Error, Forge, RepoRead, Revision};

/// Bytes of a file that is read in one go; a larger one is on its way in pieces.
const SMALL: u64 = 1 << 20;
/// Lines of a window, and bytes.
const LINES: usize = 2_000;
const BYTES: usize = 256 << 10;
/// Bytes of a file that a window may be behind.
const DEEPEST: u64 = 1 << 30;
/// Time to find a window.
const TIME: Duration = Duration::from_secs(10);

/// A file's bytes on their way to a reader. What makes them ends when this is dropped.
pub struct RawFile {
    /// Bytes in all.
    pub size: u64,
    /// The blob, a cache key.
    pub id: Oid,
    source: Source,
}

enum Source {
    Whole(Bytes),
    Pieces(Box<Pieces>),
}

impl RawFile {
    /// The bytes that come first: all of them, or as many as tell what the file is.
    pub fn first(&self) -> &[u8] {
        match &self.source {
            Source::Whole(bytes) => bytes,
            Source::Pieces(pieces) => pieces.first(),
        }
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.source {
            Source::Whole(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Source::Pieces(pieces) => pieces.next().await,
        }
    }

    /// All bytes of a file of at most `limit` bytes; `None` for a larger one.
    pub async fn whole(mut self, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        if self.size > limit {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }
}

/// Some lines of a file that is too large for a page.
#[derive(Clone, Debug)]
pub struct Window {
    /// The revision.
    pub revision: Revision,
    /// The file's path.
    pub path: TreePath,
    /// Bytes in all.
    pub size: u64,
    /// The number of its first line.
    pub first: usize,
    /// The lines; at most 2,000, and 256 KiB.
    pub text: String,
    /// The number of the line behind it; `None` at the end of the file.
    pub next: Option<usize>,
}

impl Forge {
    /// A file's bytes, for the raw view: the content type is the caller's to choose (never what the file says). `Busy`
    /// when too many large ones are on their way.
    pub async fn raw(&self, repo: &RepoRead, rest: &[u8]) -> Result<RawFile, Error> {
        let handle = self.handle(repo)?;
        let (revision, path) = locate(&handle, rest).await?;
        let entry = handle.entry(&revision.commit, &path).await?.ok_or(Error::NotFound)?;
        if !matches!(entry.kind, git::EntryKind::File | git::EntryKind::Executable) {
            return Err(Error::NotFound);
        }
        let size = entry.size.ok_or(Error::NotFound)?;
        if size > SMALL {
            let pieces = Pieces::begun(handle.blob_pieces(&entry.id)).await?;
            self.tell_read(repo, "file");
            return Ok(RawFile { size, id: entry.id, source: Source::Pieces(Box::new(pieces)) });
        }
        let bytes = handle.blob(&entry.id, SMALL).await?.and_then(|blob| blob.content).ok_or(Error::NotFound)?;
        self.tell_read(repo, "file");
        Ok(RawFile { size, id: entry.id, source: Source::Whole(bytes.into()) })
    }

    /// The lines of a file from number `first` on. `None` when they are no text; `NotFound` behind the end; `Busy` when
    /// they are not found within ten seconds.
    pub async fn window(&self, repo: &RepoRead, rest: &[u8], first: usize) -> Result<Option<Window>, Error> {
        let (revision, path) = locate(&self.handle(repo)?, rest).await?;
        let file = self.raw(repo, rest).await?;
        let size = file.size;
        let found = tokio::time::timeout(TIME, lines_from(file, first.max(1))).await.map_err(|_| Error::Busy)??;
        let Some(found) = found else { return Ok(None) };
        let text = String::from_utf8_lossy(&found.bytes).into_owned();
        Ok(Some(Window { revision, path, size, first: first.max(1), text, next: found.next }))
    }
}

struct Lines {
    bytes: Vec<u8>,
    next: Option<usize>,
}

/// Counts lines until the first one, then keeps what fits.
async fn lines_from(mut file: RawFile, first: usize) -> Result<Option<Lines>, Error> {
    let (mut line, mut read) = (1_usize, 0_u64);
    let mut kept: Vec<u8> = Vec::new();
    let mut lines = 0_usize;
    while let Some(piece) = file.next().await? {
        read += piece.len() as u64;
        if piece.contains(&0) {
            return Ok(None);
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if line >= first {
                kept.extend_from_slice(part.get(..BYTES.saturating_sub(kept.len())).unwrap_or(part));
            }
            if part.ends_with(b"\n") {
                lines += usize::from(line >= first);
                line += 1;
            }
            if lines >= LINES || kept.len() >= BYTES {
                let next = if part.ends_with(b"\n") { line } else { line + 1 };
                return Ok(Some(Lines { bytes: kept, next: Some(next) }));
            }
        }
        if read > DEEPEST {
            return Err(Error::Busy);
        }
    }
    if kept.is_empty() { Err(Error::NotFound) } else { Ok(Some(Lines { bytes: kept, next: None })) }
}
