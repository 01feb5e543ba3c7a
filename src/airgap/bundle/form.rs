//! The form of a frame, looked at without unpacking it: one zstd frame, of the declared size, with its checksum, no
//! dictionary, a window that any decoder takes, and blocks that cannot become more than they say. And the stored frame,
//! which is the head's: nothing of a bundle that no signature covers meets a decompressor. (The patches of a delta do, after
//! the same look at their form; see `delta_patch`.)
//!
//! RFC 8878, 3.1.1, "Zstandard frames".

use std::io::Read;

use super::BundleError;

/// What every zstd frame begins with.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// The most that one block holds, in bytes.
const BLOCK: u64 = 128 << 10;
/// The largest window, in bytes: what `zstd -d` takes without being asked to.
const WINDOW: u64 = 1 << 27;
/// The descriptor of a stored frame: eight bytes of content size, a single segment, a checksum.
const STORED: u8 = 0b1110_0100;
/// The descriptor's bits that must be zero (unused, reserved, dictionary) and the one that must be set (checksum).
const UNSET: u8 = 0b0001_1011;
const CHECKSUM: u8 = 0b0000_0100;
const SINGLE: u8 = 0b0010_0000;

/// Goes over a frame's bytes as they come, and says what is wrong with its form.
pub(crate) struct Walk {
    size: u64,
    step: Step,
    /// What is still missing of the field that is being read.
    field: Vec<u8>,
    need: usize,
    /// Bytes of the block that are not looked at.
    skip: u64,
    block: u64,
    least: u64,
    most: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Start,
    Header(u8),
    Block,
    Checksum,
    Done,
}

impl Walk {
    /// A walk over a frame that has to hold `size` bytes.
    pub(crate) const fn new(size: u64) -> Self {
        Self { size, step: Step::Start, field: Vec::new(), need: 5, skip: 0, block: BLOCK, least: 0, most: 0 }
    }

    /// Takes the next bytes in.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(passed..).unwrap_or_default();
                self.skip -= passed as u64;
                continue;
            }
            if self.step == Step::Done {
                return Err("something follows the frame's end");
            }
            let missing = self.need - self.field.len();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.field.extend_from_slice(now);
            bytes = later;
            if self.field.len() == self.need {
                let field = std::mem::take(&mut self.field);
                self.next(&field)?;
            }
        }
        Ok(())
    }

    /// Says whether all of one frame was there.
    pub(crate) fn finish(self) -> Result<(), &'static str> {
        if self.step != Step::Done || self.skip > 0 {
            return Err("it ends too early");
        }
        if self.least > self.size || self.most < self.size {
            return Err("its blocks do not become the size that it says");
        }
        Ok(())
    }

    fn next(&mut self, field: &[u8]) -> Result<(), &'static str> {
        match self.step {
            Step::Start => self.start(field),
            Step::Header(descriptor) => self.header(descriptor, field),
            Step::Block => self.block(field),
            Step::Checksum => {
                self.step = Step::Done;
                Ok(())
            }
            Step::Done => Err("something follows the frame's end"),
        }
    }

    fn start(&mut self, field: &[u8]) -> Result<(), &'static str> {
        let (Some(magic), Some(descriptor)) = (field.first_chunk::<4>(), field.get(4)) else {
            return Err("it is no frame");
        };
        if *magic != MAGIC {
            return Err("it does not begin as a frame does");
        }
        if descriptor & UNSET != 0 {
            return Err("it asks for a dictionary, or sets bits that are reserved");
        }
        if descriptor & CHECKSUM == 0 {
            return Err("it has no checksum");
        }
        let is_single = descriptor & SINGLE != 0;
        let size = match descriptor >> 6 {
            0 if is_single => 1,
            0 => return Err("it does not say its size"),
            code => 1 << code,
        };
        self.need = size + usize::from(!is_single);
        self.step = Step::Header(*descriptor);
        Ok(())
    }

    fn header(&mut self, descriptor: u8, field: &[u8]) -> Result<(), &'static str> {
        let is_single = descriptor & SINGLE != 0;
        let (window, size) = field.split_at(usize::from(!is_single));
        let more = if descriptor >> 6 == 1 { 256 } else { 0 };
        if number(size).checked_add(more) != Some(self.size) {
            return Err("it says another size than the manifest");
        }
        let window = match window.first() {
            None => self.size,
            Some(byte) => {
                let base = 1_u64 << (10 + (byte >> 3));
                base + base / 8 * u64::from(byte & 7)
            }
        };
        if window > WINDOW {
            return Err("it asks for a window of more than 128 MiB");
        }
        self.block = window.min(BLOCK);
        self.step = Step::Block;
        self.need = 3;
        Ok(())
    }

    fn block(&mut self, field: &[u8]) -> Result<(), &'static str> {
        let header = number(field);
        let size = header >> 3;
        if size > self.block {
            return Err("a block is larger than a block may be");
        }
        let (skip, least, most) = match header >> 1 & 3 {
            0 => (size, size, size),
            1 => (1, size, size),
            2 => (size, 0, self.block),
            _ => return Err("a block is of a reserved kind"),
        };
        self.skip = skip;
        self.least += least;
        self.most += most;
        if self.least > self.size {
            return Err("its blocks become more than it says");
        }
        let is_last = header & 1 == 1;
        (self.step, self.need) = if is_last { (Step::Checksum, 4) } else { (Step::Block, 3) };
        Ok(())
    }
}

