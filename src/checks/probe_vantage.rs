//! Looks from every vantage point at once: from the host in this process, from networks of containers and from network
//! namespaces by running this very program there. Pulls no image, and says of each place that it could not look from why.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base::clock::Timestamp;
use base::process::{Finished, ProcessError, Program};
use serde::Deserialize;

use crate::probe::{Look, OUT_OF_TIME};
use crate::probe_container as container;
use crate::probe_engine::{Engine, Facts, Silence, client_proxies};
use crate::probe_look::{Plan, look, with_resolvers};
use crate::probe_resolvers as resolvers;
use crate::probe_target::Target;
use crate::text::line;

/// Kept back from the time that a probe in a namespace gets, for starting it and reading what it found.
const START: Duration = Duration::from_millis(300);
/// Kept back at the end, so that the whole is never longer than its budget.
const MARGIN: Duration = Duration::from_millis(200);

/// A place to look from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// This host.
    Host,
    /// A network of the Docker engine, by name.
    Network(String),
    /// A network namespace, by the path of its file.
    Namespace(PathBuf),
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to look for.
    pub targets: Vec<Target>,
    /// Says whether the engine's own proxies and mirrors are targets too.
    pub is_engine_asked: bool,
    /// Addresses that no host has.
    pub canaries: Vec<IpAddr>,
    /// Where to look from; empty means the host and every network of the engine.
    pub vantages: Vec<Vantage>,
    /// The image of probe containers; else one that the engine has.
    pub image: Option<String>,
    /// How long everything may take.
    pub budget: Duration,
    /// This program's own file.
    pub program: PathBuf,
    /// Variables that the `docker` program reads.
    pub environment: Vec<(String, String)>,
    /// Settings that name something to look for, and why they cannot be read.
    pub puzzles: Vec<(String, String)>,
    /// The moment in which it begins.
    pub now: Timestamp,
}

/// What was found.
#[derive(Debug)]
pub struct Probed {
    /// One for each vantage point.
    pub looks: Vec<Look>,
    /// Everything that was looked for.
    pub targets: Vec<Target>,
    /// Why the engine said nothing, when it was asked.
    pub engine: Option<String>,
    /// Says whether a `docker` program is there at all.
    pub has_engine: bool,
    /// What names something to look for and cannot be read: where it stands, and why.
    pub puzzles: Vec<(String, String)>,
    /// How long it took.
    pub took: Duration,
}

/// What a probe elsewhere prints, as far as it is read.
#[derive(Deserialize)]
struct Told {
    vantages: Vec<Look>,
}

impl Vantage {
    /// As reports name it.
    pub fn name(&self) -> String {
        match self {
            Self::Host => "host".into(),
            Self::Network(name) => format!("network {}", line(name)),
            Self::Namespace(path) => format!("netns {}", line(&path.display().to_string())),
        }
    }
}

/// Looks from everywhere. Returns within the budget.
pub fn probe(request: &Request) -> Probed {
    let began = Instant::now();
    let end = began + request.budget.saturating_sub(MARGIN);
    let engine = Engine { environment: request.environment.clone(), end };
    let is_everywhere = request.vantages.is_empty();
    let (facts, engine_said) = match (request.is_engine_asked || is_everywhere).then(|| engine.facts()) {
        Some(Ok(facts)) => (facts, None),
        Some(Err(silence)) => (Facts::default(), Some(silence)),
        None => (Facts::default(), None),
    };
    let (mut targets, mut puzzles) = (request.targets.clone(), request.puzzles.clone());
    if request.is_engine_asked {
        let (proxies, unread) = clients(&request.environment);
        let mut add = |target: &Target| {
            if !targets.iter().any(|known| known.to_string() == target.to_string()) {
                targets.push(target.clone());
            }
        };
        facts.targets.iter().chain(&proxies).for_each(&mut add);
        puzzles.extend(facts.puzzles.iter().map(|why| ("docker".to_owned(), why.clone())));
        puzzles.extend(unread);
    }
    let vantages = if is_everywhere {
        std::iter::once(Vantage::Host).chain(facts.networks.into_iter().map(Vantage::Network)).collect()
    } else {
        request.vantages.clone()
    };
    let plan = Plan { targets: targets.clone(), canaries: request.canaries.clone() };
    if vantages.iter().any(|vantage| matches!(vantage, Vantage::Network(_))) {
        container::sweep(&engine, request.now);
    }
    let looks = from_all(&vantages, &plan, request, &engine);
    let has_engine = engine_said != Some(Silence::Absent);
    let engine = match engine_said {
        Some(Silence::Unanswered(why)) => Some(why),
        _ => None,
    };
    Probed { looks, targets, engine, has_engine, puzzles, took: began.elapsed() }
}

