//! The table at the end that says where each frame is, in the form that zstd's own seekable tools read. Ours computes every
//! offset from the signed manifest and only makes sure that the table says the same.
//!
//! <https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md>

/// A skippable frame, the kind that seek tables are.
const SKIPPABLE: u32 = 0x184D_2A5E;
/// What a file with a seek table ends with.
const SEEKABLE: u32 = 0x8F92_EAB1;

/// The table of frames, each with its packed size and its content's, in bytes. `None` when a number does not fit.
pub(crate) fn table(frames: impl Iterator<Item = (u64, u64)>) -> Option<Vec<u8>> {
    let mut entries = Vec::new();
    for (packed, size) in frames {
        entries.extend_from_slice(&u32::try_from(packed).ok()?.to_le_bytes());
        entries.extend_from_slice(&u32::try_from(size).ok()?.to_le_bytes());
    }
    let count = u32::try_from(entries.len() / 8).ok().filter(|count| *count < 0x0800_0000)?;
    let length = u32::try_from(entries.len() + 9).ok()?;
    let mut table = Vec::with_capacity(entries.len() + 17);
    table.extend_from_slice(&SKIPPABLE.to_le_bytes());
    table.extend_from_slice(&length.to_le_bytes());
    table.extend_from_slice(&entries);
    table.extend_from_slice(&count.to_le_bytes());
    // No checksum for each frame: the frames have their own.
    table.push(0);
    table.extend_from_slice(&SEEKABLE.to_le_bytes());
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_the_format_says() {
        let table = table([(5, 7), (1, 2)].into_iter()).unwrap();
        assert_eq!(table.len(), 8 + 2 * 8 + 9);
        assert_eq!(&table[..8], &[0x5E, 0x2A, 0x4D, 0x18, 25, 0, 0, 0]);
        assert_eq!(&table[8..16], &[5, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(&table[24..], &[2, 0, 0, 0, 0, 0xB1, 0xEA, 0x92, 0x8F]);
    }

    #[test]
    fn a_frame_over_four_gibibytes_has_no_place() {
        assert_eq!(table([(1 << 32, 1)].into_iter()), None);
    }
}
