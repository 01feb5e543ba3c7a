//! Looks from a network of containers, by a container that runs this very program. Pulls no image, keeps no container, and
//! takes away those that an earlier probe was killed over.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use base::clock::Timestamp;
use base::process::Program;

use crate::probe::{Look, OUT_OF_TIME};
use crate::probe_attempt::random;
use crate::probe_engine::Engine;
use crate::probe_look::Plan;
use crate::probe_vantage::{Request, told, words};

/// Where this program is inside a probe container.
const INSIDE: &str = "/gitgrit-ops";
/// What probe containers are known by; its value is the second since 1970 by which they are done.
const LABEL: &str = "gitgrit-ops.probe";
/// How many seconds later a container is taken for left behind.
const GRACE: i64 = 30;
/// Without this much time no further image is tried.
const LEAST: Duration = Duration::from_secs(3);
/// How long the question for left containers may take.
const SWEEP: Duration = Duration::from_secs(2);

/// Looks from the network of this name.
pub(crate) fn look(network: &str, plan: &Plan, request: &Request, engine: &Engine) -> Result<Look, String> {
    let images = request.image.clone().map_or_else(|| engine.images(network), |image| vec![image]);
    let users = users(&request.program);
    let mut last = "the engine has no image that a probe container could be made of".to_owned();
    let tries = images.iter().flat_map(|image| users.iter().map(move |user| (image, user)));
    for (index, (image, user)) in tries.enumerate() {
        // A container takes its time to start, and several start at once.
        let left = engine.end.saturating_duration_since(Instant::now());
        if index > 0 && left < LEAST {
            break;
        }
        let name = format!("gitgrit-probe-{:016x}", u64::from_be_bytes(random()));
        let program = container(engine, request, &name, user.as_deref()).option(format!("--network={network}"));
        let inside = [image.clone()].into_iter().chain(words(plan, left * 3 / 4));
        match told(program.operands(inside)) {
            Ok(look) => return Ok(look),
            Err(why) => {
                remove(engine, &[name]);
                if last == OUT_OF_TIME || why != OUT_OF_TIME || index == 0 {
                    last = why;
                }
            }
        }
    }
    Err(last)
}

fn container(engine: &Engine, request: &Request, name: &str, user: Option<&str>) -> Program {
    let mount = format!("type=bind,source={},target={INSIDE},readonly", request.program.display());
    // Counted from when the probe began, whose budget it is.
    let done = request.now.seconds() + request.budget.as_secs().cast_signed() + 1;
    let program = engine
        .program(Duration::MAX)
        .options(["run", "--rm", "--pull", "never", "--read-only", "--cap-drop", "ALL", "--no-healthcheck"])
        .options(["--security-opt", "no-new-privileges", "--name", name, "--label", &format!("{LABEL}={done}")])
        .options(["--entrypoint", INSIDE, "--mount", &mount]);
    user.iter().fold(program, |program, user| program.options(["--user", user]))
}

/// Who may run the program inside: without capabilities root reads no file of somebody else's. An engine that maps users
/// gives the owner another number, and there its root may be the one.
fn users(program: &Path) -> Vec<Option<String>> {
    match std::fs::metadata(program) {
        Ok(facts) if facts.permissions().mode() & 0o005 != 0o005 => {
            vec![Some(format!("{}:{}", facts.uid(), facts.gid())), Some("0:0".into())]
        }
        _ => vec![None],
    }
}

/// Takes away probe containers that should be done since long.
pub(crate) fn sweep(engine: &Engine, now: Timestamp) {
    let format = format!("{{{{.ID}}}}\t{{{{.Label \"{LABEL}\"}}}}");
    let listing = engine.program(SWEEP).options(["ps", "--all", "--filter", &format!("label={LABEL}")]);
    if let Ok(done) = listing.options(["--format", &format]).run(b"") {
        remove(engine, &left_behind(&String::from_utf8_lossy(&done.stdout), now.seconds()));
    }
}

fn left_behind(listed: &str, now: i64) -> Vec<String> {
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    let old =
        lines.filter(|(_, done)| done.trim().parse::<i64>().map_or(true, |done| done.saturating_add(GRACE) < now));
    old.map(|(id, _)| id.to_owned()).collect()
}

/// Goes on when this program has ended: the engine takes seconds for it, which the budget may not have.
fn remove(engine: &Engine, containers: &[String]) {
    if containers.is_empty() {
        return;
    }
    if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let program = engine.program(Duration::MAX).options(["rm", "--force", "--volumes"]);
        // What cannot be removed now is so by the next probe.
        let _ = program.operands(containers).start_detached(nowhere);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_should_be_done_since_long_is_taken_away() {
        let listed = "a\t1000\nb\t970\nc\t969\nd\t\ne\tx\nf";
        assert_eq!(left_behind(listed, 1000), ["c", "d", "e"]);
    }

    #[test]
    fn a_program_that_others_may_not_run_is_run_by_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        base::file::write_atomic(&program, b"", 0o755).unwrap();
        assert_eq!(users(&program), [None]);
        base::file::write_atomic(&program, b"", 0o700).unwrap();
        let own = std::fs::metadata(&program).unwrap();
        assert_eq!(users(&program), [Some(format!("{}:{}", own.uid(), own.gid())), Some("0:0".into())]);
    }
}
