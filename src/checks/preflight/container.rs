//! Starts a container on the engine, and one under gVisor where that is registered, and looks what they have: programs of this
//! host, mounted for reading, without a network. Needs no image: makes one of no bytes, and takes everything away again.

use std::time::Duration;

use base::Finding;
use serde::Deserialize;

use super::{World, engine, text};
use crate::catalogue;
use crate::check::Check;
use crate::text::line;

/// How long one container may take from create to end.
const DEADLINE: Duration = Duration::from_secs(12);
/// Seconds for all of it.
const PATIENCE: u64 = 30;
/// An archive without entries: two blocks of zeros.
const EMPTY: [u8; 1024] = [0; 1024];
/// What a program of this host needs to run inside.
const MOUNTS: [&str; 3] = ["/usr", "/lib", "/lib64"];
/// Open files that a database or a site in a container wants.
const FILES: u64 = 1024;

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::ENGINE_CONTAINER, "a container", starts).patient(PATIENCE),
    Check::new(&catalogue::ENGINE_RUNSC_USED, "a container under runsc", sandboxed).patient(PATIENCE),
    Check::new(&catalogue::ENGINE_LOG_SIZE, "size of logs", log_size).patient(PATIENCE),
    Check::new(&catalogue::ENGINE_OPEN_FILES, "open files of a container", open_files).patient(PATIENCE),
];

/// What was seen from inside.
#[derive(Debug)]
pub(crate) struct Inside {
    plain: Result<Seen, String>,
    /// `None` where runsc is not registered.
    sandboxed: Option<Result<Seen, String>>,
}

#[derive(Debug)]
struct Seen {
    /// /proc/version.
    kernel: String,
    /// /proc/self/limits.
    limits: String,
    settings: Settings,
}

/// `docker inspect`'s HostConfig.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    runtime: String,
    log_config: Logs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Logs {
    r#type: String,
    config: std::collections::BTreeMap<String, String>,
}

/// Runs both containers at once.
pub(super) fn both(world: &World) -> Result<Inside, String> {
    let info = world.engine().map_err(|away| away.reason.clone())?;
    engine::door(world)
        .map_err(|_| "the engine is on another host, whose programs are not ours to start".to_owned())?;
    let image = format!("gitgrit-preflight:{}", std::process::id());
    let made = engine::program(world).deadline(DEADLINE).option("import").operands(["-", &image]).run(&EMPTY);
    let made = made.map_err(|error| base::hint::chain(&error))?;
    if !made.status.success() {
        return Err(engine::reason(&made));
    }
    let inside = std::thread::scope(|scope| {
        let sandboxed = info.runtimes.contains_key("runsc").then(|| scope.spawn(|| run(world, &image, Some("runsc"))));
        let plain = run(world, &image, None);
        let ended = |_| Err("the check itself ended early".to_owned());
        Inside { plain, sandboxed: sandboxed.map(|thread| thread.join().unwrap_or_else(ended)) }
    });
    // What cannot be removed is of no bytes, and the next run's name is another.
    let _ = engine::program(world).deadline(DEADLINE).options(["rmi", "--force"]).operands([&image]).run(b"");
    Ok(inside)
}

fn run(world: &World, image: &str, runtime: Option<&str>) -> Result<Seen, String> {
    let name = format!("gitgrit-preflight-{}-{}", std::process::id(), runtime.unwrap_or("plain"));
    let mut run = engine::program(world).deadline(DEADLINE);
    run = run.options(["run", "--network", "none", "--security-opt", "label=disable", "--name", &name]);
    if let Some(runtime) = runtime {
        run = run.options(["--runtime", runtime]);
    }
    for place in MOUNTS.into_iter().filter(|place| std::path::Path::new(place).exists()) {
        run = run.options(["--volume", &format!("{place}:{place}:ro")]);
    }
    // The image ends the options: what follows it is the container's.
    let done = run.options([image, "/usr/bin/cat", "/proc/version", "/proc/self/limits"]).run(b"");
    let inspect =
        engine::program(world).options(["inspect", "--format", "{{json .HostConfig}}"]).operands([&name]).run(b"");
    let _ = engine::program(world).deadline(DEADLINE).options(["rm", "--force"]).operands([&name]).run(b"");
    let done = done.map_err(|error| base::hint::chain(&error))?;
    if !done.status.success() {
        return Err(engine::reason(&done));
    }
    let settings = inspect.map_err(|error| base::hint::chain(&error))?;
    let settings =
        serde_json::from_slice(&settings.stdout).map_err(|error| format!("`docker inspect` is not read: {error}"))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let (kernel, limits) = said.split_once('\n').ok_or("the container printed nothing")?;
    Ok(Seen { kernel: kernel.to_owned(), limits: limits.to_owned(), settings })
}

fn starts(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_CONTAINER;
    match world.container() {
        Err(reason) => known.unseen("a container", reason.clone()),
        Ok(Inside { plain: Err(reason), .. }) => known.fails("a container", format!("does not start: {reason}")),
        Ok(Inside { plain: Ok(seen), .. }) => {
            known.fine("a container", format!("starts, under {}", seen.settings.runtime))
        }
    }
}

fn sandboxed(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_RUNSC_USED;
    let subject = "a container under runsc";
    match world.container().map(|inside| &inside.sandboxed) {
        Err(reason) => known.unseen(subject, reason.clone()),
        Ok(None) => known.unseen(subject, "runsc is not registered with the engine"),
        Ok(Some(Err(reason))) => known.fails(subject, format!("does not start: {reason}")),
        Ok(Some(Ok(seen))) => {
            let own = text("/proc/version").unwrap_or_default();
            let shown = line(seen.kernel.split(" (").next().unwrap_or_default());
            if seen.kernel.trim() == own.trim() {
                return known.fails(subject, format!("runs on this host's own kernel, {shown}: it is no sandbox"));
            }
            known.fine(subject, format!("runs on a kernel of its own, {shown}"))
        }
    }
}

fn log_size(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_LOG_SIZE;
    match world.container() {
        Err(reason) | Ok(Inside { plain: Err(reason), .. }) => known.unseen("size of logs", reason.clone()),
        Ok(Inside { plain: Ok(seen), .. }) => {
            let logs = &seen.settings.log_config;
            match logs.config.get("max-size") {
                Some(size) => known.fine("size of logs", format!("ends at {}", line(size))),
                None if logs.r#type == "json-file" => {
                    known.warns("size of logs", "has no end: json-file without max-size")
                }
                None => known.fine("size of logs", format!("is kept by {}", line(&logs.r#type))),
            }
        }
    }
}

fn open_files(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_OPEN_FILES;
    let subject = "open files of a container";
    match world.container() {
        Err(reason) | Ok(Inside { plain: Err(reason), .. }) => known.unseen(subject, reason.clone()),
        Ok(Inside { plain: Ok(seen), .. }) => {
            let row = seen.limits.lines().find_map(|line| line.strip_prefix("Max open files"));
            match row.and_then(|row| row.split_whitespace().nth(1)) {
                None => known.unseen(subject, "are not told"),
                Some("unlimited") => known.fine(subject, "have no limit"),
                Some(most) => match most.parse::<u64>() {
                    Ok(most) if most < FILES => known.warns(subject, format!("{most} at most, fewer than {FILES}")),
                    Ok(most) => known.fine(subject, format!("{most} at most")),
                    Err(_) => known.unseen(subject, "are not told"),
                },
            }
        }
    }
}
