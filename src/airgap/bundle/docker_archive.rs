//! A Docker archive made on the fly, of some images and some of their layers: nothing of it ever lies on a disk or whole in
//! memory. What it says of a layer's content is the caller's, who has verified it. The one writer of such archives.

use std::collections::VecDeque;
use std::io::{self, Read};

use serde::Serialize;

use super::{Mode, ustar};

/// The size of a tar's record, in bytes.
const RECORD: u64 = ustar::BLOCK as u64;

/// One image of the list that `docker load` reads.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    pub(crate) config: String,
    /// None when it is to have no name yet.
    pub(crate) repo_tags: Option<Vec<String>>,
    pub(crate) layers: Vec<String>,
}

/// Where that list is.
pub(crate) const LIST: &str = "manifest.json";

/// A file of the archive.
pub(crate) enum Piece<'c> {
    /// Its whole content.
    Bytes(Vec<u8>),
    /// What gives its content when its turn comes, and how long it is.
    Stream(u64, Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send + 'c>> + Send + 'c>),
}

/// The archive, to be read once from the beginning to its end.
pub(crate) struct Outgoing<'c> {
    waiting: VecDeque<(String, Piece<'c>)>,
    now: Box<dyn Read + Send + 'c>,
    /// How many bytes of the present content are to come, and of the zeros behind it.
    left: u64,
    padding: u64,
    is_at_end: bool,
    /// The time of all files, in seconds since 1970.
    epoch: u64,
    tell: Box<dyn FnMut(u64) + Send + 'c>,
}

impl<'c> Outgoing<'c> {
    /// An archive of these files, in this order. `tell` hears of every content's bytes as they go out.
    pub(crate) fn new(files: Vec<(String, Piece<'c>)>, epoch: u64, tell: Box<dyn FnMut(u64) + Send + 'c>) -> Self {
        let waiting = files.into();
        Self { waiting, now: Box::new(io::empty()), left: 0, padding: 0, is_at_end: false, epoch, tell }
    }

    /// Goes on to what comes after what was read whole. `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        if self.padding > 0 {
            self.now = Box::new(io::repeat(0));
            self.left = std::mem::take(&mut self.padding);
            return Ok(true);
        }
        let Some((name, piece)) = self.waiting.pop_front() else {
            if self.is_at_end {
                return Ok(false);
            }
            self.is_at_end = true;
            (self.now, self.left) = (Box::new(io::repeat(0)), 2 * RECORD);
            return Ok(true);
        };
        let (size, content): (u64, Box<dyn Read + Send + 'c>) = match piece {
            Piece::Bytes(bytes) => (bytes.len() as u64, Box::new(io::Cursor::new(bytes))),
            Piece::Stream(size, open) => (size, open()?),
        };
        let header = ustar::header(&name, size, Mode::Plain, self.epoch);
        let header =
            header.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file is too large for an archive"))?;
        self.now = Box::new(io::Cursor::new(header).chain(content));
        self.left = RECORD + size;
        self.padding = size.next_multiple_of(RECORD) - size;
        Ok(true)
    }
}

impl Read for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !buffer.is_empty() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(space) = buffer.get_mut(..most).filter(|space| !space.is_empty()) else { return Ok(0) };
        let size = self.now.read(space)?;
        if size == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a layer is shorter than the manifest says"));
        }
        self.left -= size as u64;
        (self.tell)(size as u64);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_a_tar_of_its_files_and_every_byte_is_told() {
        let sizes = [0_usize, 1, 511, 512, 513, 70_000];
        let content = |size: usize| vec![u8::try_from(size % 251).unwrap_or_default(); size];
        let files = sizes.iter().enumerate().map(|(index, size)| {
            let name = format!("blobs/sha256/{index}");
            let bytes = content(*size);
            let piece = if index % 2 == 0 {
                Piece::Bytes(bytes)
            } else {
                Piece::Stream(bytes.len() as u64, Box::new(move || Ok(Box::new(io::Cursor::new(bytes)) as Box<_>)))
            };
            (name, piece)
        });
        let mut told = 0;
        let mut whole = Vec::new();
        let mut archive = Outgoing::new(files.collect(), 7, Box::new(|more| told += more));
        archive.read_to_end(&mut whole).unwrap();
        assert_eq!(archive.read(&mut [0; 10]).unwrap(), 0, "the end stays the end");
        drop(archive);
        assert_eq!((whole.len() as u64, whole.len() % 512), (told, 0));
        let mut archive = tar::Archive::new(whole.as_slice());
        let mut read = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            read.push((entry.path().unwrap().display().to_string(), bytes));
        }
        let expected: Vec<_> =
            sizes.iter().enumerate().map(|(index, size)| (format!("blobs/sha256/{index}"), content(*size))).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_content_that_is_shorter_than_it_was_said_to_be_breaks_the_archive() {
        let piece = Piece::Stream(10, Box::new(|| Ok(Box::new(io::Cursor::new(vec![1_u8; 9])) as Box<_>)));
        let mut archive = Outgoing::new(vec![("a".into(), piece)], 0, Box::new(|_| ()));
        let error = archive.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
