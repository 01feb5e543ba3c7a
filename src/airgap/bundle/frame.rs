//! One frame: how it is packed, and how it is unpacked into no more than it says. Knows the two profiles and the library;
//! nothing of files.

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter};

use super::BundleError;

/// How frames are packed. With the library's version it fixes their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Frames of 8 MiB, level 3.
    Fast,
    /// Frames of 12 MiB, level 9 with tables of 5 MB.
    Release,
}

impl Profile {
    /// The most content that a frame holds, in bytes.
    pub const fn frame_size(self) -> usize {
        match self {
            Self::Fast => 8 << 20,
            Self::Release => 12 << 20,
        }
    }

    const fn level(self) -> i32 {
        match self {
            Self::Fast => 3,
            Self::Release => 9,
        }
    }

    /// The window's size as a power of two: no smaller than a frame.
    const fn window_log(self) -> u32 {
        match self {
            Self::Fast => 23,
            Self::Release => 24,
        }
    }

    /// What of the level is set otherwise: the level's own tables take some 40 MB a thread and find next to nothing more
    /// in 12 MiB.
    fn tables(self) -> Vec<CParameter> {
        match self {
            Self::Fast => Vec::new(),
            Self::Release => vec![
                CParameter::HashLog(20),
                CParameter::ChainLog(20),
                CParameter::SearchLog(5),
                CParameter::MinMatch(5),
                CParameter::TargetLength(32),
                CParameter::Strategy(zstd_safe::Strategy::ZSTD_lazy2),
            ],
        }
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Release => "release",
        }
    }
}

/// The largest frame that `size` bytes of content can become, in bytes.
pub(crate) const fn largest(size: u64) -> u64 {
    size + size / 128 + 512
}

/// The version of the zstd library inside this program.
pub(crate) fn library() -> String {
    zstd_safe::version_string().to_owned()
}

/// Packs frames of one profile.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new(profile: Profile) -> Result<Self, BundleError> {
        let mut compressor = Compressor::new(profile.level()).map_err(packing)?;
        let wanted = [
            CParameter::ChecksumFlag(true),
            CParameter::ContentSizeFlag(true),
            CParameter::WindowLog(profile.window_log()),
        ];
        for parameter in wanted.into_iter().chain(profile.tables()) {
            compressor.set_parameter(parameter).map_err(packing)?;
        }
        Ok(Self(compressor))
    }

    /// The frame of `content`.
    pub(crate) fn pack(&mut self, content: &[u8]) -> Result<Vec<u8>, BundleError> {
        self.0.compress(content).map_err(packing)
    }

    /// The same, in place of what `packed` holds.
    pub(crate) fn pack_into(&mut self, content: &[u8], packed: &mut Vec<u8>) -> Result<(), BundleError> {
        packed.clear();
        packed.reserve(zstd_safe::compress_bound(content.len()));
        self.0.compress_to_buffer(content, packed).map(drop).map_err(packing)
    }
}

fn packing(source: std::io::Error) -> BundleError {
    BundleError::Write { path: "a frame in memory".into(), source }
}

/// Unpacks frames that [`super::form::Walk`] found to be in their form.
pub(crate) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(crate) fn new() -> std::io::Result<Self> {
        Decompressor::new().map(Self)
    }

    /// Puts what `packed` holds into `content`. Says what is wrong unless that is exactly `size` bytes.
    pub(crate) fn unpack(&mut self, packed: &[u8], size: u64, content: &mut Vec<u8>) -> Result<(), String> {
        content.clear();
        let size = usize::try_from(size).ok().filter(|size| *size <= Profile::Release.frame_size());
        let size = size.ok_or("it says to hold more than a frame may")?;
        // The slice is what bounds the output.
        content.resize(size, 0);
        let found = self.0.decompress_to_buffer(packed, content.as_mut_slice()).map_err(|error| error.to_string())?;
        if found == size { Ok(()) } else { Err("it holds less than it says".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_unpacks_to_its_content_and_never_to_more() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = Packer::new(Profile::Fast).unwrap().pack(&content).unwrap();
        let mut unpacker = Unpacker::new().unwrap();
        let mut read = Vec::new();
        unpacker.unpack(&packed, content.len() as u64, &mut read).unwrap();
        assert_eq!(read, content);
        for wrong in [0, 1, content.len() as u64 - 1, content.len() as u64 + 1, u64::MAX] {
            assert!(unpacker.unpack(&packed, wrong, &mut read).is_err(), "{wrong}");
        }
        assert!(packed.len() as u64 <= largest(content.len() as u64));
    }

    #[test]
    fn content_that_does_not_compress_stays_within_the_largest_frame() {
        let mut hash = [0; 32];
        let content: Vec<u8> = std::iter::repeat_with(|| {
            hash = vault::digest::sha256(&hash);
            hash
        })
        .take(9000)
        .flatten()
        .collect();
        for profile in [Profile::Fast, Profile::Release] {
            let packed = Packer::new(profile).unwrap().pack(&content).unwrap();
            assert!(packed.len() as u64 <= largest(content.len() as u64));
        }
    }
}
