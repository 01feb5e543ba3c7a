//! The kill drill: a server killed (`kill -9`) over and over while twenty refs are pushed, at fault points and at moments of
//! chance. After each restart every ref says what the audit log says, an atomic push happened whole or not at all, and
//! nothing lies about. Ten kills in an ordinary run; `GITGRIT_DRILL_KILLS` asks for more, as `scripts/soak kills` does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use base::process::Program;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::git::Git;
use crate::require;
use crate::site::{Site, out};

/// Refs of a push.
const REFS: usize = 20;
/// Kills of an ordinary run.
const KILLS: usize = 10;
/// Where chance begins, unless `GITGRIT_DRILL_SEED` says otherwise.
const SEED: u64 = 20_261_121;

/// Between the ref transaction and the commit of its events.
const MOVED: &str = "forge:push:moved";

/// Where the kills of ten rounds fall; none is a moment of chance.
const ROUNDS: [Option<&str>; 10] = [
    Some(MOVED),
    None,
    Some("forge:push:intended"),
    Some(MOVED),
    None,
    Some("forge:push:migrated"),
    None,
    Some(MOVED),
    None,
    None,
];

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Xorshift: moments that a second run of the same seed gives again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// A server that this test started, and ends.
struct Server(Child);

impl Server {
    fn start(site: &mut Site, fault: Option<&str>) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log(site)).unwrap();
        let program = site.program().option("serve");
        let program = if let Some(place) = fault { program.env(base::fault::VARIABLE, place) } else { program };
        let server = Self(program.start_detached(log).unwrap());
        require::until(60, "the server's start", || site.is_serving().then_some(()));
        site.refresh();
        server
    }

    fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    fn stop(mut self) {
        self.end(Signal::TERM);
    }

    /// Only while it was not waited for: afterwards the number may belong to somebody else.
    fn end(&mut self, signal: Signal) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.0), signal);
            let _ = self.0.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

fn log(site: &Site) -> PathBuf {
    site.home().join("drill.log")
}

/// What each ref became last, as the audit log tells it; panics where a record does not follow from the one before.
fn told(site: &Site) -> BTreeMap<String, String> {
    let done = site.program().options(["admin", "audit", "export"]).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let mut refs: BTreeMap<String, String> = BTreeMap::new();
    for line in out(&done).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["action"] != "ref.moved" || record["repo"] != "ada/drill" {
            continue;
        }
        let text = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("no {name} in {record}")).to_owned();
        let before = refs.insert(text("object"), text("new"));
        assert_eq!(before.unwrap_or_else(|| "0".repeat(40)), text("old"), "{record}");
        assert!(record["address"] == "127.0.0.1" && record["request"].is_string(), "a settled push is whole: {record}");
    }
    refs
}

fn refs(git: &Git, url: &str) -> BTreeMap<String, String> {
    let listed = git.ok(git.home(), ["ls-remote", "--heads", url]);
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(id, name)| (name.to_owned(), id.to_owned())).collect()
}

/// Directories below `folder` whose name has `part` in it.
fn named(folder: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        if entry.file_name().to_string_lossy().contains(part) {
            found.push(entry.path());
        } else {
            found.extend(named(&entry.path(), part));
        }
    }
    found
}

fn fsck(repository: &Path) {
    let program = Program::new("git").options(["fsck", "--full", "--strict", "--no-dangling"]);
    let done = program.env("GIT_DIR", repository).env("HOME", "/nonexistent").run(b"").unwrap();
    assert!(done.status.success(), "{}: {}", repository.display(), done.stderr);
}

/// One round's push, as git's arguments.
fn push(url: &str, commit: &str, is_atomic: bool) -> Vec<String> {
    let mut arguments = vec!["push".to_owned(), "--quiet".to_owned(), url.to_owned()];
    if is_atomic {
        arguments.insert(1, "--atomic".into());
    } else {
        // It conflicts with the first branch, so the refs move in several transactions and this one not at all.
        arguments.push(format!("{commit}:refs/heads/b00/conflict"));
    }
    arguments.extend((0..REFS).map(|number| format!("{commit}:refs/heads/b{number:02}")));
    arguments
}

