//! Which frame holds what. It follows from the files alone, so that writer and reader agree, and so that the frames of a
//! layer are the same in every bundle: a file of more than 64 KiB has frames of its own, everything else shares.

use super::ustar::{BLOCK, END, padding};
use super::{Entry, Profile};

/// From this size on, in bytes, content has frames of its own.
pub(crate) const OWN: u64 = (64 << 10) + 1;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Headers, small files, padding, the archive's end.
    Shared(Vec<Piece>),
    /// A part of the content of the file with this index, from this byte on.
    Part {
        /// The file's index among the entries.
        entry: usize,
        /// Where the part begins in the content, in bytes.
        from: u64,
    },
}

/// A piece of a shared frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The header of the file with this index.
    Header(usize),
    /// The whole content of the file with this index.
    Whole(usize),
    /// Zero bytes behind the content of the file with this index.
    Padding(usize),
    /// The archive's end.
    End,
}

/// A frame before it is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The size of its content, in bytes.
    pub(crate) size: u64,
    /// What it holds.
    pub(crate) held: Held,
}

/// The frames of `entries` from `first` on, with the archive's end. `None` when there are more than `most`.
pub(crate) fn plan(entries: &[Entry], first: usize, profile: Profile, most: usize) -> Option<Vec<Planned>> {
    let mut plan = Plan { frames: Vec::new(), open: Vec::new(), size: 0, limit: profile.frame_size() as u64, most };
    for (index, entry) in entries.iter().enumerate().skip(first) {
        let pad = padding(entry.size) as u64;
        if entry.size >= OWN {
            plan.share(&[(Piece::Header(index), BLOCK as u64)])?;
            plan.close()?;
            plan.own(index, entry.size)?;
            plan.share(&[(Piece::Padding(index), pad)])?;
        } else {
            let unit =
                [(Piece::Header(index), BLOCK as u64), (Piece::Whole(index), entry.size), (Piece::Padding(index), pad)];
            plan.share(&unit)?;
        }
    }
    plan.share(&[(Piece::End, END as u64)])?;
    plan.close()?;
    Some(plan.frames)
}

struct Plan {
    frames: Vec<Planned>,
    open: Vec<Piece>,
    size: u64,
    limit: u64,
    most: usize,
}

impl Plan {
    /// Adds pieces that stay together to the open frame, or to the next one when they do not fit.
    fn share(&mut self, unit: &[(Piece, u64)]) -> Option<()> {
        let size: u64 = unit.iter().map(|(_, size)| size).sum();
        if self.size + size > self.limit {
            self.close()?;
        }
        self.open.extend(unit.iter().filter(|(_, size)| *size > 0).map(|(piece, _)| *piece));
        self.size += size;
        Some(())
    }

    /// Ends the open frame.
    fn close(&mut self) -> Option<()> {
        if self.size == 0 {
            return Some(());
        }
        let held = Held::Shared(std::mem::take(&mut self.open));
        let size = std::mem::take(&mut self.size);
        self.add(Planned { size, held })
    }

    fn own(&mut self, entry: usize, size: u64) -> Option<()> {
        let mut from = 0;
        while from < size {
            let part = (size - from).min(self.limit);
            self.add(Planned { size: part, held: Held::Part { entry, from } })?;
            from += part;
        }
        Some(())
    }

    fn add(&mut self, frame: Planned) -> Option<()> {
        self.frames.push(frame);
        (self.frames.len() <= self.most).then_some(())
    }
}

#[cfg(test)]
#[path = "layout_test.rs"]
mod tests;
