//! Installs a site: shows the plan, asks, carries it out, and says what to open.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use airgap::apply::{Operation, Outcome};
use airgap::facts::{look, refuse_foreign};
use airgap::plan::{Plan, Planned, plan};
use base::Clock;
use base::clock::SystemClock;
use base::site::SiteDir;
use clap::Args;
use serde::Serialize;

use super::install_hooks::InstallHooks;
use super::install_request::request;
use super::serve::ServeArgs;
use super::site::{DEFAULT_SITE, site_at};
use super::{Console, Exit, Failure, install_systemd, serve};

/// Install a site, start it and prove that it works
///
/// Killed or failed at any step, the same command goes on where it stopped; on a finished site it changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitgrit-ops install --embedded --lab --yes\n  gitgrit-ops install --embedded /srv/gitgrit --dry-run"
)]
pub(crate) struct InstallArgs {
    /// Install the site as one process with a database file, without containers
    #[arg(long, required = true)]
    embedded: bool,

    /// The site's directory
    #[arg(value_name = "DIR", default_value = DEFAULT_SITE)]
    dir: PathBuf,

    /// The site's address, as people will reach it; https://HOST:8828 with this host's name when not given
    #[arg(long, value_name = "URL")]
    pub(crate) site_url: Option<String>,

    /// Try it on this machine alone: listens on the loopback and allows an address there
    #[arg(long)]
    pub(crate) lab: bool,

    /// The first administrator's name
    #[arg(long, value_name = "NAME", default_value = "root")]
    pub(crate) admin: String,

    /// A file with the first administrator's password; a random one is made and shown once when not given
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_password_file: Option<PathBuf>,

    /// Where to listen for HTTP(S); port 0 takes a free one [default: 0.0.0.0:8828]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,

    /// Where to listen for SSH; port 0 takes a free one [default: 0.0.0.0:2424]
    #[arg(long, value_name = "ADDR")]
    pub(crate) ssh: Option<SocketAddr>,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Serve in this process instead of the background; nothing is proven then
    #[arg(long)]
    pub(crate) foreground: bool,

    /// Write a systemd unit for the site
    #[arg(long, conflicts_with = "foreground")]
    systemd: bool,
}

/// The documented shape of `install --json`, with and without `--dry-run`.
#[derive(Serialize)]
struct InstallView<'p> {
    site: String,
    site_url: &'p str,
    steps: &'p [Planned],
    dry_run: bool,
    /// Something had to be made.
    changes: bool,
    administrator: Option<&'p str>,
    /// Shown this once.
    password: Option<&'p str>,
    passed: Option<bool>,
    unit: Option<String>,
}

pub(crate) fn run(args: &InstallArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = site_at(&args.dir)?;
    let clock = SystemClock;
    refuse_foreign(&site)?;
    let facts = look(&site)?;
    let request = request(args, &facts, console)?;
    let first = plan(&request, &facts, clock.now())?;
    let unit = if args.systemd { Some(install_systemd::prepare(&site)?) } else { None };
    let unit_path = unit.as_ref().map(|unit| unit.path.as_path());
    if args.dry_run {
        show_plan(&site, &first, unit_path, console)?;
        return Ok(Exit::Ok);
    }
    if first.has_changes() && !agrees(args, &first, console)? {
        return Ok(Exit::Failure);
    }
    let mut operation = Operation::begin(&site, &clock)?;
    if let Some(step) = operation.stopped_at() {
        writeln!(console.err, "going on with an installation that stopped at `{step}`")?;
    }
    // What was shown may have changed before the lock was ours.
    let plan = plan(&request, &look(&site)?, clock.now())?;
    let outcome = operation.apply(&plan, &request, &InstallHooks::new(site.clone(), console))?;
    if let Some(unit) = &unit {
        install_systemd::write(unit, &site, console)?;
    }
    report(&site, &plan, &outcome, unit_path, console).map_err(|_| nobody_read())?;
    if outcome.has_passed == Some(false) {
        return Ok(Exit::ChecksFailed);
    }
    operation.finish()?;
    if args.foreground { serve_here(site, console) } else { Ok(Exit::Ok) }
}

/// Shows the plan and asks; `false` when the operator does not want it.
fn agrees(args: &InstallArgs, plan: &Plan, console: &mut Console) -> Result<bool, Failure> {
    if args.yes {
        return Ok(true);
    }
    if !(console.is_terminal && std::io::stdin().is_terminal()) {
        if args.lab {
            return Ok(true);
        }
        let nobody = Failure::said(Exit::Usage, "this would change the host, and nobody is there to ask");
        return Err(nobody.hinted("look at the plan with --dry-run, then install with --yes"));
    }
    write_plan(plan, &mut console.err)?;
    write!(console.err, "Go on? [y/N] ")?;
    console.err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn show_plan(site: &SiteDir, plan: &Plan, unit: Option<&Path>, console: &mut Console) -> Result<(), Failure> {
    if !console.is_json {
        write_plan(plan, &mut console.out)?;
        if let Some(path) = unit {
            writeln!(console.out, "{:<5} {:<14} write {}", "make", "unit", path.display())?;
        }
        return Ok(());
    }
    Ok(console.json(&InstallView {
        site: site.root().display().to_string(),
        site_url: plan.site_url.as_str(),
        steps: &plan.steps,
        dry_run: true,
        changes: plan.has_changes(),
        administrator: None,
        password: None,
        passed: None,
        unit: unit.map(|path| path.display().to_string()),
    })?)
}

fn write_plan(plan: &Plan, to: &mut dyn std::io::Write) -> std::io::Result<()> {
    for Planned { step, action, text } in &plan.steps {
        writeln!(to, "{action:<5} {step:<14} {text}")?;
    }
    Ok(())
}

/// What to open and with which password: data, so that it can be read by a program too.
fn report(
    site: &SiteDir,
    plan: &Plan,
    outcome: &Outcome,
    unit: Option<&Path>,
    console: &mut Console,
) -> std::io::Result<()> {
    let administrator = outcome.administrator.as_ref();
    let (name, password) =
        administrator.map(|account| (account.name.as_str(), account.password.expose().as_str())).unzip();
    if console.is_json {
        console.json(&InstallView {
            site: site.root().display().to_string(),
            site_url: plan.site_url.as_str(),
            steps: &plan.steps,
            dry_run: false,
            changes: plan.has_changes(),
            administrator: name,
            password,
            passed: outcome.has_passed,
            unit: unit.map(|path| path.display().to_string()),
        })?;
    } else {
        if !plan.has_changes() {
            writeln!(console.err, "the site was installed already; nothing was changed")?;
        }
        writeln!(console.out, "{}", plan.site_url)?;
        if let (Some(name), Some(password)) = (name, password) {
            writeln!(console.out, "user: {name}")?;
            writeln!(console.out, "password: {password}")?;
        }
        if outcome.has_passed == Some(false) {
            writeln!(console.err, "the smoke test did not pass; mend what it names, then run the same command again")?;
        }
    }
    console.out.flush()
}

/// The password may be in what was not read, so the installation has not ended.
fn nobody_read() -> Failure {
    Failure::said(Exit::Failure, "could not print how the installation ended")
        .hinted("run the same command again; it shows an unread password once more")
}

fn serve_here(site: SiteDir, console: &mut Console) -> Result<Exit, Failure> {
    let args = ServeArgs { site: site.root().to_owned(), env_file: None, http: None, ssh: None, no_tls: false };
    serve::run(&args, console)
}
