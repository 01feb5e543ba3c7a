//! Why a delta is refused, each reason under an id that never changes (docs/bundle-delta.md). What comes out of a delta's own
//! words is shown only when it is plain text.

use base::Hint;

use super::Digest;

/// What is wrong with a delta, or with what it is applied to.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The file does not begin as a delta does.
    #[error("the file does not begin as a delta does")]
    NotADelta,
    /// The file is shorter or longer than its parts.
    #[error("the delta is {found} bytes long, and its parts make {expected}")]
    Length {
        /// What its parts make, in bytes.
        expected: u64,
        /// How long it is, in bytes.
        found: u64,
    },
    /// The file's bytes are not those that were written.
    #[error("the delta is damaged: its SHA-256 is {found}, and it says {expected}")]
    Damaged {
        /// What it says.
        expected: Digest,
        /// What its bytes give.
        found: Digest,
    },
    /// The list of steps is not in its one form, or makes no bundle.
    #[error("the delta's list of steps is not one: {0}")]
    Index(&'static str),
    /// Another bundle is needed.
    #[error("the delta needs the bundle gitgrit {version} (manifest sha256:{manifest}), {}", given(.found.as_ref()))]
    Base {
        /// The version that is needed.
        version: String,
        /// Its manifest.
        manifest: Digest,
        /// What was given instead.
        found: Option<(String, Digest)>,
    },
    /// The base does not have what the delta takes from it.
    #[error("the base has no frame sha256:{sha256}, which frame {frame} is")]
    Lacking {
        /// Which frame of the new bundle.
        frame: usize,
        /// Its hash.
        sha256: Digest,
    },
    /// A patch looks at what is not there.
    #[error("the patch of frame {frame} is against bytes that are not there")]
    Beyond {
        /// Which frame.
        frame: usize,
    },
    /// A patch does not give the content of its frame.
    #[error("the patch of frame {frame} does not unpack: {why}")]
    Patch {
        /// Which frame.
        frame: usize,
        /// What is wrong with it.
        why: String,
    },
    /// What a step makes is not the frame that is signed.
    #[error("frame {frame} comes out as sha256:{found}, and the signed manifest says sha256:{expected}")]
    Made {
        /// Which frame.
        frame: usize,
        /// What is signed.
        expected: Digest,
        /// What came out.
        found: Digest,
    },
    /// The frames were packed by another library than this program has.
    #[error("the bundle's frames were packed with zstd {theirs}, and this program has {ours}")]
    Library {
        /// The bundle's.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The base does not hold what its own manifest says.
    #[error("the base `{path}` is damaged")]
    DamagedBase {
        /// Its file.
        path: std::path::PathBuf,
    },
    /// The two bundles cannot be a pair.
    #[error("no delta leads from that base to this bundle: {0}")]
    Pair(&'static str),
    /// An inventory does not read.
    #[error("the inventory does not read: {0}")]
    Inventory(String),
}

impl DeltaError {
    /// The id of the reason.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::NotADelta => "GG-BUNDLE-150",
            Self::Length { .. } => "GG-BUNDLE-151",
            Self::Damaged { .. } => "GG-BUNDLE-152",
            Self::Index(_) => "GG-BUNDLE-153",
            Self::Base { .. } => "GG-BUNDLE-154",
            Self::Lacking { .. } => "GG-BUNDLE-155",
            Self::Beyond { .. } => "GG-BUNDLE-156",
            Self::Patch { .. } => "GG-BUNDLE-157",
            Self::Made { .. } => "GG-BUNDLE-158",
            Self::Library { .. } => "GG-BUNDLE-159",
            Self::Pair(_) => "GG-BUNDLE-160",
            Self::Inventory(_) => "GG-BUNDLE-161",
            Self::DamagedBase { .. } => "GG-BUNDLE-162",
        }
    }

    /// Says whether the command asked for what cannot be, and no file is at fault.
    pub const fn is_outside(&self) -> bool {
        matches!(self, Self::Pair(_) | Self::Inventory(_))
    }

    /// Says whether another program would do.
    pub const fn is_version(&self) -> bool {
        matches!(self, Self::Library { .. })
    }

    /// Says whether another base would do.
    pub const fn is_base(&self) -> bool {
        matches!(self, Self::Base { .. })
    }
}

impl Hint for DeltaError {
    fn hint(&self) -> Option<String> {
        let said = match self {
            Self::NotADelta => "name the file that ends in .ggd",
            Self::Length { .. } => "do not use it; have it made again",
            Self::Damaged { .. } => "the copy is damaged: copy it again from its source",
            Self::Base { version, .. } => {
                return Some(format!(
                    "name the file of {version} with --base, or ask for a delta from what you have, or for the whole bundle"
                ));
            }
            Self::Library { .. } => {
                "use a gitgrit-ops with that library: the one of the new release, carried beside the delta"
            }
            Self::Pair(_) => "build the whole bundle for that site",
            Self::DamagedBase { .. } => "verify it, and copy it again from its source",
            Self::Inventory(_) => "make it anew on the target with `gitgrit-ops bundle inventory`",
            _ => "do not use this delta: bundle delta did not write it so; ask whoever sent it for the whole bundle",
        };
        Some(said.into())
    }
}

fn given(found: Option<&(String, Digest)>) -> String {
    match found {
        Some((version, manifest)) => format!("this is {version} (manifest sha256:{manifest})"),
        None => "and none was named".into(),
    }
}
