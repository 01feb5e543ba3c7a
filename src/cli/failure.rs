//! A failed command: its exit code, the chain of causes once, and the hints.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use base::Hint;
use serde::Serialize;

use super::{Console, Exit};

/// Why a verb ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    /// The stable id of the reason, where it has one.
    id: Option<&'static str>,
}

#[derive(Serialize)]
struct FailureView<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'static str>,
    error: String,
    causes: Vec<String>,
    hints: &'f [String],
    exit: u8,
}

impl Failure {
    /// A failure with the error's own hint.
    pub(crate) fn new(exit: Exit, error: impl Hint + Send + Sync + 'static) -> Self {
        Self { exit, hints: error.hint().into_iter().collect(), error: Box::new(error), id: None }
    }

    /// A failure of the command line's own making.
    pub(crate) fn said(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, hints: Vec::new(), error: message.into().into(), id: None }
    }

    /// Names the reason by its stable id.
    #[must_use]
    pub(crate) fn identified(mut self, id: &'static str) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds a hint.
    #[must_use]
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Prints the failure and gives its exit code. A reader that went away is no failure.
    pub(crate) fn print(&self, console: &mut Console) -> Exit {
        if self.is_broken_pipe() {
            return Exit::Ok;
        }
        let causes = self.causes();
        if console.is_json {
            let view = FailureView {
                id: self.id,
                error: self.error.to_string(),
                causes,
                hints: &self.hints,
                exit: self.exit as u8,
            };
            let _ = console.json(&view);
            return self.exit;
        }
        let id = self.id.map(|id| format!("[{id}]")).unwrap_or_default();
        let _ = writeln!(console.err, "error{id}: {}", self.error);
        for cause in causes {
            let _ = writeln!(console.err, "  caused by: {cause}");
        }
        for hint in &self.hints {
            let _ = writeln!(console.err, "hint: {hint}");
        }
        self.exit
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }

    fn is_broken_pipe(&self) -> bool {
        self.error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Writing to the console failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { exit: Exit::Failure, error: Box::new(error), hints: Vec::new(), id: None }
    }
}

impl From<base::settings::SettingsError> for Failure {
    fn from(error: base::settings::SettingsError) -> Self {
        let exit = match error {
            base::settings::SettingsError::Conflict { .. } => Exit::KeyMismatch,
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

impl From<base::file::FileError> for Failure {
    fn from(error: base::file::FileError) -> Self {
        let exit = match error {
            base::file::FileError::Locked { .. } => Exit::Locked,
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

impl From<forge::OpenError> for Failure {
    fn from(error: forge::OpenError) -> Self {
        let exit = match error {
            forge::OpenError::KeyMismatch | forge::OpenError::KeyFormat => Exit::KeyMismatch,
            forge::OpenError::NewerSchema { .. } => Exit::Version,
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

impl From<forge::CopyRefused> for Failure {
    fn from(error: forge::CopyRefused) -> Self {
        match error {
            forge::CopyRefused::Open(error) => error.into(),
            forge::CopyRefused::InUse(_) => Self::new(Exit::Locked, error),
            other => Self::new(Exit::Failure, other),
        }
    }
}

impl From<serve::ServeError> for Failure {
    fn from(error: serve::ServeError) -> Self {
        Self::new(Exit::Failure, error)
    }
}

impl From<forge::Error> for Failure {
    fn from(error: forge::Error) -> Self {
        Self::new(Exit::Failure, error)
    }
}

impl From<airgap::running::RunningError> for Failure {
    fn from(error: airgap::running::RunningError) -> Self {
        use airgap::running::RunningError;
        let exit = match &error {
            RunningError::File(base::file::FileError::Locked { .. }) => Exit::Locked,
            RunningError::Ended { code, .. } => server_exit(*code),
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

/// A step that the command line carried out itself ends with the exit code and the hints of its own failure.
impl From<airgap::error::InstallError> for Failure {
    fn from(error: airgap::error::InstallError) -> Self {
        use airgap::error::InstallError;
        let exit = match &error {
            InstallError::File(base::file::FileError::Locked { .. }) => Exit::Locked,
            InstallError::Settings(base::settings::SettingsError::Conflict { .. })
            | InstallError::SecretLost { .. } => Exit::KeyMismatch,
            InstallError::Hook { source, .. } => {
                let inner = source.downcast_ref::<Self>();
                let hints = inner.map(|failure| failure.hints.clone()).unwrap_or_default();
                return Self {
                    exit: inner.map_or(Exit::Failure, |failure| failure.exit),
                    error: Box::new(error),
                    hints,
                    id: None,
                };
            }
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

/// So that a failure can travel through a room that knows nothing of exit codes.
impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(out)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// What the exit code of a server that ended at once means for whoever started it.
const fn server_exit(code: i32) -> Exit {
    match code {
        11 => Exit::Locked,
        12 => Exit::KeyMismatch,
        16 => Exit::Version,
        _ => Exit::Failure,
    }
}