/// The proxies that Docker's client gives to containers, and what of its configuration cannot be read.
fn clients(environment: &[(String, String)]) -> (Vec<Target>, Vec<(String, String)>) {
    let set = |name: &str| environment.iter().find(|(own, value)| own == name && !value.is_empty());
    let folder = set("DOCKER_CONFIG").map(|(_, folder)| PathBuf::from(folder));
    let folder = folder.or_else(|| set("HOME").map(|(_, home)| Path::new(home).join(".docker")));
    let Some(path) = folder.map(|folder| folder.join("config.json")) else { return (Vec::new(), Vec::new()) };
    let subject = line(&path.display().to_string());
    match std::fs::read_to_string(&path) {
        Ok(config) => {
            let (targets, puzzles) = client_proxies(&config);
            (targets, puzzles.into_iter().map(|why| (subject.clone(), why)).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), Vec::new()),
        Err(error) => (Vec::new(), vec![(subject, line(&error.to_string()))]),
    }
}

fn from_all(vantages: &[Vantage], plan: &Plan, request: &Request, engine: &Engine) -> Vec<Look> {
    let (sender, receiver) = mpsc::channel();
    let mut early = Vec::new();
    for (index, vantage) in vantages.iter().cloned().enumerate() {
        let (sender, plan, request, engine) = (sender.clone(), plan.clone(), request.clone(), engine.clone());
        // Left behind when the budget ends: what it started has a deadline of its own.
        let look = move || {
            let look = guarded(&vantage.name(), || from(&vantage, &plan, &request, &engine));
            let _ = sender.send((index, look));
        };
        if let Err(error) = std::thread::Builder::new().spawn(look) {
            early.push((index, format!("no thread could be started: {error}")));
        }
    }
    drop(sender);
    let mut looks: Vec<_> = vantages.iter().map(|vantage| Look::unseen(&vantage.name(), OUT_OF_TIME)).collect();
    for (index, why) in early {
        if let Some(place) = looks.get_mut(index) {
            place.unseen = Some(line(&why));
        }
    }
    let end = engine.end + MARGIN / 2;
    while let Ok((index, look)) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some(place) = looks.get_mut(index) {
            *place = look;
        }
    }
    looks
}

/// A look that breaks down is one that nobody made, which is said.
fn guarded(name: &str, look: impl FnOnce() -> Look) -> Look {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Look::unseen(name, "the probe itself broke down"))
}

fn from(vantage: &Vantage, plan: &Plan, request: &Request, engine: &Engine) -> Look {
    let name = vantage.name();
    match vantage {
        Vantage::Host => here(&name, plan, engine.end),
        Vantage::Namespace(path) => {
            let net = format!("--net={}", path.display());
            let left = engine.end.saturating_duration_since(Instant::now());
            let program = Program::new("nsenter").option(net).deadline(left).output_limit(1 << 20);
            let inside = [request.program.display().to_string()].into_iter();
            let (plan, rows) = with_resolvers(plan, &resolvers::of_namespace(path));
            match told(program.operands(inside.chain(words(&plan, left.saturating_sub(START))))) {
                Ok(look) => Look { vantage: name, rows: [look.rows, rows].concat(), ..look },
                Err(why) => Look::unseen(&name, why),
            }
        }
        Vantage::Network(network) => match container::look(network, plan, request, engine) {
            Ok(look) => Look { vantage: name, ..look },
            Err(why) => Look::unseen(&name, why),
        },
    }
}

