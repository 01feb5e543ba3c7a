//! The first-run steps inside the application: address, CA bundle, migrations. Can be run twice; the second run finds
//! nothing to do. Everything it says goes to standard output, as the seeds have it.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::envfile::Values;
use base::file::create_dir;
use base::hint::chain;
use base::settings::Settings;
use base::site::SiteDir;
use checks::setup::{self, MOUNT};
use clap::Args;
use forge::Forge;
use serde::Serialize;

use super::site::{forge_options, runtime};
use super::sources::SourceArgs;
use super::{Console, Exit, Failure};

/// Where the container keeps the site.
const CONTAINER_ROOT: &str = "/";

/// Prepare a site for its first start
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops setup --site-dir /srv/gitgrit")]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Look at everything, list the migrations that would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct SetupView {
    passed: bool,
    lines: Vec<String>,
}

/// Prints lines as they come, or keeps them for one JSON object.
struct Report<'c> {
    console: &'c mut Console,
    lines: Vec<String>,
}

impl Report<'_> {
    fn say(&mut self, line: String) -> Result<(), Failure> {
        if !self.console.is_json {
            writeln!(self.console.out, "{line}")?;
        }
        self.lines.push(line);
        Ok(())
    }
}

pub(crate) fn run(args: &SetupArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut report = Report { console, lines: Vec::new() };
    let done = match prepare(args, &mut report) {
        Ok(()) => Ok(()),
        Err(Stop::Said(why)) => {
            report.say(why)?;
            Err(())
        }
        Err(Stop::Failed(failure)) => return Err(failure),
    };
    let Report { console, lines } = report;
    if console.is_json {
        console.json(&SetupView { passed: done.is_ok(), lines })?;
    }
    Ok(if done.is_ok() { Exit::Ok } else { Exit::Failure })
}

/// Why setup ends early.
enum Stop {
    /// A step's own sentence.
    Said(String),
    /// The console itself is gone.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn prepare(args: &SetupArgs, report: &mut Report<'_>) -> Result<(), Stop> {
    let said = |error: &dyn std::error::Error| Stop::Said(chain(error));
    let sources = args.sources.sources(report.console)?;
    let values = sources.values().map_err(|error| said(&error))?;
    let mount = mount(&values);
    report.say(setup::site_url(values.get("SITE_URL")).map_err(Stop::Said)?)?;
    report.say(setup::ca_bundle(values.get("GITGRIT_CUSTOM_CA_FILE_PATH"), mount.as_deref()).map_err(Stop::Said)?)?;
    let in_container = || mount.is_some().then(|| SiteDir::new(CONTAINER_ROOT));
    let site = sources.site.clone().or_else(in_container).ok_or_else(|| {
        Stop::Said("There is no site here. Name its directory with --site-dir, or make one with install.".into())
    })?;
    let settings = Settings::parse(&values).map_err(|error| said(&error))?;
    if args.dry_run {
        report.say("Migrations that would run:".into())?;
        for line in listed("would apply", &pending(&site, settings)?) {
            report.say(line)?;
        }
        return Ok(report.say("Nothing was changed.".into())?);
    }
    report.say("Running migrations...".into())?;
    for line in migrate(&site, settings)? {
        report.say(line)?;
    }
    report.say("Air-gap setup complete.".into())?;
    Ok(())
}

/// Where the stack shows the operator's CA bundle, when this runs inside it.
fn mount(values: &Values) -> Option<PathBuf> {
    let is_in_stack = ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"].iter().any(|name| values.get(name) == Some(MOUNT));
    is_in_stack.then(|| Path::new(MOUNT).to_path_buf())
}

/// Brings the site's database up to date, a line for each migration.
fn migrate(site: &SiteDir, settings: Settings) -> Result<Vec<String>, Stop> {
    create_dir(&site.data(), 0o700).map_err(|error| Stop::Said(chain(&error)))?;
    let pending = pending(site, settings.clone())?;
    let migrated: Result<(), forge::OpenError> = runtime()?.block_on(async {
        Forge::open(forge_options(site, settings)).await?.close().await;
        Ok(())
    });
    migrated.map_err(|error| Stop::Said(chain(&error)))?;
    Ok(listed("applied", &pending))
}

/// The migrations that the site's database lacks, by number and name.
fn pending(site: &SiteDir, settings: Settings) -> Result<Vec<(u32, &'static str)>, Stop> {
    let pending = runtime()?.block_on(Forge::pending_migrations(&forge_options(site, settings)));
    pending.map_err(|error| Stop::Said(chain(&error)))
}

fn listed(done: &str, migrations: &[(u32, &'static str)]) -> Vec<String> {
    if migrations.is_empty() {
        return vec!["  nothing to do".into()];
    }
    migrations.iter().map(|(number, name)| format!("  {done} {number:04} {name}")).collect()
}
