//! Builds and loads that are killed (`kill -9`) at moments of chance: the next run brings the same bytes and the same ids.
//! Three kills of each in an ordinary run; `GITGRIT_DRILL_KILLS` asks for more.

use std::fs::File;
use std::time::{Duration, Instant};

use base::process::Program;
use rustix::process::{Pid, Signal, kill_process};

use crate::bundle_travel::{Workshop, is_clean};
use crate::engine::Engine;

/// Kills of each kind in an ordinary run.
const KILLS: u32 = 3;

fn kills() -> u32 {
    std::env::var("GITGRIT_DRILL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Starts the program and kills it after this part of `whole`; it may have ended before.
fn kill_after(program: Program, whole: Duration, part: u32, of: u32) {
    let log = File::create("/dev/null").unwrap();
    let started = Instant::now();
    let mut child = program.start_detached(log).unwrap();
    let wait = whole * part / of;
    while started.elapsed() < wait && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let _ = kill_process(process, Signal::KILL);
    child.wait().unwrap();
}

#[test]
fn a_build_that_was_killed_at_any_moment_gives_the_same_bytes_when_run_again() {
    let Some(workshop) = Workshop::open() else { return };
    let started = Instant::now();
    workshop.built("dist", &["--cache", "whole"]);
    let whole = started.elapsed();
    let expected = std::fs::read(workshop.file("dist")).unwrap();
    let kills = kills();
    for kill in 0..kills {
        let _ = std::fs::remove_file(workshop.file("dist"));
        // Half of the kills meet a cache that has nothing.
        let cache = format!("cache{}", kill / 2);
        kill_after(workshop.build_into("dist", &["--cache", &cache]), whole, kill + 1, kills + 1);
        workshop.built("dist", &["--cache", &cache]);
        assert!(expected == std::fs::read(workshop.file("dist")).unwrap(), "kill {kill} of {kills}");
        assert!(is_clean(&workshop.path(&cache).join("layers")) && is_clean(&workshop.path("dist")), "kill {kill}");
    }
}

#[test]
fn a_load_that_was_killed_at_any_moment_brings_the_same_images_when_run_again() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let expected = Workshop::ids(&workshop.engine);
    let target = Engine::start("{}", "");
    let started = Instant::now();
    workshop.loaded(&target, "dist", &[]);
    let whole = started.elapsed();
    let kills = kills();
    for kill in 0..kills {
        for name in ["gitgrit-sandbox:v1", "gitgrit-app:v1", "redis:7"] {
            target.does(&["rmi", name]);
        }
        kill_after(workshop.load(&target, "dist", &[]), whole, kill + 1, kills + 1);
        workshop.loaded(&target, "dist", &[]);
        assert_eq!(Workshop::ids(&target), expected, "kill {kill} of {kills}");
        assert_eq!(workshop.loaded(&target, "dist", &[])["sent"].as_u64(), Some(0), "kill {kill} of {kills}");
    }
}
