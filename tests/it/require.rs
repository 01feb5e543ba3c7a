//! Parts that a machine may not have. A test that misses one says so by name and ends, unless `GITGRIT_TEST_REQUIRE`
//! lists the part: then it fails. Nothing here decides that a part is good enough: it is there and works, or not.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base::process::{Finished, Program};

/// The variable that lists, separated by commas, what may not be missing.
pub(crate) const VARIABLE: &str = "GITGRIT_TEST_REQUIRE";

/// Says whether `part` is there. When it is not, names it on standard error; panics when it is required.
pub(crate) fn has(part: &str, found: Result<(), String>) -> bool {
    let Err(why) = found else { return true };
    let required = std::env::var(VARIABLE).unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == part);
    assert!(!is_required, "`{part}` is required by {VARIABLE}, but absent: {why}");
    eprintln!("absent: {part}: {why}; this test did not run");
    false
}

/// A Docker engine that answers and has the image `image`.
pub(crate) fn docker(image: &str) -> Result<(), String> {
    engine()?;
    let inspect = run(Program::new("docker").options(["image", "inspect", "--format", "{{.Id}}"]).operands([image]))?;
    succeeded(&inspect, &format!("the engine has no image {image}"))
}

/// A Docker engine that answers, with whatever images.
pub(crate) fn engine() -> Result<(), String> {
    let version = run(Program::new("docker").options(["version", "--format", "{{.Server.Version}}"]))?;
    succeeded(&version, "no engine answers")
}

/// The runtime `runsc`, registered with the engine.
pub(crate) fn runsc() -> Result<(), String> {
    let info = run(Program::new("docker").options(["info", "--format", "{{json .Runtimes}}"]))?;
    succeeded(&info, "no engine answers")?;
    if String::from_utf8_lossy(&info.stdout).contains("\"runsc\"") {
        Ok(())
    } else {
        Err("the engine has no runtime runsc".into())
    }
}

/// A program of this name in PATH, or among those for administrators.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("`{name}` is not installed"))
}

/// A port of the loopback address that nobody listens on right now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again and again until `answer` has something, for at most `seconds`.
pub(crate) fn until<T>(seconds: u64, what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = answer() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(program: Program) -> Result<Finished, String> {
    program.run(b"").map_err(|error| error.to_string())
}

fn succeeded(done: &Finished, otherwise: &str) -> Result<(), String> {
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{otherwise} ({})", done.stderr.lines().next().unwrap_or_default()))
    }
}
