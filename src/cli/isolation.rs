//! Proves that a site is closed, or names what leads out: parses targets and vantage points, asks the probe, prints its
//! matrix and findings.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base::Finding;
use base::clock::{Clock, SystemClock};
use base::envfile::Values;
use checks::probe::Look;
use checks::probe_report;
use checks::probe_target::{Origin, Target, canaries};
use checks::probe_vantage::{Probed, Request, Vantage, probe};
use checks::render::Report;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::unless_gone;
use super::sources::SourceArgs;
use super::{Console, Exit, Failure, findings};

/// Variables that name a proxy.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Variables that the `docker` program reads.
const DOCKER: [&str; 6] =
    ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "HOME"];

/// Prove that nothing leads out of this site's network
#[derive(Debug, Args)]
pub(crate) struct IsolationArgs {
    #[command(subcommand)]
    verb: IsolationVerb,
}

#[derive(Debug, Subcommand)]
enum IsolationVerb {
    /// Look for a way out from the host and from each network of containers, and say how each look ended
    #[command(
        after_help = "Examples:\n  gitgrit-ops isolation probe\n  gitgrit-ops isolation probe --host --only-targets --target tcp=www.google.com:443 --target dns=8.8.8.8"
    )]
    Probe(ProbeArgs),
}

#[derive(Debug, Args)]
struct ProbeArgs {
    /// Look for this in place of the built-in list: tcp, http, quic, dns, ntp, name, proxy, metadata or mirror; tcp4, tcp6
    /// and so on for one protocol version, `name=HOST@ADDRESS` to ask that resolver [may be repeated]
    #[arg(long = "target", value_name = "KIND=HOST[:PORT]")]
    targets: Vec<String>,

    /// Nothing but the targets given: no proxies of the environment, no SANDBOX_DNS, nothing that the engine is set to
    #[arg(long, requires = "targets")]
    only_targets: bool,

    /// An address that no host has, in place of 192.0.2.1 and 2001:db8::1; what accepts there accepts everything [may be
    /// repeated, once for each protocol version]
    #[arg(long = "canary", value_name = "ADDRESS")]
    canaries: Vec<IpAddr>,

    /// Try no address that no host has
    #[arg(long, conflicts_with = "canaries")]
    no_canary: bool,

    /// Look from this host; without --host, --network and --netns from the host and every network of the engine
    #[arg(long)]
    host: bool,

    /// Look from this network of the Docker engine [may be repeated]
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,

    /// Look from this network namespace, as root [may be repeated]
    #[arg(long = "netns", value_name = "PATH")]
    namespaces: Vec<PathBuf>,

    /// Make probe containers of this image, which the engine must have; none is ever pulled
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// How long everything may take, in seconds, or in milliseconds with `ms`
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = budget)]
    budget: Duration,

    /// End with exit code 4 when there are only warnings
    #[arg(long)]
    strict: bool,

    /// Print the findings for a pipeline
    #[arg(long, value_name = "FORMAT")]
    report: Option<findings::Format>,

    #[command(flatten)]
    sources: SourceArgs,
}

#[derive(Serialize)]
struct ProbeView<'p> {
    budget_ms: u128,
    took_ms: u128,
    targets: Vec<TargetView>,
    vantages: &'p [Look],
    findings: &'p [Finding],
}

#[derive(Serialize)]
struct TargetView {
    target: String,
    origin: Origin,
}

pub(crate) fn run(args: &IsolationArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        IsolationVerb::Probe(args) => run_probe(args, console),
    }
}

fn run_probe(args: &ProbeArgs, console: &mut Console) -> Result<Exit, Failure> {
    // Each target takes a few at once; without them the probe would see its own limits alone.
    base::process::raise_open_files();
    let values = if args.only_targets { Values::default() } else { args.sources.sources(console)?.values()? };
    let (targets, puzzles) = targets(args, &values)?;
    let request = Request {
        targets,
        puzzles,
        now: SystemClock.now(),
        is_engine_asked: !args.only_targets,
        canaries: if args.canaries.is_empty() && !args.no_canary { canaries() } else { args.canaries.clone() },
        vantages: vantages(args),
        image: args.image.clone(),
        budget: args.budget,
        program: std::env::current_exe()?,
        environment: DOCKER.iter().filter_map(|name| variable(name).map(|value| ((*name).to_owned(), value))).collect(),
    };
    let sign = console.is_terminal.then(|| console.working("looking for a way out"));
    let probed = probe(&request);
    drop(sign);
    let found = probe_report::findings(&probed, &request.vantages);
    unless_gone(print(args, &probed, &found, console))?;
    Ok(findings::exit(&found, args.strict))
}

