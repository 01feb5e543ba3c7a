//! Content by where it stands behind a head, whatever frames it lies in. Holds the region and one frame.

use super::content::Unpacking;
use super::{Bundle, BundleError, Frame, Hashes};

/// Unpacks the frame with this number into the buffer.
pub(crate) type Unpack<'u> = dyn FnMut(usize, &mut Vec<u8>) -> Result<(), BundleError> + 'u;

/// `length` bytes from the byte `from` on of all that `frames` hold; fewer when they hold fewer.
pub(crate) fn region(
    frames: &[Frame],
    from: u64,
    length: u64,
    unpack: &mut Unpack<'_>,
) -> Result<Vec<u8>, BundleError> {
    let until = from.saturating_add(length);
    let mut region = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let mut content = Vec::new();
    let mut start = 0_u64;
    for (index, frame) in frames.iter().enumerate() {
        let end = start.saturating_add(frame.size);
        if end > from && start < until {
            unpack(index, &mut content)?;
            let place = |at: u64| usize::try_from(at.clamp(start, end) - start).unwrap_or(usize::MAX);
            region.extend_from_slice(content.get(place(from)..place(until)).unwrap_or_default());
        }
        start = end;
    }
    Ok(region)
}

/// The region of a bundle. Each frame of it is checked.
pub(crate) fn of_bundle(
    bundle: &Bundle,
    from: u64,
    length: u64,
    unpacking: &mut Unpacking,
) -> Result<Vec<u8>, BundleError> {
    region(&bundle.manifest().frames, from, length, &mut |index, content| {
        unpacking.frame(bundle, index, Hashes::Blake3)?;
        std::mem::swap(content, &mut unpacking.content);
        Ok(())
    })
}
