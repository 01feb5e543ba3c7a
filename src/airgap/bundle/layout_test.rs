//! What every plan of frames must hold, whatever the files.

use proptest::prelude::*;

use super::super::{Digest, EntryPath, Mode};
use super::*;

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let size = prop_oneof![0..2000_u64, OWN - 3..OWN + 3, 0..40_000_000_u64];
    let entry = |(index, size): (usize, u64)| Entry {
        path: EntryPath::parse(&format!("files/{index}")).unwrap(),
        size,
        mode: Mode::Plain,
        sha256: Digest::of(b""),
    };
    proptest::collection::vec(size, 0..400).prop_map(move |sizes| sizes.into_iter().enumerate().map(entry).collect())
}

proptest! {
    #[test]
    fn frames_hold_the_archive_in_its_order_and_none_is_too_large(entries in entries(), is_fast in any::<bool>()) {
        let profile = if is_fast { Profile::Fast } else { Profile::Release };
        let frames = plan(&entries, 0, profile, usize::MAX).unwrap();
        let mut pieces = Vec::new();
        let mut parts: Vec<u64> = vec![0; entries.len()];
        for frame in &frames {
            prop_assert!(frame.size > 0 && frame.size <= profile.frame_size() as u64);
            match &frame.held {
                Held::Shared(held) => pieces.extend(held.iter().copied()),
                Held::Part { entry, from } => {
                    // A part begins where the one before it ended, and the first one right behind its header.
                    prop_assert_eq!(parts[*entry], *from);
                    prop_assert_eq!(pieces.last(), Some(&Piece::Header(*entry)));
                    parts[*entry] += frame.size;
                }
            }
        }
        let mut wanted = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            wanted.push(Piece::Header(index));
            wanted.extend((entry.size > 0 && entry.size < OWN).then_some(Piece::Whole(index)));
            wanted.extend((padding(entry.size) > 0).then_some(Piece::Padding(index)));
            prop_assert_eq!(parts[index], if entry.size < OWN { 0 } else { entry.size });
        }
        wanted.push(Piece::End);
        prop_assert_eq!(pieces, wanted);
        let archive: u64 = entries.iter().map(|entry| (BLOCK + padding(entry.size)) as u64 + entry.size).sum();
        prop_assert_eq!(frames.iter().map(|frame| frame.size).sum::<u64>(), archive + END as u64);
        prop_assert!(plan(&entries, 0, profile, frames.len()).is_some());
        prop_assert!(plan(&entries, 0, profile, frames.len() - 1).is_none());
    }
}
