//! Looks at a host before a site is installed on it, and prints what stands in the way. Installs nothing, and changes nothing.

use std::path::{Path, PathBuf};

use base::clock::SystemClock;
use base::site::SiteDir;
use base::{Clock, Finding, Severity};
use checks::check::{Counts, Looked, counted};
use checks::env::Purpose;
use checks::preflight::{self, Question};
use checks::render::Report;
use clap::Args;
use serde::Serialize;

use super::console::unless_gone;
use super::site::{runtime, site_at};
use super::sources::found_site;
use super::{Console, Exit, Failure, env, findings};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops preflight\n  gitgrit-ops preflight --verbose --latency --site-dir /srv/gitgrit\n  \
                        gitgrit-ops preflight --ci=sarif --strict --env-file .env > preflight.sarif";

/// Look at this host before an installation: kernel, resources, engine, network, settings, certificates
///
/// Each check ends in one of four ways: ok, warning, error, or unknown where it could not look or was not asked to. Nothing
/// is changed, and no connection is opened but to the engine, the host's own resolvers and the addresses in the settings.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PreflightArgs {
    /// The site's directory, there or yet to be [default: ./gitgrit-site, or /var/lib/gitgrit]
    #[arg(long, value_name = "DIR")]
    site_dir: Option<PathBuf>,

    /// The settings [default: the site's .env, or ./.env]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// The site will do without an engine: take what the engine lacks for a warning
    #[arg(long)]
    embedded: bool,

    /// The site is tried on one machine: take loopback addresses for a warning
    #[arg(long)]
    lab: bool,

    /// Measure how long durable writes take as well, for some seconds
    #[arg(long)]
    latency: bool,

    /// The port for HTTP [default: that of APP_PORT or SITE_URL, or 8828]
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,

    /// The port for SSH [default: SSH_PORT, or 2424]
    #[arg(long, value_name = "PORT")]
    ssh_port: Option<u16>,

    #[command(flatten)]
    shown: ShownArgs,
}

/// How results are shown.
#[derive(Debug, Args)]
pub(crate) struct ShownArgs {
    /// Print what is fine or could not be looked at as well
    #[arg(long, short)]
    verbose: bool,

    /// Print for a pipeline, every check in it
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "junit")]
    ci: Option<findings::Format>,

    /// End with exit code 4 when there are only warnings
    #[arg(long)]
    strict: bool,
}

/// The documented shape of `preflight --json` and `doctor --json`.
#[derive(Serialize)]
struct LookedView<'l> {
    counts: Counts,
    checks: &'l [Looked],
}

pub(crate) fn run(args: &PreflightArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site_dir.clone().or_else(found_site).unwrap_or_else(|| super::site::DEFAULT_SITE.into());
    let site = site_at(&site)?;
    let env_file = args.env_file.clone().unwrap_or_else(|| settings_of(&site));
    let looked = preflight::run(Question {
        site: site.root().to_owned(),
        env_file: env_file.clone(),
        purpose: if args.lab { Purpose::Lab } else { Purpose::Site },
        is_embedded: args.embedded,
        with_latency: args.latency,
        is_live: false,
        http_port: args.http_port,
        ssh_port: args.ssh_port,
        environment: env::environment,
        git_version,
        now: SystemClock.now(),
    });
    show(Shown { verb: "preflight", settings: &env_file, looked: &looked }, &args.shown, console)
}

/// The site's own settings, else those that lie here.
fn settings_of(site: &SiteDir) -> PathBuf {
    let here = PathBuf::from(".env");
    if !site.env().exists() && here.exists() { here } else { site.env() }
}

/// What the room of git says of it.
pub(super) fn git_version() -> Result<String, String> {
    let runtime = runtime().map_err(|failure| failure.to_string())?;
    runtime.block_on(airgap::site_git::git_version()).map_err(|error| base::hint::chain(&error))
}

/// What a verb that looks at a host has to show.
pub(crate) struct Shown<'s> {
    pub(crate) verb: &'static str,
    /// The settings' file: what a pipeline shows findings at, for a host has no other.
    pub(crate) settings: &'s Path,
    pub(crate) looked: &'s [Looked],
}

/// Prints what the checks of a verb said, and turns it into an exit code.
pub(crate) fn show(what: Shown<'_>, shown: &ShownArgs, console: &mut Console) -> Result<Exit, Failure> {
    let Shown { verb, settings, looked } = what;
    let all: Vec<Finding> = looked.iter().flat_map(|one| one.findings.iter().cloned()).collect();
    let counts = counted(looked);
    if let Some(format) = shown.ci {
        let settings = settings.display().to_string();
        let each: Vec<Finding> = looked.iter().flat_map(Looked::with_own).collect();
        unless_gone(findings::print_as(
            format,
            Report { check: verb, file: Some(&settings), findings: &each },
            console,
        ))?;
    } else if console.is_json {
        unless_gone(console.json(&LookedView { counts, checks: looked }))?;
    } else {
        let is_shown =
            |finding: &&Finding| shown.verbose || matches!(finding.severity, Severity::Warning | Severity::Error);
        let printed: Vec<Finding> = all.iter().filter(is_shown).cloned().collect();
        unless_gone(findings::print(&printed, console))?;
        unless_gone(writeln!(console.out, "{}", summary(counts)))?;
    }
    Ok(findings::exit(&all, shown.strict))
}

fn summary(counts: Counts) -> String {
    let Counts { checks, ok, warnings, failures, not_looked } = counts;
    format!(
        "{checks} checks: {ok} ok, {warnings} with warnings, {failures} failed, {not_looked} could not look or were not asked to"
    )
}