fn print(args: &ProbeArgs, probed: &Probed, found: &[Finding], console: &mut Console) -> std::io::Result<()> {
    if let Some(format) = args.report {
        let report = Report { check: "isolation probe", file: None, findings: found };
        return findings::print_as(format, report, console);
    }
    if console.is_json {
        let view = |target: &Target| TargetView { target: target.to_string(), origin: target.origin };
        return console.json(&ProbeView {
            budget_ms: args.budget.as_millis(),
            took_ms: probed.took.as_millis(),
            targets: probed.targets.iter().map(view).collect(),
            vantages: &probed.looks,
            findings: found,
        });
    }
    writeln!(console.out, "{}", probe_report::matrix(&probed.looks))?;
    findings::print(found, console)
}

/// A setting that cannot be read: its name, and why.
type Puzzle = (String, String);

/// What to look for, and which settings that name more cannot be read.
fn targets(args: &ProbeArgs, values: &Values) -> Result<(Vec<Target>, Vec<Puzzle>), Failure> {
    let read = |text: &str, origin| Target::parse(text, origin).map_err(|error| Failure::new(Exit::Usage, error));
    let set = |name: &str| values.get(name).map(str::trim).filter(|value| !value.is_empty());
    let given =
        set("GITGRIT_ISOLATION_TARGETS").map(|value| value.split(',').map(|part| format!("tcp={}", part.trim())));
    let mut targets = match (args.targets.is_empty(), given) {
        (false, _) => args.targets.iter().map(|text| read(text, Origin::Given)).collect::<Result<Vec<_>, _>>()?,
        (true, Some(given)) => {
            // The setting names TCP targets alone; of the other kinds the program's own stay.
            let tcp = given.map(|text| read(&text, Origin::Given)).collect::<Result<Vec<_>, _>>()?;
            let others = Target::defaults().into_iter().filter(|target| !target.to_string().starts_with("tcp"));
            tcp.into_iter().chain(others).collect()
        }
        (true, None) => Target::defaults(),
    };
    let mut puzzles = Vec::new();
    if args.only_targets {
        return Ok((targets, puzzles));
    }
    let resolvers = set("SANDBOX_DNS").into_iter().flat_map(|value| value.split([',', ' ', '\t', ';']));
    for resolver in resolvers.filter(|resolver| !resolver.is_empty()) {
        match Target::asked_of(&targets, resolver) {
            Some(asked) => targets.extend(asked),
            None => puzzles.push(("SANDBOX_DNS".to_owned(), "a part of it is no address".to_owned())),
        }
    }
    for proxy in PROXIES.into_iter().filter_map(variable).filter(|proxy| !proxy.trim().is_empty()) {
        let read = Target::proxies(&proxy, Origin::Environment).map_err(|error| Failure::new(Exit::Usage, error))?;
        for target in read {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    Ok((targets, puzzles))
}

fn vantages(args: &ProbeArgs) -> Vec<Vantage> {
    let host = args.host.then_some(Vantage::Host);
    let networks = args.networks.iter().cloned().map(Vantage::Network);
    let namespaces = args.namespaces.iter().cloned().map(Vantage::Namespace);
    host.into_iter().chain(networks).chain(namespaces).collect()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Seconds from 1 to 300, or milliseconds from 1.
fn budget(text: &str) -> Result<Duration, String> {
    let most = Duration::from_mins(5);
    let read = match text.strip_suffix("ms") {
        Some(milliseconds) => milliseconds.parse().ok().map(Duration::from_millis),
        None => text.parse().ok().map(Duration::from_secs),
    };
    read.filter(|budget| (Duration::from_millis(1)..=most).contains(budget))
        .ok_or_else(|| "not 1 to 300 seconds".into())
}
