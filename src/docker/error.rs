//! Why the engine did not do what it was asked. Its own words are kept: they are what an operator will search for.

use base::Hint;

use crate::reference::ReferenceError;

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `DOCKER_HOST` is an address that is not spoken here.
    #[error("could not use the engine's address `{host}`")]
    Address {
        /// The address.
        host: String,
    },
    /// Nobody answers.
    #[error("could not reach the engine at `{host}`")]
    Absent {
        /// The address.
        host: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took the question and then said nothing, or no more.
    #[error("the engine at `{host}` did not go on with: {what} (waited {seconds} s)")]
    Silent {
        /// The address.
        host: String,
        /// What was asked.
        what: String,
        /// How long nothing came.
        seconds: u64,
    },
    /// It said no.
    #[error("the engine refused to {what}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The engine's own words.
        message: String,
    },
    /// It answered with what is no answer.
    #[error("the engine's answer was not understood: {what}")]
    Answer {
        /// What was asked.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The archive that was to be sent did not read.
    #[error("could not read what was to be loaded")]
    Archive {
        /// Why.
        source: std::io::Error,
    },
    /// Not the name of an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// No runtime could be had.
    #[error("could not start what talks to the engine")]
    Runtime {
        /// Why.
        source: std::io::Error,
    },
}

impl EngineError {
    /// Says whether there is no engine to ask: exit code 18.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Absent { .. } | Self::Silent { .. })
    }

    /// Says whether the engine misses the content of a layer that was left out because it had it.
    pub fn is_missing_layer(&self) -> bool {
        let Self::Refused { message, .. } = self else { return false };
        let message = message.to_lowercase();
        let is_missing =
            ["no such file", "not found", "does not exist", "not exist"].iter().any(|words| message.contains(words));
        is_missing
            && ["blobs/sha256", "sha256:", "layer", "diffid", "content digest"]
                .iter()
                .any(|words| message.contains(words))
    }

    /// Says whether a disk of the engine is full.
    pub fn is_full(&self) -> bool {
        let Self::Refused { message, .. } = self else { return false };
        let message = message.to_lowercase();
        ["no space left on device", "disk quota exceeded", "enospc"].iter().any(|words| message.contains(words))
    }
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some("set DOCKER_HOST to unix:///PATH or tcp://HOST:PORT, or leave it out".into()),
            Self::Absent { .. } => Some(
                "start the engine (systemctl start docker); your user must be allowed to use its socket (group docker)"
                    .into(),
            ),
            Self::Silent { .. } => {
                Some("look at the engine's own log (journalctl -u docker), then run this again".into())
            }
            Self::Reference(_) => Some("write NAME:TAG, with lower-case letters, digits, `.`, `_`, `-` and `/`".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What engines of different ages say, and what it means for whoever sent an archive without all layers.
    #[test]
    fn the_engines_words_are_told_apart() {
        let cases = [
            ("open /var/lib/docker/tmp/docker-import-1/blobs/sha256/ab: no such file or directory", true, false),
            ("lstat /var/lib/docker/tmp/docker-import-1/blobs: no such file or directory, layer missing", true, false),
            ("content digest sha256:ab: not found", true, false),
            ("unable to copy from source docker-archive: file \"blobs/sha256/ab\" not found in tar", true, false),
            ("Error processing tar file(exit status 1): write /blobs/sha256/ab: no space left on device", false, true),
            ("failed to copy files: disk quota exceeded", false, true),
            ("invalid diffID for layer 0: expected \"sha256:ab\", got \"sha256:cd\"", false, false),
            ("archive/tar: invalid tar header", false, false),
            ("repository does not allow this", false, false),
        ];
        for (message, is_missing, is_full) in cases {
            let error = EngineError::Refused { what: "load".into(), message: message.into() };
            assert_eq!((error.is_missing_layer(), error.is_full()), (is_missing, is_full), "{message}");
        }
    }
}