/// What the restarts did not settle, one more would, and say so.
fn nothing_is_left(site: &mut Site) {
    let so_far = std::fs::read_to_string(log(site)).unwrap().len();
    Server::start(site, None).stop();
    let said = std::fs::read_to_string(log(site)).unwrap();
    let last = said.get(so_far..).unwrap_or_default();
    assert!(!last.contains("settled"), "an intent was left: {last}");
}

#[test]
fn a_server_killed_over_a_push_is_whole_after_each_restart() {
    let kills = usize::try_from(asked("GITGRIT_DRILL_KILLS", KILLS as u64)).unwrap();
    let seed = asked("GITGRIT_DRILL_SEED", SEED);
    let mut chance = Chance(seed);
    let mut site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("drill", "private");
    let git = site.git().with_password("ada", &ada.make_token("laptop", "write"));
    drop(ada);
    let local = git.history("local", kills + 2);
    let url = site.https("ada/drill");
    let commit = |round: usize| git.ok(&local, ["rev-parse", &format!("main~{}", kills - round)]);
    let begun = Instant::now();
    let first = git.program(&local).options(push(&url, &commit(0), true)).run(b"").unwrap();
    assert!(first.status.success(), "{}", first.stderr);
    let usual = u64::try_from(begun.elapsed().as_millis()).unwrap();
    let repository = named(&site.dir().repositories(), ".git").into_iter().find(|path| is_of_drill(path)).unwrap();
    site.stop();

    let (mut at_points, mut between, mut partial, mut whole) = (0, 0, 0, 0);
    for round in 1..=kills {
        let place = ROUNDS[(round - 1) % ROUNDS.len()];
        let is_atomic = (round + round / ROUNDS.len()).is_multiple_of(2);
        let mut server = Server::start(&mut site, place);
        let before = refs(&git, &url);
        let new = commit(round);
        let pushing = git.program(&local).options(push(&url, &new, is_atomic));
        if place.is_some() {
            let done = pushing.run(b"").unwrap();
            assert!(!done.status.success(), "round {round} of seed {seed}: {place:?} was not reached: {}", done.stderr);
            server.0.wait().unwrap();
            at_points += 1;
        } else {
            let delay = Duration::from_millis(chance.below(usual + usual / 5));
            std::thread::scope(|scope| {
                scope.spawn(|| pushing.run(b"").unwrap());
                std::thread::sleep(delay);
                server.kill();
            });
        }
        drop(server);

        let at = format!("round {round} of seed {seed}, {place:?}, atomic {is_atomic}");
        let after = Server::start(&mut site, None);
        let now = refs(&git, &url);
        assert_eq!(now, told(&site), "{at}");
        let moved = now.iter().filter(|(name, id)| before.get(*name) != Some(*id)).count();
        assert!(now.values().all(|id| *id == new || before.values().any(|old| old == id)), "{at}");
        assert!(!is_atomic || moved == 0 || moved == REFS, "{at}: {moved} of {REFS} moved");
        (partial, whole) = (partial + usize::from(moved > 0 && moved < REFS), whole + usize::from(moved == REFS));
        // The refs had moved, and nothing had been written of it.
        between += usize::from(place == Some(MOVED) && moved > 0);
        fsck(&repository);
        assert_eq!(named(&site.dir().repositories(), "incoming"), Vec::<PathBuf>::new(), "{at}");
        after.stop();
    }
    nothing_is_left(&mut site);
    assert!(between * 5 >= kills, "only {between} of {kills} kills fell between refs and events");
    eprintln!(
        "{kills} kills, {at_points} at fault points, {between} between refs and events, seed {seed}: {whole} pushes whole, \
         {partial} in part"
    );
}

/// The smoke test of the installation leaves repositories of its own.
fn is_of_drill(repository: &Path) -> bool {
    let program = Program::new("git").options(["for-each-ref", "refs/heads/b00"]).env("GIT_DIR", repository);
    !program.run(b"").unwrap().stdout.is_empty()
}
