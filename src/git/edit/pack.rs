//! New objects as the pack that a client would send, gitformat-pack(5). Whole objects only, never a delta.

use std::collections::HashSet;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::objs::{Kind, compute_hash};

use crate::error::Cause;

/// Objects of one commit, each once.
pub(super) struct Objects {
    hash: gix::hash::Kind,
    known: HashSet<ObjectId>,
    list: Vec<(Kind, Vec<u8>)>,
}

impl Objects {
    pub(super) fn new(hash: gix::hash::Kind) -> Self {
        Self { hash, known: HashSet::new(), list: Vec::new() }
    }

    /// Takes an object in and names it.
    pub(super) fn add(&mut self, kind: Kind, data: Vec<u8>) -> Result<ObjectId, Cause> {
        let id = compute_hash(self.hash, kind, &data)?;
        if self.known.insert(id) {
            self.list.push((kind, data));
        }
        Ok(id)
    }

    /// The pack of all of them.
    pub(super) fn into_pack(self) -> Result<Vec<u8>, Cause> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend(u32::try_from(self.list.len())?.to_be_bytes());
        for (kind, data) in self.list {
            put_header(&mut pack, kind, data.len());
            let mut encoder = ZlibEncoder::new(pack, Compression::fast());
            encoder.write_all(&data)?;
            pack = encoder.finish()?;
        }
        let mut hasher = gix::hash::hasher(self.hash);
        hasher.update(&pack);
        pack.extend_from_slice(hasher.try_finalize()?.as_slice());
        Ok(pack)
    }
}

/// Type and size: four bits of the size beside the type, then seven at a time.
fn put_header(pack: &mut Vec<u8>, kind: Kind, size: usize) {
    let kind: u8 = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let (mut byte, mut rest) = ((kind << 4) | low(size, 0x0f), size >> 4);
    while rest > 0 {
        pack.push(byte | 0x80);
        byte = low(rest, 0x7f);
        rest >>= 7;
    }
    pack.push(byte);
}

fn low(number: usize, mask: u8) -> u8 {
    number.to_le_bytes().first().copied().unwrap_or_default() & mask
}
