//! Looks at a layer's tar while it goes by, and keeps what it says of packages. Pushed bytes in, a few lists out: nothing is
//! unpacked, no name becomes a path, and nothing that the tar says makes this hold more than its limits.

use super::layer_facts::{Kind, LayerFacts};

/// The size of a header, in bytes.
const BLOCK: usize = 512;
/// The longest name or list of extended attributes, in bytes.
const EXTENDED: u64 = 1 << 20;

/// A tar that goes by.
#[derive(Default)]
pub(crate) struct Scan {
    block: Vec<u8>,
    /// What of the content and of its padding is still to come, in bytes.
    content: u64,
    padding: u64,
    keeps: Keeps,
    kept: Vec<u8>,
    /// What stands before a header and says more than it.
    long_name: Option<String>,
    long_size: Option<u64>,
    /// Says whether the attributes of the next file call it sparse.
    is_sparse: bool,
    is_over: bool,
    fault: Option<&'static str>,
    facts: LayerFacts,
}

/// What the content is kept for.
#[derive(Default, PartialEq, Eq)]
enum Keeps {
    #[default]
    Nothing,
    /// The name of the next file.
    Name,
    /// Attributes of the next file.
    Attributes,
    /// A file that says something of packages.
    File(String),
    /// The rest of a sparse file's map.
    Map,
}

impl Scan {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over && self.fault.is_none() {
            let is_map = self.keeps == Keeps::Map;
            if self.content > 0 && !is_map {
                let (now, later) = split(bytes, self.content);
                if self.keeps != Keeps::Nothing {
                    self.kept.extend_from_slice(now);
                }
                self.content -= now.len() as u64;
                bytes = later;
                if self.content == 0 {
                    self.kept_all();
                }
            } else if self.padding > 0 && !is_map {
                let (now, later) = split(bytes, self.padding);
                self.padding -= now.len() as u64;
                bytes = later;
            } else {
                let (now, later) = split(bytes, (BLOCK - self.block.len()) as u64);
                self.block.extend_from_slice(now);
                bytes = later;
                if self.block.len() == BLOCK {
                    let block = std::mem::take(&mut self.block);
                    if let Err(why) = self.header(&block) {
                        self.fault = Some(why);
                    }
                }
            }
        }
    }

    /// What was found, once everything went by.
    pub(crate) fn finish(self) -> Result<LayerFacts, &'static str> {
        match self.fault {
            Some(why) => Err(why),
            None if self.content > 0 || !self.block.is_empty() => Err("a layer ends too early"),
            None => Ok(self.facts),
        }
    }

    fn header(&mut self, block: &[u8]) -> Result<(), &'static str> {
        if self.keeps == Keeps::Map {
            self.map(block.get(504).copied());
            return Ok(());
        }
        if block.iter().all(|byte| *byte == 0) {
            self.is_over = true;
            return Ok(());
        }
        if !is_header(block) {
            return Err("a layer is no archive");
        }
        let flag = block.get(156).copied().unwrap_or_default();
        let size = number(block.get(124..136).unwrap_or_default()).ok_or("a layer has a file of no size")?;
        match flag {
            // Readers do not agree about which of two counts.
            b'L' | b'x' if self.long_name.is_some() => return Err("a layer names a file twice"),
            b'L' => return self.keep(Keeps::Name, size),
            b'x' => return self.keep(Keeps::Attributes, size),
            b'K' | b'g' => return self.skip(size),
            _ => {}
        }
        let name = self.long_name.take().unwrap_or_else(|| name(block));
        let size = self.long_size.take().unwrap_or(size);
        if name.split('/').any(|part| part == "..") {
            return Err("a layer has a name that leads elsewhere");
        }
        let path = plain(&name);
        let kind = match flag {
            b'0' | 0 | b'7' | b'S' if !name.ends_with('/') => Kind::File,
            b'0' | 0 | b'5' | b'7' => Kind::Folder,
            _ => Kind::Other,
        };
        let is_sparse = flag == b'S' || std::mem::take(&mut self.is_sparse);
        let is_kept = self.facts.meet(&path, kind, size)?;
        if is_kept && is_sparse {
            return Err("a list of packages is a sparse file");
        }
        // Links, folders and devices have no content, whatever their size says.
        // So it is for a file that an old writer calls as a folder.
        if matches!(flag, b'1'..=b'6') || (flag == 0 && name.ends_with('/')) {
            return Ok(());
        }
        self.skip(size)?;
        if is_kept {
            self.keeps = Keeps::File(path);
            if size == 0 {
                self.kept_all();
            }
        } else if flag == b'S' {
            self.map(block.get(482).copied());
        }
        Ok(())
    }

    /// A sparse file's map goes on in a block of its own when its header says so; the content comes behind.
    fn map(&mut self, more: Option<u8>) {
        let is_more = more.is_some_and(|flag| flag != 0);
        self.keeps = if is_more { Keeps::Map } else { Keeps::Nothing };
    }

    fn skip(&mut self, size: u64) -> Result<(), &'static str> {
        let block = BLOCK as u64;
        self.content = size;
        self.padding = size.checked_next_multiple_of(block).ok_or("a layer has a file of no size")? - size;
        Ok(())
    }

    fn keep(&mut self, keeps: Keeps, size: u64) -> Result<(), &'static str> {
        if size > EXTENDED {
            return Err("a layer has a name of more than 1 MiB");
        }
        self.skip(size)?;
        self.keeps = keeps;
        if size == 0 {
            self.kept_all();
        }
        Ok(())
    }

    fn kept_all(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        let text = || String::from_utf8_lossy(&kept);
        let kept_for = std::mem::take(&mut self.keeps);
        let done = match kept_for {
            Keeps::Nothing | Keeps::Map => Ok(()),
            Keeps::Name => {
                self.long_name = Some(text().trim_end_matches('\0').to_owned());
                Ok(())
            }
            Keeps::Attributes => self.attributes(&kept),
            Keeps::File(path) => self.facts.learn(&path, &kept),
        };
        self.fault = self.fault.or(done.err());
    }

    /// `LENGTH KEY=VALUE\n`, one after the other; pax(1), "pax Extended Header".
    fn attributes(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        let wrong = "a layer has attributes that do not read";
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').ok_or(wrong)?;
            let (length, _) = bytes.split_at(space);
            let length: usize = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok()).ok_or(wrong)?;
            let (record, rest) = bytes.split_at_checked(length).ok_or(wrong)?;
            let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(wrong)?;
            let record = String::from_utf8_lossy(record).into_owned();
            let (key, value) = record.split_once('=').ok_or(wrong)?;
            self.is_sparse |= key.starts_with("GNU.sparse.");
            match (key, value) {
                ("path" | "GNU.sparse.name", path) => self.long_name = Some(path.to_owned()),
                ("size", size) => self.long_size = Some(size.parse().map_err(|_| wrong)?),
                _ => {}
            }
            bytes = rest;
        }
        Ok(())
    }
}

