//! The form of frames against the library that makes and unpacks them.

use proptest::prelude::*;

use super::super::Profile;
use super::super::frame::{Packer, Unpacker};
use super::*;

fn walked(frame: &[u8], size: u64, pieces: usize) -> Result<(), &'static str> {
    let mut walk = Walk::new(size);
    for piece in frame.chunks(pieces.max(1)) {
        walk.take(piece)?;
    }
    walk.finish()
}

/// Content of every length between 0 and three blocks, neither random nor all the same.
fn content() -> impl Strategy<Value = Vec<u8>> {
    (0..400_000_usize, any::<u8>()).prop_map(|(size, seed)| {
        (0..size).map(|at| ((at * at) >> 7).to_le_bytes()[0] ^ seed.wrapping_mul((at >> 12).to_le_bytes()[0])).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_library_unpacks_a_stored_frame(content in content().prop_filter("empty", |content| !content.is_empty())) {
        let frame = stored(&content);
        let mut read = Vec::new();
        Unpacker::new().unwrap().unpack(&frame, content.len() as u64, &mut read).unwrap();
        prop_assert_eq!(&read, &content);
        prop_assert_eq!(walked(&frame, content.len() as u64, 1000), Ok(()));
        let mut behind = frame.clone();
        behind.extend_from_slice(b"more");
        let (read, size) = read_stored(&mut behind.as_slice(), 1 << 20).unwrap();
        prop_assert_eq!((read, size), (content, frame.len() as u64));
    }

    #[test]
    fn a_packed_frame_is_of_the_form_however_its_bytes_come(content in content(), pieces in 1..5000_usize) {
        let frame = Packer::new(Profile::Fast).unwrap().pack(&content).unwrap();
        let size = content.len() as u64;
        prop_assert_eq!(walked(&frame, size, pieces), Ok(()));
        prop_assert!(walked(&frame, size + 1, pieces).is_err());
        prop_assert!(walked(&frame[..frame.len() - 1], size, pieces).is_err());
        prop_assert!(walked(&[frame.as_slice(), b"x"].concat(), size, pieces).is_err());
        prop_assert!(walked(&[frame.as_slice(), &frame].concat(), size, pieces).is_err());
    }

    #[test]
    fn any_bytes_have_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 0..300_u64) {
        let after_magic = [MAGIC.as_slice(), &bytes].concat();
        let _ = (walked(&bytes, size, 7), walked(&after_magic, size, 7), read_stored(&mut bytes.as_slice(), 1000));
    }
}

#[test]
fn a_stored_frame_with_any_byte_changed_is_refused() {
    let frame = stored(&b"some content of the head".repeat(20));
    for at in 0..frame.len() {
        let mut changed = frame.clone();
        changed[at] ^= 0x10;
        assert!(read_stored(&mut changed.as_slice(), 1 << 20).is_err(), "{at}");
        assert!(read_stored(&mut &frame[..at], 1 << 20).is_err(), "{at}");
    }
}

#[test]
fn a_head_over_the_limit_is_refused_before_it_is_read() {
    let mut frame = stored(b"x");
    frame[5..13].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(read_stored(&mut frame.as_slice(), 100), Err(BundleError::TooLarge { size: u64::MAX, .. })));
}

#[test]
fn frames_that_stock_decoders_take_but_no_bundle_has_are_refused() {
    let frame = stored(&[7; 1000]);
    let with = |at: usize, byte: u8| {
        let mut changed = frame.clone();
        changed[at] = byte;
        walked(&changed, 1000, 64)
    };
    // The unused bit, which decoders do not look at; the reserved bit; a dictionary; no checksum; no size.
    for descriptor in [STORED | 0x10, STORED | 0x08, STORED | 1, STORED & !4, 0b0000_0100] {
        assert!(with(4, descriptor).is_err(), "{descriptor:08b}");
    }
    let skippable = [0x184D_2A50_u32.to_le_bytes().as_slice(), &[0; 4]].concat();
    assert!(walked(&skippable, 0, 64).is_err());
    assert!(walked(&[frame.as_slice(), &skippable].concat(), 1000, 64).is_err());
}

#[test]
fn blocks_that_become_more_than_they_say_are_refused_without_unpacking() {
    let bomb = |size: u64, blocks: u32| {
        let mut frame = [MAGIC.as_slice(), &[STORED], &size.to_le_bytes()].concat();
        for index in 0..blocks {
            let header = (128_u32 << 10) << 3 | 1 << 1 | u32::from(index + 1 == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame.extend_from_slice(&[0; 4]);
        frame
    };
    assert_eq!(walked(&bomb(1 << 20, 8), 1 << 20, 64), Ok(()));
    assert!(walked(&bomb(1 << 20, 9), 1 << 20, 64).is_err());
    assert!(walked(&bomb(1 << 20, 7), 1 << 20, 64).is_err());
    let window = [MAGIC.as_slice(), &[0b1100_0100, 0xFF], &(1_u64 << 20).to_le_bytes()].concat();
    assert_eq!(walked(&window, 1 << 20, 64), Err("it asks for a window of more than 128 MiB"));
}

#[test]
fn xxh64_of_known_texts_is_the_published_one() {
    assert_eq!(xxh64(b""), 0xEF46_DB37_51D8_E999);
    assert_eq!(xxh64(b"abc"), 0x44BC_2CF5_AD77_0999);
}
