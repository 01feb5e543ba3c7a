//! The bundle: one file that crosses the gap. A tar in independent zstd frames, signed, checked before anything of it is
//! used (docs/bundle.md). Nothing that a signature does not cover is ever decoded. Opens no socket and starts no program, but for `serve`,
//! which listens, and `push`, which starts `ssh`.

pub mod build;
pub mod build_error;
mod cache;
mod content;
pub mod difference;
mod digest;
pub(crate) mod docker_archive;
mod draft;
mod error;
pub mod export;
pub mod export_registry;
mod form;
mod frame;
mod head;
mod layout;
pub mod load;
pub mod load_error;
pub mod load_plan;
pub mod load_state;
pub mod load_stream;
mod manifest;
mod oci;
mod open;
mod pack;
mod path;
pub mod push;
mod reference;
mod rules;
mod save_archive;
#[cfg(test)]
mod save_archive_test;
mod seek;
pub mod serve;
mod serve_question;
mod signature;
pub mod source;
pub mod ssh;
pub mod stream;
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
