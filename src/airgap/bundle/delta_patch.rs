//! One patch: the content of a frame, packed against content that the target has already (zstd's `--patch-from`). No signature
//! covers a patch: what it gives is packed again and compared with a frame that is signed.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::Profile;
use super::form::Walk;

/// The most content that a patch may be against, in bytes.
pub(crate) const REFERENCE: u64 = 24 << 20;
/// How hard it is packed: above this level a patch takes ten times as long and is hardly smaller (docs/bundle-delta.md).
const LEVEL: i32 = 12;
/// The window, as a power of two: the reference and a frame behind it.
const WINDOW: u32 = 26;

/// The patch that makes `content` out of `reference`.
pub(crate) fn make(reference: &[u8], content: &[u8]) -> Result<Vec<u8>, String> {
    let mut context = CCtx::try_create().ok_or("no memory")?;
    let wanted = [
        CParameter::CompressionLevel(LEVEL),
        CParameter::WindowLog(WINDOW),
        CParameter::EnableLongDistanceMatching(true),
        CParameter::ChecksumFlag(true),
        CParameter::ContentSizeFlag(true),
    ];
    for parameter in wanted {
        context.set_parameter(parameter).map_err(said)?;
    }
    context.ref_prefix(reference).map_err(said)?;
    let mut patch = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    context.compress2(&mut patch, content).map_err(said)?;
    Ok(patch)
}

/// Makes `content`, of `size` bytes and never more, out of `reference`.
pub(crate) fn apply(reference: &[u8], patch: &[u8], size: u64, content: &mut Vec<u8>) -> Result<(), String> {
    let mut walk = Walk::new(size);
    walk.take(patch).and_then(|()| walk.finish())?;
    let size = usize::try_from(size).ok().filter(|size| *size <= Profile::Release.frame_size());
    content.clear();
    // The slice is what bounds the output.
    content.resize(size.ok_or("it says to hold more than a frame may")?, 0);
    let mut context = DCtx::try_create().ok_or("no memory")?;
    context.ref_prefix(reference).map_err(said)?;
    let found = context.decompress(content.as_mut_slice(), patch).map_err(said)?;
    if found == content.len() { Ok(()) } else { Err("it holds less than it says".into()) }
}

/// Makes `size` bytes out of a reference and a patch, as `bundle apply` does before it compares them.
pub fn patched(reference: &[u8], patch: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    apply(reference, patch, size, &mut content).map(|()| content)
}

fn said(code: zstd_safe::ErrorCode) -> String {
    zstd_safe::get_error_name(code).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_gives_the_content_back_and_is_small_when_little_changed() {
        let mut hash = [3; 32];
        let old: Vec<u8> = std::iter::repeat_with(|| {
            hash = vault::digest::sha256(&hash);
            hash
        })
        .take(60_000)
        .flatten()
        .collect();
        let mut new = old.clone();
        new.splice(1_000_000..1_000_000, *b"inserted");
        new[100] ^= 1;
        new.drain(500_000..500_100);
        let patch = make(&old, &new).unwrap();
        assert!(patch.len() < 5000, "{}", patch.len());
        let mut made = Vec::new();
        apply(&old, &patch, new.len() as u64, &mut made).unwrap();
        assert!(made == new);
        for wrong in [0, 1, new.len() as u64 - 1, new.len() as u64 + 1, u64::MAX] {
            assert!(apply(&old, &patch, wrong, &mut made).is_err(), "{wrong}");
        }
        // Against other content it gives none, or another one, which its frame's hash finds.
        let against_nothing = apply(&[], &patch, new.len() as u64, &mut made);
        assert!(against_nothing.is_err() || made != new);
    }
}
