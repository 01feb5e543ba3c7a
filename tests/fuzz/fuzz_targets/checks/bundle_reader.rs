//! What must hold for any bytes that are taken for a bundle. Used by the fuzzer and by the tests.

use std::io::Read;
use std::path::Path;

use airgap::bundle::{Bundle, Hashes, Thoroughness, unpack_frame};

/// Opening and verifying end with a verdict, what verifies reads back whole, and no frame becomes more than it says.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok((bundle, ())) = Bundle::on(Box::new(bytes.to_vec()), Path::new("x"), |_, _| Ok(())) {
        assert_eq!(bundle.size(), bytes.len() as u64);
        let how = Thoroughness { hashes: Hashes::Blake3, is_full: true, threads: 1 };
        if let Ok(verified) = bundle.verify(how, &|_| {}) {
            for entry in bundle.manifest().entries.iter().skip(3) {
                let mut content = Vec::new();
                verified.content(entry.path.as_str()).unwrap().read_to_end(&mut content).unwrap();
                assert_eq!(content.len() as u64, entry.size);
            }
        }
    }
    // A frame that somebody signed: the first two bytes are what it says to hold.
    if let Some((size, frame)) = bytes.split_first_chunk::<2>() {
        let size = u64::from(u16::from_le_bytes(*size));
        if let Ok(content) = unpack_frame(frame, size) {
            assert_eq!(content.len() as u64, size);
        }
    }
}
