//! Runs the real binary and turns all it said into one text in which nothing depends on the machine or the moment.

use std::path::Path;
use std::time::Duration;

use base::process::{Finished, Program};
use regex::Regex;
use tempfile::TempDir;

use crate::site::{binary, out};

/// One run of the binary, being prepared.
pub(crate) struct Run {
    home: TempDir,
    program: Program,
}

impl Run {
    /// `arguments` after the program's name, in an empty directory with a cleared environment.
    pub(crate) fn new<const N: usize>(arguments: [&str; N]) -> Self {
        Self::of(&binary(), arguments)
    }

    /// The same, of a program at another path (the binary under another name, say).
    pub(crate) fn of<const N: usize>(program: &Path, arguments: [&str; N]) -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-run-").tempdir().unwrap();
        let program = Program::new(program.to_str().unwrap())
            .options(arguments)
            .env("HOME", home.path())
            .env("COLUMNS", "100")
            .directory(home.path())
            .deadline(Duration::from_mins(1));
        Self { home, program }
    }

    /// Sets one variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.program = self.program.env(name, value);
        self
    }

    /// Writes a file into the run's directory.
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        let path = self.home.path().join(name);
        base::file::create_dir(path.parent().unwrap(), 0o700).unwrap();
        base::file::write_atomic(&path, content.as_bytes(), 0o600).unwrap();
        self
    }

    /// Runs it and gives back what came of it, as it is.
    pub(crate) fn finished(self) -> Finished {
        self.program.run(b"").unwrap()
    }

    /// Exit code, standard output and standard error in one text, redacted.
    pub(crate) fn text(self) -> String {
        let home = self.home.path().display().to_string();
        let done = self.program.run(b"").unwrap();
        let exit = done.status.code().map_or_else(|| done.status.to_string(), |code| code.to_string());
        let text = format!("exit: {exit}\n--- stdout\n{}--- stderr\n{}", ended(&out(&done)), ended(&done.stderr));
        redact(&text.replace(&home, "[HOME]"))
    }
}

/// Takes out what changes from run to run: versions, addresses, ports, times and durations.
pub(crate) fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    let patterns = [
        (r"/tmp/gitgrit-[a-z]+-\w+", "[TMP]"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", "[TIME]"),
        (r"(127\.0\.0\.1|localhost|\[::1\]):\d{2,5}\b", "$1:[PORT]"),
        (r"\b\d+(\.\d+)? ?(ms|µs)\b", "[DURATION]"),
        (r"SHA256:[A-Za-z0-9+/]{43}", "[FINGERPRINT]"),
    ];
    for (pattern, name) in patterns {
        text = Regex::new(pattern).unwrap().replace_all(&text, name).into_owned();
    }
    text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.into() } else { format!("{text}\n") }
}

#[test]
fn what_changes_from_run_to_run_is_taken_out() {
    let said = "at 2026-01-02T03:04:05.6Z on https://127.0.0.1:41234 in 12.5 ms at /tmp/gitgrit-it-aB3/site";
    let shown = redact(said);
    assert_eq!(shown, "at [TIME] on https://127.0.0.1:[PORT] in [DURATION] at [TMP]/site");
}
