//! The archive's headers: plain ustar, one form for each file, so that a header can be made again and compared. Knows
//! regular files alone; whatever else a header may say is refused by not being equal.

use super::Mode;

/// The size of a header, and what content is padded to, in bytes.
pub(crate) const BLOCK: usize = 512;
/// The archive's end: two blocks of zeros, in bytes.
pub(crate) const END: usize = 2 * BLOCK;
/// The largest size and time that eleven octal digits hold.
pub(crate) const LARGEST: u64 = (1 << 33) - 1;

/// The header of a regular file; `None` when its path or a number does not fit.
pub(crate) fn header(path: &str, size: u64, mode: Mode, mtime: u64) -> Option<[u8; BLOCK]> {
    let (prefix, name) = split(path)?;
    if size > LARGEST || mtime > LARGEST {
        return None;
    }
    let mut block = [0; BLOCK];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, format!("{:07o}", mode.bits()).as_bytes());
    put(&mut block, 108, b"0000000");
    put(&mut block, 116, b"0000000");
    put(&mut block, 124, format!("{size:011o}").as_bytes());
    put(&mut block, 136, format!("{mtime:011o}").as_bytes());
    put(&mut block, 148, b"        ");
    put(&mut block, 156, b"0");
    put(&mut block, 257, b"ustar\x0000");
    put(&mut block, 329, b"0000000");
    put(&mut block, 337, b"0000000");
    put(&mut block, 345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// What a header of ours says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The file's path; not judged yet.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
}

/// Reads the header of a regular file of mode 0644; `None` when [`header`] would not have written exactly this.
pub(crate) fn read(block: &[u8; BLOCK]) -> Option<Header> {
    let name = text(block.get(..100)?)?;
    let prefix = text(block.get(345..500)?)?;
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    let size = octal(block.get(124..135)?)?;
    let mtime = octal(block.get(136..147)?)?;
    (header(&path, size, Mode::Plain, mtime)? == *block).then_some(Header { path, size, mtime })
}

/// How many zero bytes follow content of `size` bytes.
pub(crate) const fn padding(size: u64) -> usize {
    // The remainder is below the block, so that it fits.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of 512")]
    let over = (size % BLOCK as u64) as usize;
    if over == 0 { 0 } else { BLOCK - over }
}

/// The prefix and the name of a path. Over 100 bytes, the first slash that leaves at most 100 behind it.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let (prefix, name) =
        path.match_indices('/').map(|(at, _)| path.split_at(at)).find(|(_, name)| name.len() <= 101)?;
    (prefix.len() <= 155).then(|| (prefix, name.trim_start_matches('/')))
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn text(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    std::str::from_utf8(field.get(..end)?).ok()
}

fn octal(field: &[u8]) -> Option<u64> {
    field
        .iter()
        .try_fold(0, |number, digit| matches!(digit, b'0'..=b'7').then(|| number << 3 | u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = String> {
        proptest::collection::vec("[a-z0-9]{1,60}", 1..4).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #[test]
        fn the_tar_crate_reads_what_was_written(path in names(), content in proptest::collection::vec(any::<u8>(), 0..1500), mtime in 0..LARGEST) {
            let size = content.len() as u64;
            let mut archive = header(&path, size, Mode::Program, mtime).unwrap().to_vec();
            archive.extend_from_slice(&content);
            archive.resize(archive.len() + padding(size) + END, 0);
            let mut archive = tar::Archive::new(archive.as_slice());
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            prop_assert_eq!(entry.path_bytes().into_owned(), path.into_bytes());
            prop_assert_eq!(entry.header().mode().unwrap(), 0o755);
            prop_assert_eq!(entry.header().mtime().unwrap(), mtime);
            prop_assert_eq!(entry.header().entry_type(), tar::EntryType::Regular);
            let mut read = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut read).unwrap();
            prop_assert_eq!(read, content);
            prop_assert!(entries.next().is_none());
        }

        #[test]
        fn a_header_with_any_byte_changed_is_no_header(path in names(), at in 0..BLOCK, with in 1..=255_u8) {
            let written = header(&path, 5, Mode::Plain, 7).unwrap();
            prop_assert_eq!(read(&written), Some(Header { path, size: 5, mtime: 7 }));
            let mut changed = written;
            changed[at] ^= with;
            prop_assert_eq!(read(&changed), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        assert!(header("a", LARGEST, Mode::Plain, LARGEST).is_some());
        assert!(header("a", LARGEST + 1, Mode::Plain, 0).is_none());
        assert!(header("a", 0, Mode::Plain, LARGEST + 1).is_none());
        assert!(header(&"a".repeat(101), 0, Mode::Plain, 0).is_none());
        assert!(header(&format!("{}/{}", "a".repeat(155), "b".repeat(100)), 0, Mode::Plain, 0).is_some());
        assert!(header(&format!("{}/{}", "a".repeat(156), "b".repeat(100)), 0, Mode::Plain, 0).is_none());
    }

    #[test]
    fn headers_of_other_tools_are_no_headers_of_ours() {
        let mut others = Vec::new();
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_mode(0o644);
        header.set_size(0);
        for kind in [
            tar::EntryType::Regular,
            tar::EntryType::Symlink,
            tar::EntryType::Link,
            tar::EntryType::Char,
            tar::EntryType::XHeader,
        ] {
            header.set_entry_type(kind);
            header.set_cksum();
            others.push(*header.as_bytes());
        }
        assert!(others.iter().all(|block| read(block).is_none()));
    }
}
