//! Why a bundle in parts is refused, each reason under an id that never changes (docs/bundle-media.md). A message names the
//! parts by their files, and what to fetch again.

use std::path::{Path, PathBuf};

use base::Hint;
use base::name::shown;

/// What is wrong with the parts of a bundle.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// A file that is taken for a part is none.
    #[error("`{}` is no whole part of a bundle: it {why}", told(.path))]
    NoPart {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file or a folder does not read.
    #[error("could not read `{}`", told(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without parts.
    #[error("no part of a bundle lies in `{}`", told(.path))]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// Parts are not there.
    #[error("of the {count} parts of `{name}`, {} missing{}", numbers(.missing), beside(.notes))]
    Missing {
        /// The bundle's file.
        name: String,
        /// How many parts there are.
        count: u32,
        /// Which are not there, counted from 1.
        missing: Vec<u32>,
        /// What lies there in their place.
        notes: Vec<String>,
    },
    /// Parts hold other bytes than the index says, and the others do not give them back.
    #[error("damaged: {}", .parts.join(", "))]
    Damaged {
        /// The files.
        parts: Vec<String>,
    },
    /// Parts of several bundles.
    #[error("`{}` is of {one_of}, and `{}` is of {other_of}", told(.one), told(.other))]
    Strangers {
        /// A part.
        one: PathBuf,
        /// Its bundle.
        one_of: String,
        /// A part of another one.
        other: PathBuf,
        /// That one's bundle.
        other_of: String,
    },
    /// The same part under two names.
    #[error("`{}` and `{}` are both part {number}", told(.one), told(.other))]
    Twice {
        /// Which part.
        number: u32,
        /// A file.
        one: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// The parts fit together, and do not make the bundle that they name.
    #[error("the parts make another bundle than they say: {why}")]
    Other {
        /// What is different.
        why: String,
    },
    /// Parts of that size cannot be.
    #[error("parts of {size} bytes cannot be: {why}")]
    Size {
        /// The size that was asked for, in bytes.
        size: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A part of an earlier split would be taken for one of this.
    #[error("`{}` is left of an earlier split", told(.path))]
    Left {
        /// The file.
        path: PathBuf,
    },
    /// What was written is not what was verified.
    #[error("the bundle gave other bytes when it was split than when it was verified: {why}")]
    Changed {
        /// What is different.
        why: String,
    },
}

impl PartsError {
    /// The id of the reason.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::NoPart { .. } => "GG-BUNDLE-140",
            // The reason is the same as that of a bundle in one file.
            Self::Read { .. } => "GG-BUNDLE-001",
            Self::Nothing { .. } => "GG-BUNDLE-141",
            Self::Missing { .. } => "GG-BUNDLE-142",
            Self::Damaged { .. } => "GG-BUNDLE-143",
            Self::Strangers { .. } => "GG-BUNDLE-144",
            Self::Twice { .. } => "GG-BUNDLE-145",
            Self::Other { .. } => "GG-BUNDLE-146",
            Self::Size { .. } => "GG-BUNDLE-147",
            Self::Left { .. } => "GG-BUNDLE-148",
            Self::Changed { .. } => "GG-BUNDLE-149",
        }
    }

    /// Says whether the command asked for what cannot be, and no file is at fault.
    pub const fn is_outside(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Nothing { .. } | Self::Size { .. } | Self::Left { .. })
    }

    /// Says whether too many files are open.
    pub(crate) fn is_crowd(&self) -> bool {
        use rustix::io::Errno;
        let crowded = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        matches!(self, Self::Read { source, .. } if crowded.contains(&source.raw_os_error()))
    }
}

impl Hint for PartsError {
    fn hint(&self) -> Option<String> {
        let said = match self {
            Self::Read { .. } => return None,
            Self::NoPart { .. } | Self::Missing { .. } | Self::Damaged { .. } => {
                "copy what is named again from the source medium; one part of a split with --parity may be lost"
            }
            Self::Nothing { .. } => "name the folder with the parts, or the first of them",
            Self::Strangers { .. } => {
                "remove the parts of the bundle that you do not mean, or name the first part of the other"
            }
            Self::Twice { .. } => "remove one of them",
            Self::Other { .. } => "do not use these parts: bundle split did not write them so",
            Self::Size { .. } => "name a size from 100kB on that gives at most 512 parts, with --parity at least two",
            Self::Left { .. } => "remove it, or name another folder with --out",
            Self::Changed { .. } => {
                "the medium that it lies on is not sound: copy it again from its source, and verify it"
            }
        };
        Some(said.into())
    }
}

/// A path for a message: the files of a medium may have any names.
pub(crate) fn told(path: &Path) -> String {
    path.to_string_lossy().chars().map(|sign| shown(sign.encode_utf8(&mut [0; 4]))).collect()
}

fn numbers(missing: &[u32]) -> String {
    let shown: Vec<_> = missing.iter().take(20).map(|number| format!("{number:03}")).collect();
    let more = if missing.len() > 20 { ", …" } else { "" };
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{}{more} {verb}", shown.join(", "))
}

fn beside(notes: &[String]) -> String {
    notes.iter().take(20).fold(String::new(), |text, note| text + "; " + note)
}
