//! Why a bundle is refused or could not be written, each reason under an id that never changes (docs/bundle.md). A message
//! names the object and the cause; nothing in it comes out of the bundle unless it was checked to be plain text.

use std::io;
use std::path::PathBuf;

use base::Hint;

use super::{Blake3, Digest};

/// What is wrong with a bundle, or what kept it from being written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file does not read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not write; nothing of it is left.
    #[error("could not write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not begin as a bundle does.
    #[error("the file does not begin as a bundle does")]
    NotABundle,
    /// The file ends before everything that it says to hold.
    #[error("the file ends at byte {found}, and its content goes on to byte {expected}")]
    CutShort {
        /// How long it has to be at least, in bytes.
        expected: u64,
        /// How long it is, in bytes.
        found: u64,
    },
    /// There is more behind the end.
    #[error("the file is {found} bytes long, and its content ends at byte {expected}")]
    Surplus {
        /// How long it may be, in bytes.
        expected: u64,
        /// How long it is, in bytes.
        found: u64,
    },
    /// The head is not what its manifest and its signatures make it.
    #[error("the head is not in its one form: {0}")]
    Head(&'static str),
    /// A part is larger than any bundle's.
    #[error("{what} says to be {size} bytes long, and may be {limit}")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// What it says, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The manifest is not JSON, or not of the known fields.
    #[error("the manifest does not read")]
    Manifest(#[source] serde_json::Error),
    /// The manifest could be written in another form.
    #[error("the manifest is not in its one form")]
    NotCanonical,
    /// The manifest is of a form that this program does not know.
    #[error("the bundle is of format {found}, and this program reads format 1")]
    Format {
        /// Its format.
        found: u64,
    },
    /// A value of the manifest is none that it may have.
    #[error("the manifest's `{field}` is not one: {why}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A path that no file of a bundle may have.
    #[error("`{path}` is no path of a bundle: {why}")]
    Path {
        /// The path, with what is not plain text replaced.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two files that cannot lie beside each other on every file system.
    #[error("`{one}` and `{other}` cannot lie beside each other")]
    Clash {
        /// One path.
        one: String,
        /// The other path.
        other: String,
    },
    /// A file that does not belong, or not there, or is not as its place says.
    #[error("the file `{path}` {why}")]
    Entry {
        /// The file's path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An image whose parts do not fit together.
    #[error("the image `{name}` {why}")]
    Image {
        /// The image's name in the manifest.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The frames of the manifest are not those of its files.
    #[error("the frames do not follow from the files: {0}")]
    Frames(&'static str),
    /// A frame's bytes are not those of the manifest.
    #[error("frame {frame} is damaged: its {kind} is {found}, and the manifest says {expected}")]
    FrameDigest {
        /// Which, counted from 0 at the first behind the head.
        frame: usize,
        /// The hash.
        kind: &'static str,
        /// What the manifest says.
        expected: String,
        /// What the bytes give.
        found: String,
    },
    /// A frame that is not one plain zstd frame of the size that the manifest says.
    #[error("frame {frame} is not one plain zstd frame: {why}")]
    FrameForm {
        /// Which.
        frame: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A frame that does not unpack to what it says.
    #[error("frame {frame} does not unpack: {why}")]
    FrameContent {
        /// Which.
        frame: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Between the files stands something else than their headers and padding.
    #[error("what the archive says of `{path}` is not what the manifest says")]
    Archive {
        /// The file's path.
        path: String,
    },
    /// A file's content is not what the manifest says.
    #[error("the content of `{path}` is another: its SHA-256 is {found}, and the manifest says {expected}")]
    Content {
        /// The file's path.
        path: String,
        /// What the manifest says.
        expected: Digest,
        /// What the content gives.
        found: Digest,
    },
    /// The seek table is not that of the frames.
    #[error("the seek table at the end is not that of the frames")]
    SeekTable,
    /// A signature's file is not in its one form.
    #[error("a signature is not in its one form: {0}")]
    Signature(&'static str),
    /// There is no such file in the bundle.
    #[error("the bundle holds no `{path}`")]
    Absent {
        /// The path that was asked for.
        path: String,
    },
    /// Not enough of the trusted keys have signed it, or it is too old.
    #[error(transparent)]
    Trust(#[from] super::trust::TrustError),
    /// The parts of a split bundle do not make one.
    #[error(transparent)]
    Parts(#[from] super::split_error::PartsError),
    /// A delta does not make a bundle.
    #[error(transparent)]
    Delta(#[from] super::delta_error::DeltaError),
    /// Packed content was changed since it was packed.
    #[error("the packed content in `{path}` is damaged: the BLAKE3 of a frame is {found}, not {expected}")]
    Packed {
        /// The file.
        path: PathBuf,
        /// What it was.
        expected: Blake3,
        /// What it is.
        found: Blake3,
    },
}

impl BundleError {
    /// The id of the reason: `GG-BUNDLE-` and three digits. It never changes and is never given to another reason.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Read { .. } => "GG-BUNDLE-001",
            Self::Write { .. } => "GG-BUNDLE-002",
            Self::NotABundle => "GG-BUNDLE-003",
            Self::CutShort { .. } => "GG-BUNDLE-004",
            Self::Surplus { .. } => "GG-BUNDLE-005",
            Self::Head(_) => "GG-BUNDLE-006",
            Self::TooLarge { .. } => "GG-BUNDLE-007",
            Self::Manifest(_) => "GG-BUNDLE-008",
            Self::NotCanonical => "GG-BUNDLE-009",
            Self::Format { .. } => "GG-BUNDLE-010",
            Self::Field { .. } => "GG-BUNDLE-011",
            Self::Path { .. } => "GG-BUNDLE-012",
            Self::Clash { .. } => "GG-BUNDLE-013",
            Self::Entry { .. } => "GG-BUNDLE-014",
            Self::Image { .. } => "GG-BUNDLE-015",
            Self::Frames(_) => "GG-BUNDLE-016",
            Self::FrameDigest { .. } => "GG-BUNDLE-017",
            Self::FrameForm { .. } => "GG-BUNDLE-018",
            Self::FrameContent { .. } => "GG-BUNDLE-019",
            Self::Archive { .. } => "GG-BUNDLE-020",
            Self::Content { .. } => "GG-BUNDLE-021",
            Self::SeekTable => "GG-BUNDLE-022",
            Self::Signature(_) => "GG-BUNDLE-023",
            Self::Absent { .. } => "GG-BUNDLE-024",
            Self::Packed { .. } => "GG-BUNDLE-025",
            Self::Trust(error) => error.id(),
            Self::Parts(error) => error.id(),
            Self::Delta(error) => error.id(),
        }
    }

    /// Says whether the medium or the operator is at fault, not what the file says.
    pub const fn is_outside(&self) -> bool {
        match self {
            Self::Parts(error) => error.is_outside(),
            Self::Delta(error) => error.is_outside(),
            _ => matches!(self, Self::Read { .. } | Self::Write { .. } | Self::Absent { .. } | Self::Packed { .. }),
        }
    }

    /// Says whether another base bundle is needed.
    pub const fn is_base(&self) -> bool {
        matches!(self, Self::Delta(error) if error.is_base())
    }

    /// Says whether another program is needed.
    pub const fn is_version(&self) -> bool {
        matches!(self, Self::Delta(error) if error.is_version())
    }

    /// Says whether a file system was full, or a quota.
    pub fn is_space(&self) -> bool {
        let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self, Self::Write { source, .. } if is_full(source.kind()))
    }

    /// The reason that a reader of content got, or that what is called `path` does not read.
    pub fn within(error: io::Error, path: &std::path::Path) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) => Self::Read { path: path.into(), source },
        }
    }

    /// The reason inside what a reader of [`super::Content`] got.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// So that content can be read through [`io::Read`].
impl From<BundleError> for io::Error {
    fn from(error: BundleError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Hint for BundleError {
    fn hint(&self) -> Option<String> {
        let said = match self {
            Self::Trust(error) => return error.hint(),
            Self::Parts(error) => return error.hint(),
            Self::Delta(error) => return error.hint(),
            Self::Write { .. } if self.is_space() => "free some space on that file system, then run this again",
            Self::Read { .. } | Self::Write { .. } => return None,
            Self::NotABundle => {
                "name the file that ends in .ggb, or the folder or first part of a split one; a delta (.ggd) has to be applied first"
            }
            Self::CutShort { .. } | Self::FrameDigest { .. } | Self::SeekTable => {
                "the copy is damaged: verify the source medium, then copy again"
            }
            Self::Surplus { .. } => "something was added behind the bundle; copy it again from its source",
            Self::Format { .. } => "use the gitgrit-ops that came beside the bundle",
            Self::Absent { .. } => "gitgrit-ops bundle inspect lists what the bundle holds",
            Self::Packed { .. } => "remove the folder that it lies in; the next build packs that layer again",
            _ => "do not use this file: it was not written by bundle build, or was changed since; ask whoever sent it",
        };
        Some(said.into())
    }
}
