//! What must hold for any bytes that are taken for a delta, a patch or a part. Used by the fuzzer and by the tests.

use std::path::Path;

use airgap::bundle::apply::Pair;
use airgap::bundle::delta_file::Delta;
use airgap::bundle::delta_patch::patched;
use airgap::bundle::split_header::read_header;
use airgap::bundle::{Bundle, Digest, Hashes, Thoroughness};

/// Two bytes that count 64 bytes of a base, the base, and a delta without the hash at its end, which anybody can make. What
/// comes out is a bundle of the delta's own manifest, and verifies as far as its frames go.
pub(crate) fn holds(bytes: &[u8]) {
    let Some((count, rest)) = bytes.split_first_chunk::<2>() else { return };
    let count = usize::from(u16::from_le_bytes(*count));
    let (base, delta) = rest.split_at((count * 64).min(rest.len()));
    if let Ok(content) = patched(base, delta, count as u64) {
        assert_eq!(content.len(), count);
    }
    for part in [bytes, rest, delta] {
        if let Some((set, written)) = read_header(part) {
            assert!(written == part && set.parts.len() == set.count as usize);
        }
    }
    let mut sealed = delta.to_vec();
    sealed.extend(Digest::of(delta).0);
    let Ok((delta, digest)) = Delta::on(Box::new(sealed), Path::new("x"), |bytes, _| Ok(Digest::of(bytes))) else {
        return;
    };
    // What a base is padded to is not a part of it.
    let end = base.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let base = Bundle::on(Box::new(base[..end].to_vec()), Path::new("x"), |_, _| Ok(())).ok();
    let Ok(pair) = Pair::new(&delta, base.as_ref().map(|(bundle, ())| bundle)) else { return };
    if pair.size() > 64 << 20 {
        return;
    }
    if let Ok(made) = pair.bytes() {
        assert_eq!(made.len() as u64, pair.size());
        let (bundle, found) = Bundle::on(Box::new(made), Path::new("x"), |bytes, _| Ok(Digest::of(bytes))).unwrap();
        assert_eq!(found, digest);
        let how = Thoroughness { hashes: Hashes::Sha256, is_full: false, threads: 1 };
        let _ = bundle.verify(how, &|_| ());
    }
}