fn here(name: &str, plan: &Plan, end: Instant) -> Look {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Look::unseen(name, line(&error.to_string())),
    };
    let look = runtime.block_on(look(name, plan, end));
    // A name lookup that nobody answers must not hold up the end.
    runtime.shutdown_background();
    look
}

/// The command line of the same look somewhere else.
pub(crate) fn words(plan: &Plan, budget: Duration) -> Vec<String> {
    let budget = format!("{}ms", budget.as_millis().max(1));
    let fixed = ["isolation", "probe", "--json", "--host", "--only-targets", "--budget", &budget].map(str::to_owned);
    let targets = plan.targets.iter().flat_map(|target| ["--target".to_owned(), target.to_string()]);
    let canaries = plan.canaries.iter().flat_map(|canary| ["--canary".to_owned(), canary.to_string()]);
    let none = if plan.canaries.is_empty() { vec!["--no-canary".to_owned()] } else { Vec::new() };
    fixed.into_iter().chain(targets).chain(canaries).chain(none).collect()
}

/// What the probe that `program` starts tells. It may have been replaced on the way, so that no text of it is trusted.
pub(crate) fn told(program: Program) -> Result<Look, String> {
    let Finished { stdout, stderr, .. } = program.run(b"").map_err(|error| match error {
        ProcessError::Deadline { .. } => OUT_OF_TIME.to_owned(),
        other => line(&other.to_string()),
    })?;
    let told: Option<Told> = serde_json::from_slice(&stdout).ok();
    told.and_then(|told| told.vantages.into_iter().next())
        .map(Look::plain)
        .ok_or_else(|| line(stderr.lines().find(|line| !line.is_empty()).unwrap_or("the probe there said nothing")))
        .and_then(|look| look.unseen.clone().map_or(Ok(look), Err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_breaks_down_is_said_to_have() {
        let broken = guarded("host", || panic!("a fault of the program"));
        assert_eq!(broken.unseen.as_deref(), Some("the probe itself broke down"));
        let sound = guarded("host", || Look::unseen("host", "why"));
        assert_eq!(sound.unseen.as_deref(), Some("why"));
    }

    #[test]
    fn what_a_probe_elsewhere_tells_is_made_fit_for_a_line() {
        let told = |text: &str| super::told(Program::new("printf").operands(["%s", text]));
        let look = told(
            r#"{"vantages":[{"vantage":"\u001b[2J","controls":[],"unseen":null,"rows":[{"kind":"tcp","family":"4",
            "target":"a\u001b","outcome":"filtered","detail":"\nok","took_ms":1}]}]}"#,
        );
        let look = look.unwrap();
        assert_eq!((look.rows[0].target.as_str(), look.rows[0].detail.as_str()), ("a\u{fffd}", "\u{fffd}ok"));
        let unseen = r#"{"vantages":[{"vantage":"host","controls":[],"unseen":"no\u001b room","rows":[]}]}"#;
        assert_eq!(told(unseen).unwrap_err(), "no\u{fffd} room");
        assert_eq!(told("{}").unwrap_err(), "the probe there said nothing");
        let late = Program::new("sleep").deadline(Duration::from_millis(10)).operands(["60"]);
        assert_eq!(super::told(late).unwrap_err(), OUT_OF_TIME);
    }

    #[test]
    fn what_dockers_client_gives_to_containers_is_looked_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".docker/config.json");
        let at = |folder: &Path| vec![("HOME".to_owned(), folder.display().to_string())];
        assert_eq!(clients(&at(home.path())), (Vec::new(), Vec::new()));
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        std::fs::write(&path, r#"{"proxies":{"default":{"httpProxy":"http://a:1","allProxy":7}}}"#).unwrap();
        let (targets, puzzles) = clients(&at(home.path()));
        assert_eq!((targets.len(), targets[0].to_string().as_str()), (1, "proxy=http://a:1"));
        assert_eq!(puzzles, [(path.display().to_string(), "allProxy is no text".to_owned())]);
        let config = ("DOCKER_CONFIG".to_owned(), home.path().join("none").display().to_string());
        assert_eq!(clients(&[at(home.path()), vec![config]].concat()), (Vec::new(), Vec::new()));
    }
}