fn split(bytes: &[u8], at: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len()))
}

/// The header's sum is that of its bytes; old writers took them for signed.
fn is_header(block: &[u8]) -> bool {
    let said = block.get(148..156).and_then(number);
    let byte = |(place, byte): (usize, &u8)| if (148..156).contains(&place) { b' ' } else { *byte };
    let sum: u64 = block.iter().enumerate().map(byte).map(u64::from).sum();
    let signed: i64 = block.iter().enumerate().map(byte).map(|byte| i64::from(byte.cast_signed())).sum();
    said == Some(sum) || said == u64::try_from(signed).ok()
}

/// Octal digits, or a number whose first bit is set; tar(5).
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let first = field.first()? & 0x7f;
        let rest = field.iter().skip(1);
        return std::iter::once(&first)
            .chain(rest)
            .try_fold(0_u64, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn name(block: &[u8]) -> String {
    let text = |from: usize, to: usize| {
        let field = block.get(from..to).unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
    };
    let prefix = if block.get(257..263) == Some(b"ustar\0") { text(345, 500) } else { String::new() };
    if prefix.is_empty() { text(0, 100) } else { format!("{prefix}/{}", text(0, 100)) }
}

/// The path without what means nothing in it.
fn plain(name: &str) -> String {
    let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
#[path = "layer_scan_test.rs"]
mod tests;
