//! Containers of the images that travel, for the stories about them: each has a name and a volume of its own, and is gone
//! with what it held when the test ends.

use std::time::Duration;

use base::process::{Finished, Program};

use crate::require;
use crate::site::out;

/// The tag under which `scripts/soak images` leaves the images in the engine.
const TAG: &str = "lab";

/// The image of this name.
pub(crate) fn image(name: &str) -> String {
    format!("gitgrit-{name}:{TAG}")
}

/// Says whether the engine has these images.
pub(crate) fn has(names: &[&str]) -> bool {
    names.iter().all(|name| require::has("images", require::docker(&image(name))))
}

/// Runs `docker`, whatever comes of it.
pub(crate) fn docker(arguments: &[&str]) -> Finished {
    Program::new("docker").options(arguments).deadline(Duration::from_mins(3)).run(b"").unwrap()
}

/// Runs `docker`, which must not fail.
pub(crate) fn said(arguments: &[&str]) -> String {
    let done = docker(arguments);
    assert!(done.status.success(), "docker {}: {}{}", arguments.join(" "), out(&done), done.stderr);
    out(&done).trim_end().to_owned()
}

/// A volume, gone when dropped.
pub(crate) struct Volume(pub(crate) String);

impl Volume {
    pub(crate) fn new() -> Self {
        Self(said(&["volume", "create"]))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "--force", &self.0]);
    }
}

/// A container that runs, gone with its own volumes when dropped.
pub(crate) struct Container(pub(crate) String);

impl Container {
    /// Starts one of the image `name`, with these options of `docker run` and these arguments of its own.
    pub(crate) fn start(name: &str, options: &[&str], arguments: &[&str]) -> Self {
        let image = image(name);
        Self(said(&[&["run", "--detach", "--pull", "never"], options, &[&image], arguments].concat()))
    }

    /// Runs a program in it.
    pub(crate) fn exec(&self, arguments: &[&str]) -> Finished {
        docker(&[&["exec", &self.0], arguments].concat())
    }

    /// Runs a program in it, which must not fail.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        said(&[&["exec", &self.0], arguments].concat())
    }

    /// Waits until a program in it ends well.
    pub(crate) fn until(&self, seconds: u64, arguments: &[&str]) {
        let mut last = String::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(seconds);
        while std::time::Instant::now() < deadline {
            let done = self.exec(arguments);
            if done.status.success() {
                return;
            }
            last = done.stderr;
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{} did not end well within {seconds} s: {last}\n{}", arguments.join(" "), self.log());
    }

    /// Waits until the image's own health check passes: the engine would ask only after a quarter of a minute.
    pub(crate) fn until_healthy(&self, seconds: u64) {
        let check = said(&["inspect", "--format", "{{index .Config.Healthcheck.Test 1}}", &self.0]);
        self.until(seconds, &["sh", "-c", &check]);
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        let done = docker(&["logs", "--tail", "60", &self.0]);
        out(&done) + &done.stderr
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}
