//! The terminal and the environment, handed in: data goes to `out`, words to `err`.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use base::envfile::Values;
use base::settings::REGISTRY;
use indicatif::{ProgressBar, ProgressFinish};

/// Standard error. Words that nobody reads any more are no reason to stop half-way, so writing them never fails.
struct Words;

impl Write for Words {
    fn write(&mut self, words: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(words);
        Ok(words.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets a verdict stand when its reader went away: only a verb that does nothing but show may end there with 0.
pub(crate) fn unless_gone(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// What a verb talks to.
pub(crate) struct Console {
    /// Data: what was asked for.
    pub(crate) out: Box<dyn Write>,
    /// Words: progress, warnings, errors.
    pub(crate) err: Box<dyn Write>,
    /// Says whether data shall be JSON.
    pub(crate) is_json: bool,
    /// Says whether a person reads `err`.
    pub(crate) is_terminal: bool,
    /// The process environment, cut down to the settings that exist.
    pub(crate) environment: Values,
}

impl Console {
    /// This process's own.
    pub(crate) fn standard() -> Self {
        let named = |name: &'static str| std::env::var(name).ok().map(|value| (name, value));
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(Words),
            is_json: false,
            is_terminal: io::stderr().is_terminal(),
            environment: REGISTRY.iter().filter_map(|setting| named(setting.name)).collect(),
        }
    }

    /// A sign of life on a terminal while something takes its time; gone when dropped. Nothing where nobody looks.
    #[expect(clippy::unused_self, reason = "whoever has no console may not draw on it")]
    pub(crate) fn working(&self, text: &'static str) -> ProgressBar {
        let sign = ProgressBar::new_spinner().with_message(text).with_finish(ProgressFinish::AndClear);
        sign.enable_steady_tick(Duration::from_millis(100));
        sign
    }

    /// Writes one JSON value and a line end to `out`.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        writeln!(self.out)
    }
}
