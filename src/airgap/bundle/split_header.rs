//! What stands before the bytes of a part: which bundle it is a part of, which part, and the hashes of all of them. It has one
//! form, begins with a line that a person reads, and is as long as that line says. Nothing in it is signed: the bundle is.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::split_error::PartsError;
use super::{Digest, EntryPath};

/// What every part begins with, before the size of its header.
pub(crate) const MAGIC: &[u8] = b"gitgrit-part 1 ";
/// The first line: the magic, twelve digits, a line feed.
const LINE: usize = MAGIC.len() + 13;
/// What a header is padded to, in bytes.
const PAGE: usize = 4096;
/// The largest header, in bytes.
const LARGEST: usize = 64 << 10;
/// The most parts.
pub const MOST: u32 = 512;
/// The largest bundle that is read in parts, in bytes.
const HUGE: u64 = 1 << 50;
/// How many signs of a header may be different when it is taken for a damaged one.
const SPOT: usize = 2;
/// The least that a part but the last may hold, in bytes.
pub(crate) const LEAST: u64 = 32 << 10;

/// A bundle in parts: the same words stand in every part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The bundle's file.
    pub name: String,
    /// The SHA-256 of the bundle's manifest.
    pub manifest: Digest,
    /// The size of the bundle, in bytes.
    pub size: u64,
    /// How many bytes of it each part holds; the last holds the rest.
    pub part: u64,
    /// How many parts there are.
    pub count: u32,
    /// The SHA-256 of what each part holds.
    pub parts: Vec<Digest>,
    /// The SHA-256 of what the parity part holds, when there is one.
    pub parity: Option<Digest>,
}

/// What a part says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Which part, counted from 1; 0 is the parity.
    pub(crate) part: u32,
    /// The SHA-256 of what it holds.
    pub(crate) sha256: Digest,
    /// All of them.
    pub(crate) set: Set,
}

impl Set {
    /// How many bytes part `number` holds; the parity is 0.
    pub(crate) fn length(&self, number: u32) -> u64 {
        let before = self.part.saturating_mul(u64::from(number.saturating_sub(1)));
        if number == 0 { self.part } else { self.size.saturating_sub(before).min(self.part) }
    }

    /// The hash of what part `number` holds.
    pub(crate) fn digest(&self, number: u32) -> Option<Digest> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.parts.get(index).copied()
    }

    /// The name of the file with part `number`.
    pub(crate) fn file(&self, number: u32) -> String {
        if number == 0 { format!("{}.par", self.name) } else { format!("{}.{number:03}", self.name) }
    }

    /// The size of each header, in bytes.
    pub(crate) fn header_size(&self) -> usize {
        let longest = Header { part: self.count, sha256: Digest([0; 32]), set: self.clone() };
        (LINE + longest.json().len() + 1).next_multiple_of(PAGE)
    }

    /// Says whether a damaged spot in a header could make this of `other`.
    pub(crate) fn is_nearly(&self, other: &Self) -> bool {
        let text = |set: &Self| serde_json::to_vec(set).unwrap_or_default();
        let (one, other) = (text(self), text(other));
        let different = one.iter().zip(&other).filter(|(one, other)| one != other).count();
        one.len() == other.len() && different <= SPOT
    }

    /// For a message.
    pub(crate) fn shown(&self) -> String {
        format!("`{}` (manifest {})", self.name, self.manifest.named())
    }

    fn fault(&self) -> Option<&'static str> {
        let count = u64::from(self.count);
        match () {
            () if !is_name(&self.name) => Some("names no bundle's file"),
            () if self.count == 0 || self.count > MOST || self.parts.len() as u64 != count => {
                Some("counts other parts than it lists")
            }
            () if self.size > HUGE || self.part > self.size => Some("is larger than any bundle"),
            () if self.part == 0 || self.size.div_ceil(self.part) != count => {
                Some("has a size that its parts do not make")
            }
            () if self.count > 1 && self.part < LEAST => Some("is of parts that are too small"),
            () if self.parity.is_some() && self.count < 2 => Some("has a parity of nothing"),
            () => None,
        }
    }
}

/// Whether `name` is a plain file name of a bundle: nothing else is ever written because a part says so.
pub(crate) fn is_name(name: &str) -> bool {
    let is_bundle = Path::new(name).extension().is_some_and(|end| end == "ggb");
    EntryPath::parse(name).is_ok() && !name.contains('/') && !name.starts_with('.') && is_bundle
}

/// The bundle in parts that a header of these bytes is of, and the header written again. `None` when it is none.
pub fn read_header(bytes: &[u8]) -> Option<(Set, Vec<u8>)> {
    let header = Header::parse(bytes).ok()?;
    let written = header.bytes();
    Some((header.set, written))
}

