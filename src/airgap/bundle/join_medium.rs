//! A bundle read out of its parts where they lie: no second copy, no byte written. One part that is lost is made from the
//! others and the parity, each time it is read.

use std::io;

use super::Medium;
use super::parity::lay;
use super::split_header::{Part, Set};

/// The most that is given out at once, in bytes.
const PIECE: usize = 256 << 10;

/// The parts of a bundle, one behind the other; at most one of them is not there, and then the parity is.
pub(crate) struct Span {
    pub(crate) set: Set,
    pub(crate) parts: Vec<Option<Part>>,
    pub(crate) parity: Option<Part>,
}

impl Medium for Span {
    fn read_at(&self, buffer: &mut [u8], from: u64) -> io::Result<usize> {
        if from >= self.set.size {
            return Ok(0);
        }
        let index = usize::try_from(from / self.set.part).map_err(io::Error::other)?;
        let within = from % self.set.part;
        let wide = buffer.len().min(PIECE);
        let buffer = buffer.get_mut(..wide).unwrap_or_default();
        match self.parts.get(index) {
            // What does not read is made as well, when there is a parity.
            Some(Some(part)) => {
                part.read(buffer, within).or_else(|error| self.made(index, buffer, within).map_err(|_| error))
            }
            _ => self.made(index, buffer, within),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.set.size)
    }
}

impl Span {
    /// Fills `buffer` with bytes of the part that is not there.
    fn made(&self, index: usize, buffer: &mut [u8], within: u64) -> io::Result<usize> {
        let parity = self.parity.as_ref().ok_or_else(|| io::Error::other("a part is missing"))?;
        let number = u32::try_from(index + 1).map_err(io::Error::other)?;
        let length = self.set.length(number).saturating_sub(within).min(buffer.len() as u64);
        let buffer = buffer.get_mut(..usize::try_from(length).unwrap_or_default()).unwrap_or_default();
        parity.read(buffer, within)?;
        let mut other = vec![0; buffer.len()];
        for (_, part) in self.parts.iter().enumerate().filter(|(place, _)| *place != index) {
            let part = part.as_ref().ok_or_else(|| io::Error::other("two parts are missing"))?;
            let size = part.read(&mut other, within)?;
            lay(buffer, other.get(..size).unwrap_or_default());
        }
        Ok(buffer.len())
    }
}
