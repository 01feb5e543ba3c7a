//! The bundle: one file that crosses the gap. A tar in independent zstd frames, signed, checked before anything of it is
//! used (docs/bundle.md). Opens no socket and starts no program; nothing that a signature does not cover is ever decoded.

pub mod apply;
pub mod build;
pub mod build_error;
mod cache;
mod content;
pub mod delta;
pub mod delta_error;
pub mod delta_file;
mod delta_find;
pub mod delta_patch;
mod delta_region;
#[cfg(test)]
mod delta_test;
pub mod difference;
mod digest;
mod draft;
mod error;
mod form;
mod frame;
mod head;
pub mod inventory;
pub mod join;
mod join_medium;
mod layout;
pub mod load;
mod load_archive;
pub mod load_error;
pub mod load_plan;
mod manifest;
mod oci;
mod open;
mod pack;
mod parity;
mod path;
mod reference;
mod rules;
mod save_archive;
#[cfg(test)]
mod save_archive_test;
mod seek;
mod signature;
pub mod split;
pub mod split_error;
pub mod split_header;
#[cfg(test)]
mod split_test;
pub mod trust;
pub mod trust_file;
#[cfg(test)]
mod trust_test;
mod ustar;
mod verify;
mod write;

pub use content::{Content, unpack_frame};
pub use digest::{Blake3, Digest};
pub use draft::reseal;
pub use error::BundleError;
pub use frame::Profile;
pub use manifest::{Arch, Commit, Entry, Frame, Image, MANIFEST_LIMIT, Manifest, Mode, Program};
pub use open::{Bundle, Medium};
pub use pack::{Packed, pack};
pub use path::EntryPath;
pub use signature::Signature;
pub use verify::{Hashes, Thoroughness, Verified};
pub use write::{Assembly, Signer, Source, SourceImage};

#[cfg(test)]
mod whole_test;