impl Header {
    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The header's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let size = self.set.header_size();
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(format!("{size:012}\n").as_bytes());
        bytes.extend(self.json());
        bytes.push(b'\n');
        bytes.resize(size, 0);
        bytes
    }

    /// Reads a header; `None` when the file does not begin as a part does, and why when it does and is none.
    pub(crate) fn read(file: &File) -> std::io::Result<Option<Result<(Self, u64), &'static str>>> {
        let mut line = [0; LINE];
        if fill(file, &mut line, 0)? < LINE || !line.starts_with(MAGIC) {
            return Ok(None);
        }
        let digits = line.get(MAGIC.len()..LINE - 1).and_then(|digits| std::str::from_utf8(digits).ok());
        let size = digits.and_then(|digits| digits.parse::<usize>().ok());
        let Some(size) = size.filter(|size| (LINE..=LARGEST).contains(size)) else {
            return Ok(Some(Err("has a header of no size that one has")));
        };
        let mut bytes = vec![0; size];
        if fill(file, &mut bytes, 0)? < size {
            return Ok(Some(Err("ends in its header")));
        }
        Ok(Some(Self::parse(&bytes).map(|header| (header, size as u64))))
    }

    /// Reads the bytes of a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let json = bytes.get(LINE..).and_then(|rest| rest.split(|byte| *byte == b'\n').next());
        let header: Self =
            json.and_then(|json| serde_json::from_slice(json).ok()).ok_or("has a header that does not read")?;
        if let Some(why) = header.set.fault() {
            return Err(why);
        }
        let expected = if header.part == 0 { header.set.parity } else { header.set.digest(header.part) };
        if expected != Some(header.sha256) {
            return Err("is not in its own list of parts");
        }
        if header.bytes() == bytes { Ok(header) } else { Err("has a header in another form") }
    }
}

/// A file that says to be a part, and is as long as it says.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    file: File,
    from: u64,
}

impl Part {
    /// Opens a part. `None` when the file does not begin as one does.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, PartsError> {
        let refused = |why: String| PartsError::NoPart { path: path.into(), why };
        let read = |source| PartsError::Read { path: path.into(), source };
        // A link to a part is as good as the part; a pipe is not waited for.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true), flags);
        let file = options.open(path).map_err(read)?;
        let facts = file.metadata().map_err(read)?;
        if !facts.is_file() {
            return Ok(None);
        }
        let Some(found) = Header::read(&file).map_err(read)? else { return Ok(None) };
        let (header, from) = found.map_err(|why| refused(why.into()))?;
        let (found, expected) = (facts.len(), from + header.set.length(header.part));
        if found != expected {
            return Err(refused(format!("is {found} bytes long, and not {expected}")));
        }
        Ok(Some(Self { path: path.into(), header, file, from }))
    }

    /// A part that was just written.
    pub(crate) fn written(path: PathBuf, header: Header, file: File) -> Self {
        let from = header.set.header_size() as u64;
        Self { path, header, file, from }
    }

    /// How many bytes of the bundle it holds.
    pub(crate) fn length(&self) -> u64 {
        self.header.set.length(self.header.part)
    }

    /// Fills as much of `buffer` as there is from the byte `from` of its content on. Fails when the file has become shorter.
    pub(crate) fn read(&self, buffer: &mut [u8], from: u64) -> std::io::Result<usize> {
        let length = self.length().saturating_sub(from).min(buffer.len() as u64);
        let wanted = buffer.get_mut(..usize::try_from(length).unwrap_or_default()).unwrap_or_default();
        self.file.read_exact_at(wanted, self.from + from)?;
        Ok(wanted.len())
    }
}

/// Fills `buffer` as far as the file goes.
fn fill(file: &File, buffer: &mut [u8], from: u64) -> std::io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, from + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Set {
        let parts = (0..3_u8).map(|number| Digest::of(&[number])).collect();
        let (manifest, parity) = (Digest::of(b"m"), Some(Digest::of(b"p")));
        Set { name: "gitgrit-v1-amd64.ggb".into(), manifest, size: 100_000, part: 40_000, count: 3, parts, parity }
    }

    fn header(part: u32) -> Header {
        let set = set();
        Header { part, sha256: set.digest(part).or(set.parity).unwrap(), set }
    }

    #[test]
    fn a_header_is_read_as_it_is_written_and_says_its_size_to_people() {
        for part in 0..=3 {
            let bytes = header(part).bytes();
            assert_eq!(Header::parse(&bytes).unwrap(), header(part));
            assert!(bytes.starts_with(b"gitgrit-part 1 000000004096\n{") && bytes.len() == 4096);
        }
        let set = set();
        assert_eq!([1, 2, 3, 0].map(|number| set.length(number)), [40_000, 40_000, 20_000, 40_000]);
    }

    #[test]
    fn headers_that_count_or_name_otherwise_are_refused() {
        let bends: &[fn(&mut Header)] = &[
            |header| header.part = 4,
            |header| header.part = u32::MAX,
            |header| header.sha256 = Digest::of(b"x"),
            |header| header.set.count = 2,
            |header| header.set.count = u32::MAX,
            |header| header.set.part = 0,
            |header| header.set.part = 1,
            |header| header.set.size = 0,
            |header| header.set.size = u64::MAX,
            |header| header.set.parts.truncate(2),
            |header| header.set.parts.extend(vec![Digest::of(b"x"); 600]),
            |header| header.set.name = "../x.ggb".into(),
            |header| header.set.name = ".ggb".into(),
            |header| header.set.name = "x.sh".into(),
            |header| header.set.name = "/etc/x.ggb".into(),
        ];
        for (index, bend) in bends.iter().enumerate() {
            let mut bent = header(1);
            bend(&mut bent);
            assert!(Header::parse(&bent.bytes()).is_err(), "{index}");
        }
        let mut other = header(1).bytes();
        *other.last_mut().unwrap() = 1;
        assert!(Header::parse(&other).is_err());
    }
}
