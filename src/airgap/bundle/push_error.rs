//! Why a host does not have the bundle's images, and what the operator can do about it.

use std::io;
use std::path::PathBuf;

use base::Hint;

use super::push::FOLDER;

/// Why a host does not have the bundle's images.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Not a host's name.
    #[error("`{host}` is no host's name")]
    Name {
        /// The text, with what is not plain replaced.
        host: String,
    },
    /// `ssh` did not get through, or the host cannot do what is asked.
    #[error("could not {what} on `{host}`: {words}")]
    Ssh {
        /// The host.
        host: String,
        /// What was to be done.
        what: &'static str,
        /// What was said last.
        words: String,
    },
    /// The host has no room for the files.
    #[error("`{host}` has {free} bytes free in `{FOLDER}`, and the copy needs {needed}")]
    Space {
        /// The host.
        host: String,
        /// What is free there, in bytes.
        free: u64,
        /// What is needed there, in bytes.
        needed: u64,
    },
    /// The host had room when it was asked, and then it had none, or its user may take no more.
    #[error("`{host}` ran out of room in `{FOLDER}`: {words}")]
    Full {
        /// The host.
        host: String,
        /// What was said last.
        words: String,
    },
    /// The bundle is for another processor.
    #[error("`{host}` is a machine of the kind `{found}`, and the bundle is for `{wanted}`")]
    Processor {
        /// The host.
        host: String,
        /// What it says of itself.
        found: String,
        /// What the bundle's program needs.
        wanted: &'static str,
    },
    /// What arrived is not what was sent.
    #[error("what arrived on `{host}` is not what was sent")]
    Damaged {
        /// The host.
        host: String,
    },
    /// The host's own load failed.
    #[error("`{host}` did not load the bundle (exit code {code}): {words}")]
    Load {
        /// The host.
        host: String,
        /// Its exit code.
        code: i32,
        /// What it said.
        words: String,
    },
    /// A file of this host does not read, or `ssh` does not start.
    #[error("could not use `{path}`")]
    Here {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl PushError {
    /// The stable id of the refusal.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Name { .. } => "GG-BUNDLE-180",
            Self::Ssh { .. } => "GG-BUNDLE-181",
            Self::Space { .. } | Self::Full { .. } => "GG-BUNDLE-182",
            Self::Damaged { .. } => "GG-BUNDLE-183",
            Self::Load { .. } => "GG-BUNDLE-184",
            Self::Here { .. } => "GG-BUNDLE-185",
            Self::Processor { .. } => "GG-BUNDLE-187",
        }
    }
}

impl Hint for PushError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => {
                Some("write HOST or USER@HOST; ports and keys belong into an ssh configuration (--ssh-config)".into())
            }
            Self::Ssh { host, .. } => Some(format!("try `ssh -o BatchMode=yes {host} true`")),
            Self::Damaged { .. } => Some("run this again".into()),
            Self::Space { .. } | Self::Full { .. } => {
                Some("make room there, and run this again: it goes on where it was".into())
            }
            Self::Processor { .. } => Some("take the bundle that was built for it".into()),
            _ => None,
        }
    }
}
