//! Starts a container on the engine, and one under gVisor where that is registered, and looks what they have: programs of this
//! host, mounted for reading, without a network. Needs no image: makes one of no bytes, and takes everything away again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use base::Finding;
use base::process::Program;
use serde::Deserialize;

use super::engine::Door;
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
const MOUNTS: [&str; 6] = ["/usr", "/lib", "/lib64", "/bin", "/nix", "/gnu"];
/// What images and containers of ours are called, and the label of the containers.
const NAME: &str = "gitgrit-preflight";
/// Seconds after which no run of ours is still at it.
const LONGEST: i64 = 300;
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
    if !matches!(world.door(), Door::Here(_)) {
        return Err("the engine is not known to be on this host, whose programs are to be started".into());
    }
    let cat = cat(&(world.asked.environment)("PATH").unwrap_or_default())?;
    let now = world.asked.now.seconds();
    sweep(world, now);
    let name = name(now, RandomState::new().build_hasher().finish());
    let image = format!("{NAME}:{name}");
    let made = asks(world).option("import").operands(["-", &image]).run(&EMPTY);
    let made = made.map_err(|error| base::hint::chain(&error))?;
    if !made.status.success() {
        return Err(engine::reason(&made));
    }
    let part = |runtime| Part { image: &image, name: &name, cat: &cat, runtime };
    let inside = std::thread::scope(|scope| {
        let sandboxed = info.runtimes.contains_key("runsc").then(|| scope.spawn(|| run(world, &part(Some("runsc")))));
        let plain = run(world, &part(None));
        let ended = |_| Err("the check itself ended early".to_owned());
        Inside { plain, sandboxed: sandboxed.map(|thread| thread.join().unwrap_or_else(ended)) }
    });
    // What cannot be removed is of no bytes, and the next run's name is another.
    let _ = asks(world).options(["rmi", "--force"]).operands([&image]).run(b"");
    Ok(inside)
}

fn asks(world: &World) -> Program {
    engine::program(world).deadline(DEADLINE)
}

/// When it was made, and what no other run has: several hosts' processes may share one engine.
fn name(now: i64, chance: u64) -> String {
    format!("{now}-{chance:016x}")
}

/// Says whether a container or image was left by a run that was killed: it is named as ours are, and older than any run lasts.
fn is_left(name: &str, now: i64) -> bool {
    let rest = name.strip_prefix(NAME).map(|rest| rest.trim_start_matches([':', '-']));
    let made = rest.and_then(|rest| rest.split('-').next()?.parse::<i64>().ok());
    made.is_some_and(|made| now.saturating_sub(made) > LONGEST)
}

/// Removes what runs before this one left when they were killed.
fn sweep(world: &World, now: i64) {
    let label = format!("label={NAME}");
    let containers = ["ps", "--all", "--filter", &label, "--format", "{{.Names}}"];
    let images = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
    remove(world, asks(world).options(containers), ["rm", "--force"], now);
    remove(world, asks(world).options(images).operands([NAME]), ["rmi", "--force"], now);
}

fn remove(world: &World, list: Program, how: [&str; 2], now: i64) {
    let listed = list.run(b"").map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    let left: Vec<&str> = listed.lines().filter(|name| is_left(name, now)).collect();
    if !left.is_empty() {
        // Whoever may not remove it leaves it to the next.
        let _ = asks(world).options(how).operands(left).run(b"");
    }
}

/// Where this host has `cat`, as a path that leads to it inside as well: its directory is taken for what it is, and its own name
/// stays, for it may be one of many names of one program.
fn cat(path: &str) -> Result<String, String> {
    let folders = std::env::split_paths(path).chain(["/usr/bin".into(), "/bin".into()]);
    let folder = folders.filter_map(|folder| folder.canonicalize().ok()).find(|folder| folder.join("cat").is_file());
    let cat =
        folder.filter(|folder| MOUNTS.iter().any(|place| folder.starts_with(place))).map(|folder| folder.join("cat"));
    cat.and_then(|cat| cat.to_str().map(str::to_owned)).ok_or_else(|| "this host has no `cat` to start".to_owned())
}

/// What one container is to be.
struct Part<'p> {
    image: &'p str,
    name: &'p str,
    cat: &'p str,
    runtime: Option<&'p str>,
}

fn run(world: &World, part: &Part<'_>) -> Result<Seen, String> {
    let name = format!("{NAME}-{}-{}", part.name, part.runtime.unwrap_or("plain"));
    let mut run = asks(world).options(["run", "--network", "none", "--security-opt", "label=disable"]);
    run = run.options(["--label", NAME, "--name", &name]);
    if let Some(runtime) = part.runtime {
        run = run.options(["--runtime", runtime]);
    }
    for place in MOUNTS.into_iter().filter(|place| std::path::Path::new(place).exists()) {
        run = run.options(["--volume", &format!("{place}:{place}:ro")]);
    }
    // The image ends the options: what follows it is the container's.
    let done = run.options([part.image, part.cat, "/proc/version", "/proc/self/limits"]).run(b"");
    let inspect =
        engine::program(world).options(["inspect", "--format", "{{json .HostConfig}}"]).operands([&name]).run(b"");
    let _ = asks(world).options(["rm", "--force"]).operands([&name]).run(b"");
    let done = done.map_err(|error| base::hint::chain(&error))?;
    if !done.status.success() {
        return Err(engine::reason(&done));
    }
    let settings = inspect.map_err(|error| base::hint::chain(&error))?;
    let settings = engine::read(&settings.stdout).map_err(|error| format!("`docker inspect` is not read: {error}"))?;
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
    let inside = match world.container() {
        Err(reason) => return known.unseen(subject, reason.clone()),
        Ok(inside) => inside,
    };
    match &inside.sandboxed {
        None => known.unseen(subject, "runsc is not registered with the engine"),
        Some(Err(reason)) => known.fails(subject, format!("does not start: {reason}")),
        Some(Ok(seen)) => {
            // The engine may be in a machine of its own, whose kernel is that of every other container, and not this process's.
            let own = inside
                .plain
                .as_ref()
                .map_or_else(|_| text("/proc/version").unwrap_or_default(), |seen| seen.kernel.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As where programs are found by a directory of links, like NixOS's.
    #[test]
    fn cat_is_found_where_its_directory_really_is() {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/usr/bin", home.path().join("sw")).unwrap();
        assert_eq!(cat(home.path().join("sw").to_str().unwrap()).as_deref(), Ok("/usr/bin/cat"));
        assert_eq!(cat("/nonexistent").as_deref(), Ok("/usr/bin/cat"));
    }

    #[test]
    fn what_is_left_is_ours_and_older_than_any_run() {
        let own = name(1000, 7);
        for (name, now, expected) in [
            (format!("{NAME}-{own}-plain"), 1000 + LONGEST + 1, true),
            (format!("{NAME}-{own}-runsc"), 1000 + LONGEST, false),
            (format!("{NAME}:{own}"), 9000, true),
            (format!("{NAME}:latest"), 9000, false),
            ("somebodys-1000-plain".into(), 9000, false),
        ] {
            assert_eq!(is_left(&name, now), expected, "{name}");
        }
    }
}
