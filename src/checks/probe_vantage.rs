//! Looks from every vantage point at once: from the host in this process, from networks of containers and from network
//! namespaces by running this very program there. Pulls no image, and says of each place that it could not look from why.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base::process::{Finished, Program};
use serde::Deserialize;

use crate::probe::Look;
use crate::probe_engine::{Engine, Facts, Silence};
use crate::probe_look::{Plan, look};
use crate::probe_target::Target;
use crate::text::line;

/// Kept back from the time that a probe in a namespace gets, for starting it and reading what it found.
const START: Duration = Duration::from_millis(300);
/// Kept back at the end, so that the whole is never longer than its budget.
const MARGIN: Duration = Duration::from_millis(200);
/// Where this program is inside a probe container.
const INSIDE: &str = "/gitgrit-ops";

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
    let (facts, engine_said) = if request.is_engine_asked || is_everywhere {
        match engine.facts() {
            Ok(facts) => (facts, None),
            Err(silence) => (Facts::default(), Some(silence)),
        }
    } else {
        (Facts::default(), None)
    };
    let mut targets = request.targets.clone();
    if request.is_engine_asked {
        let unknown = |target: &&Target| !request.targets.iter().any(|known| known.to_string() == target.to_string());
        targets.extend(facts.targets.iter().filter(unknown).cloned());
    }
    let vantages = if is_everywhere {
        std::iter::once(Vantage::Host).chain(facts.networks.into_iter().map(Vantage::Network)).collect()
    } else {
        request.vantages.clone()
    };
    let plan = Plan { targets: targets.clone(), canaries: request.canaries.clone() };
    let looks = from_all(&vantages, &plan, request, &engine);
    let has_engine = engine_said != Some(Silence::Absent);
    let engine = match engine_said {
        Some(Silence::Unanswered(why)) => Some(why),
        _ => None,
    };
    Probed { looks, targets, engine, has_engine, took: began.elapsed() }
}

fn from_all(vantages: &[Vantage], plan: &Plan, request: &Request, engine: &Engine) -> Vec<Look> {
    let (sender, receiver) = mpsc::channel();
    for (index, vantage) in vantages.iter().cloned().enumerate() {
        let (sender, plan, request, engine) = (sender.clone(), plan.clone(), request.clone(), engine.clone());
        // Left behind when the budget ends: what it started has a deadline of its own.
        std::thread::spawn(move || {
            let _ = sender.send((index, from(&vantage, &plan, &request, &engine)));
        });
    }
    drop(sender);
    let mut looks: Vec<_> =
        vantages.iter().map(|vantage| Look::unseen(&vantage.name(), "the budget ended first")).collect();
    let end = engine.end + MARGIN / 2;
    while let Ok((index, look)) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some(place) = looks.get_mut(index) {
            *place = look;
        }
    }
    looks
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
            let told = told(program.operands(inside.chain(words(plan, left.saturating_sub(START)))));
            told.map_or_else(|why| Look::unseen(&name, why), |look| Look { vantage: name.clone(), ..look })
        }
        Vantage::Network(network) => match in_container(network, plan, request, engine) {
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

fn in_container(network: &str, plan: &Plan, request: &Request, engine: &Engine) -> Result<Look, String> {
    let images = request.image.clone().map_or_else(|| engine.images(network), |image| vec![image]);
    let mut last = "the engine has no image that a probe container could be made of".to_owned();
    for image in images {
        if Instant::now() >= engine.end {
            break;
        }
        let mount = format!("type=bind,source={},target={INSIDE},readonly", request.program.display());
        let program = engine
            .program(Duration::MAX)
            .options(["run", "--rm", "--pull", "never", "--read-only", "--cap-drop", "ALL"])
            .options(["--security-opt", "no-new-privileges", "--label", "gitgrit-ops.probe"])
            .options(["--entrypoint", INSIDE, "--mount", &mount])
            .option(format!("--network={network}"));
        // A container takes its time to start, and several start at once.
        let left = engine.end.saturating_duration_since(Instant::now()) * 3 / 4;
        match told(program.operands([image].into_iter().chain(words(plan, left)))) {
            Ok(look) => return Ok(look),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// The command line of the same look somewhere else.
fn words(plan: &Plan, budget: Duration) -> Vec<String> {
    let budget = format!("{}ms", budget.as_millis().max(1));
    let fixed = ["isolation", "probe", "--json", "--host", "--only-targets", "--budget", &budget].map(str::to_owned);
    let targets = plan.targets.iter().flat_map(|target| ["--target".to_owned(), target.to_string()]);
    let canaries = plan.canaries.iter().flat_map(|canary| ["--canary".to_owned(), canary.to_string()]);
    let none = if plan.canaries.is_empty() { vec!["--no-canary".to_owned()] } else { Vec::new() };
    fixed.into_iter().chain(targets).chain(canaries).chain(none).collect()
}

fn told(program: Program) -> Result<Look, String> {
    let Finished { stdout, stderr, .. } = program.run(b"").map_err(|error| line(&error.to_string()))?;
    let told: Option<Told> = serde_json::from_slice(&stdout).ok();
    told.and_then(|told| told.vantages.into_iter().next())
        .ok_or_else(|| line(stderr.lines().find(|line| !line.is_empty()).unwrap_or("the probe there said nothing")))
}