/// The frame that holds `content` as it is.
pub(crate) fn stored(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(content.len() + content.len() / 1024 + 32);
    frame.extend_from_slice(&MAGIC);
    frame.push(STORED);
    frame.extend_from_slice(&(content.len() as u64).to_le_bytes());
    let blocks = content.chunks(block_size());
    let count = blocks.len();
    for (index, block) in blocks.enumerate() {
        frame.extend_from_slice(&block_header(block.len() as u64, index + 1 == count));
        frame.extend_from_slice(block);
    }
    frame.extend_from_slice(&checksum(content));
    frame
}

/// Reads a stored frame from the start of `from`, and takes no byte behind it. Gives its content and its own size.
pub(crate) fn read_stored(from: &mut dyn Read, limit: u64) -> Result<(Vec<u8>, u64), BundleError> {
    let mut start = [0; 13];
    let got = fill(from, &mut start)?;
    if got < start.len() || start.get(..4) != Some(&MAGIC) || start.get(4) != Some(&STORED) {
        return Err(BundleError::NotABundle);
    }
    let size = number(start.get(5..).unwrap_or_default());
    if size > limit {
        return Err(BundleError::TooLarge { what: "the head", size, limit });
    }
    if size == 0 {
        return Err(BundleError::Head("it is empty"));
    }
    let mut content = Vec::new();
    let mut read = start.len() as u64;
    let cut = |found: u64| BundleError::CutShort { expected: size + 13, found };
    let mut left = size;
    while left > 0 {
        let block = left.min(block_size() as u64);
        let mut header = [0; 3];
        let got = fill(from, &mut header)?;
        read += got as u64;
        if got < header.len() {
            return Err(cut(read));
        }
        if header != block_header(block, block == left) {
            return Err(BundleError::Head("its blocks are not those of a stored frame"));
        }
        let got = from.take(block).read_to_end(&mut content).map_err(reading)?;
        read += got as u64;
        if (got as u64) < block {
            return Err(cut(read));
        }
        left -= block;
    }
    let mut sum = [0; 4];
    let got = fill(from, &mut sum)?;
    read += got as u64;
    if got < sum.len() {
        return Err(cut(read));
    }
    if sum != checksum(&content) {
        return Err(BundleError::Head("its checksum is another"));
    }
    Ok((content, read))
}

/// Fills `buffer` as far as `from` goes.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, BundleError> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reading(error)),
        }
    }
    Ok(got)
}

fn reading(source: std::io::Error) -> BundleError {
    BundleError::Read { path: "the bundle".into(), source }
}

const fn block_size() -> usize {
    128 << 10
}

fn block_header(size: u64, is_last: bool) -> [u8; 3] {
    let [first, second, third, ..] = (size << 3 | u64::from(is_last)).to_le_bytes();
    [first, second, third]
}

/// The number that at most eight bytes are, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A frame's checksum: the low half of XXH64 with the seed 0. <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>
fn checksum(content: &[u8]) -> [u8; 4] {
    let [first, second, third, fourth, ..] = xxh64(content).to_le_bytes();
    [first, second, third, fourth]
}

const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];

fn xxh64(content: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let round = |sum: u64, lane: u64| sum.wrapping_add(lane.wrapping_mul(p2)).rotate_left(31).wrapping_mul(p1);
    let mut stripes = content.chunks_exact(32);
    let mut sum = if content.len() < 32 {
        p5
    } else {
        let mut sums = [p1.wrapping_add(p2), p2, 0, 0_u64.wrapping_sub(p1)];
        for stripe in stripes.by_ref() {
            for (sum, lane) in sums.iter_mut().zip(stripe.chunks_exact(8)) {
                *sum = round(*sum, number(lane));
            }
        }
        let turned = sums.iter().zip([1, 7, 12, 18]).map(|(sum, by)| sum.rotate_left(by));
        let joined = turned.fold(0_u64, u64::wrapping_add);
        sums.iter().fold(joined, |all, sum| (all ^ round(0, *sum)).wrapping_mul(p1).wrapping_add(p4))
    };
    sum = sum.wrapping_add(content.len() as u64);
    let mut words = stripes.remainder().chunks_exact(8);
    for word in words.by_ref() {
        sum = (sum ^ round(0, number(word))).rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
    }
    let mut halves = words.remainder().chunks_exact(4);
    for half in halves.by_ref() {
        sum = (sum ^ number(half).wrapping_mul(p1)).rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
    }
    for byte in halves.remainder() {
        sum = (sum ^ u64::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    sum = (sum ^ (sum >> 33)).wrapping_mul(p2);
    sum = (sum ^ (sum >> 29)).wrapping_mul(p3);
    sum ^ (sum >> 32)
}

#[cfg(test)]
#[path = "form_test.rs"]
mod tests;
