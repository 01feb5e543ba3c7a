//! The bundle: one file that crosses the gap. A tar in independent zstd frames, signed, checked before anything of it is
//! used (docs/bundle.md). Nothing that a signature does not cover is ever decoded, but for a delta's patches, of
//! which only what the signed hashes name is kept. Opens no socket and starts no program, but for `serve`,
//! which listens, and `push`, which starts `ssh`.

mod accompany;
pub mod apply;
mod asked;
pub mod build;
pub mod build_error;
mod cache;
mod content;
pub mod contents;
mod crates;
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
pub(crate) mod docker_archive;
mod dpkg;
pub(crate) mod draft;
mod error;
pub mod export;
pub mod export_registry;
mod form;
mod frame;
mod gather;
mod head;
pub mod installer;
pub mod inventory;
pub mod join;
mod join_medium;
mod layer_facts;
mod layer_scan;
mod layout;
pub mod load;
pub mod load_error;
pub mod load_plan;
pub mod load_state;
pub mod load_stream;
pub mod load_tgz;
mod manifest;
mod oci;
mod open;
mod pack;
mod parity;
mod path;
pub mod program_mark;
mod provenance;
pub mod push;
pub mod push_error;
mod reference;
pub mod refusals;
mod release_notes;
mod rules;
mod save_archive;
#[cfg(test)]
mod save_archive_test;
mod sbom;
mod sbom_cyclonedx;
mod sbom_spdx;
mod seek;
pub mod serve;
mod serve_line;
mod serve_question;
mod serve_turns;
mod signature;
pub mod source;
pub mod split;
pub mod split_error;
pub mod split_header;
#[cfg(test)]
mod split_test;
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
pub use pack::{Packed, Packers};
pub use path::EntryPath;
pub use signature::Signature;
pub use verify::{Hashes, Thoroughness, Verified};
pub use write::{Assembly, Signer, Source, SourceImage};

#[cfg(test)]
mod whole_test;
