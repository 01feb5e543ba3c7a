//! The engine that `DOCKER_HOST` names, and a bar for what takes long on its way to or from it.

use docker::{Engine, EngineError};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::{Console, Exit, Failure};

/// The engine, which must answer. Fails with exit code 18.
pub(crate) fn engine() -> Result<Engine, Failure> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    Engine::connect(&host).map_err(engine_failure)
}

/// A failure of the engine, with its exit code.
pub(crate) fn engine_failure(error: EngineError) -> Failure {
    let exit = if error.is_unavailable() { Exit::Engine } else { Exit::Failure };
    Failure::new(exit, error)
}

/// Bytes, speed and time to go, on a terminal that somebody looks at; nothing anywhere else.
pub(crate) fn progress(console: &Console, total: u64, what: &'static str) -> ProgressBar {
    if !console.is_terminal || console.is_json {
        return ProgressBar::hidden();
    }
    let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what).with_finish(ProgressFinish::AndClear)
}
