//! The site's settings: writes a fresh `.env`, judges one, compares two, brings one to another version. Shows no secret.

use std::io::Write;
use std::path::PathBuf;

use base::envfile::Values;
use base::file::write_new;
use base::settings::SettingsError;
use base::site::SiteDir;
use base::template;
use checks::env::{self as settings, Asked, Purpose};
use checks::render::Report;
use clap::{Args, Subcommand};
use serde::Serialize;
use vault::{fernet, random};

use super::console::unless_gone;
use super::sources::found_site;
use super::{Console, Exit, Failure, env_diff, env_migrate, findings};

/// Length of a generated SECRET_KEY, in characters.
const SECRET_KEY: usize = 64;
/// Length of a generated database password, in characters.
const PASSWORD: usize = 32;

/// Write, judge, compare or migrate a site's settings
#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    #[command(subcommand)]
    verb: EnvVerb,
}

#[derive(Debug, Subcommand)]
enum EnvVerb {
    /// Write a fresh .env with generated secrets, mode 0600
    #[command(after_help = "Example:\n  gitgrit-ops env init --site-url https://forge.acme.internal")]
    Init(InitArgs),
    /// Judge every variable of a .env file
    #[command(after_help = "Example:\n  gitgrit-ops env check .env --strict")]
    Check(CheckArgs),
    /// Compare two .env files; of secrets only whether they are equal
    #[command(after_help = "Example:\n  gitgrit-ops env diff .env /mnt/backup/.env")]
    Diff(env_diff::DiffArgs),
    /// Bring a .env to another version's template, keeping values, comments and order
    #[command(after_help = "Example:\n  gitgrit-ops env migrate .env --from old/.env.example --dry-run")]
    Migrate(env_migrate::MigrateArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The file to write; never overwritten
    #[arg(default_value = ".env")]
    file: PathBuf,

    /// The site's address
    #[arg(long, value_name = "URL")]
    site_url: Option<String>,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The file [default: the site's .env, or ./.env]
    file: Option<PathBuf>,

    /// End with exit code 4 when there are only warnings
    #[arg(long)]
    strict: bool,

    /// The site is tried on one machine: take loopback addresses for a warning
    #[arg(long)]
    lab: bool,

    /// Nothing is installed yet: ask whether the ports are free as well
    #[arg(long)]
    ports: bool,

    /// Print the findings for a pipeline
    #[arg(long, value_name = "FORMAT")]
    report: Option<findings::Format>,
}

#[derive(Serialize)]
struct InitView {
    file: String,
    generated: [&'static str; 3],
    dry_run: bool,
}

#[derive(Serialize)]
struct CheckView<'c> {
    file: String,
    findings: &'c [base::Finding],
}

pub(crate) fn run(args: &EnvArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        EnvVerb::Init(args) => init(args, console),
        EnvVerb::Check(args) => check(args, console),
        EnvVerb::Diff(args) => env_diff::run(args, console),
        EnvVerb::Migrate(args) => env_migrate::run(args, console),
    }
}

fn init(args: &InitArgs, console: &mut Console) -> Result<Exit, Failure> {
    if args.file.symlink_metadata().is_ok() {
        let message = format!("`{}` is already there", args.file.display());
        return Err(Failure::said(Exit::Failure, message)
            .hinted("name another file, or move this one away; its secrets may be in use"));
    }
    let mut values = Values::default();
    if let Some(url) = &args.site_url {
        let url = base::url::BaseUrl::parse(url)
            .map_err(|source| Failure::new(Exit::Usage, SettingsError::Url { name: "SITE_URL", source }))?;
        values.set("SITE_URL", url.as_str());
    }
    values.set("SECRET_KEY", random::text(SECRET_KEY).expose().as_str());
    values.set("GITGRIT_ENCRYPTION_KEY", fernet::Key::generate().expose().as_str());
    values.set("POSTGRES_PASSWORD", random::text(PASSWORD).expose().as_str());
    let text = template::render(&values).map_err(|error| Failure::new(Exit::Failure, error))?;
    if !args.dry_run {
        write_new(&args.file, text.as_bytes(), 0o600)?;
        base::fault::point("env:init:written");
    }
    let view = InitView {
        file: args.file.display().to_string(),
        generated: ["SECRET_KEY", "GITGRIT_ENCRYPTION_KEY", "POSTGRES_PASSWORD"],
        dry_run: args.dry_run,
    };
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    if args.dry_run {
        writeln!(console.err, "would write {} with a new {}", view.file, view.generated.join(", "))?;
        return Ok(Exit::Ok);
    }
    writeln!(console.out, "{}", view.file)?;
    writeln!(console.err, "generated {}", view.generated.join(", "))?;
    if args.site_url.is_none() {
        writeln!(console.err, "set SITE_URL in it, then run: gitgrit-ops env check {}", view.file)?;
    }
    Ok(Exit::Ok)
}

fn check(args: &CheckArgs, console: &mut Console) -> Result<Exit, Failure> {
    if args.report.is_some() && console.is_json {
        let message = "`--report` and `--json` ask for two shapes of one report";
        return Err(Failure::said(Exit::Usage, message).hinted("leave one of them out"));
    }
    let of_site = || found_site().map(|dir| SiteDir::new(dir).env());
    let file = args.file.clone().or_else(of_site).unwrap_or_else(|| ".env".into());
    let purpose = if args.lab { Purpose::Lab } else { Purpose::Site };
    let found = settings::check(&file, &Asked { purpose, are_ports_free: args.ports, environment: &environment });
    let shown = file.display().to_string();
    if let Some(format) = args.report {
        let report = Report { check: "env check", file: Some(&shown), findings: &found };
        unless_gone(findings::print_as(format, report, console))?;
    } else if console.is_json {
        unless_gone(console.json(&CheckView { file: shown, findings: &found }))?;
    } else {
        unless_gone(findings::print(&found, console))?;
    }
    Ok(findings::exit(&found, args.strict))
}

/// What Docker Compose would be told by this shell.
pub(crate) fn environment(name: &str) -> Option<String> {
    // Such names cannot be in an environment, and are not asked for.
    let is_possible = !name.is_empty() && !name.contains(['=', '\0']);
    is_possible.then(|| std::env::var(name).ok()).flatten()
}
