//! Diagnoses a live site: joins what the forge, git and the checks know of it, prints it, and on request mends what is safe to.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airgap::facts;
use base::Clock;
use base::clock::SystemClock;
use base::file::{FileError, Lock};
use base::settings::SettingsError;
use base::site::SiteDir;
use checks::check::Looked;
use checks::doctor::{self, Data, Live, Mend, Serving};
use checks::env::Purpose;
use checks::preflight::{self, Question};
use clap::Args;
use forge::{AuditFault, AuditVerdict, Examined, Forge};

use super::preflight::{Shown, ShownArgs, git_version, show};
use super::site::{DEFAULT_SITE, forge_options, installed_at, runtime};
use super::sources::found_site;
use super::{Console, Exit, Failure, env};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops doctor\n  gitgrit-ops doctor /srv/gitgrit --verbose\n  \
                        gitgrit-ops doctor /srv/gitgrit --fix --dry-run\n  gitgrit-ops doctor --ci --strict > doctor.xml";

/// Diagnose a live site: server, certificate, database, audit log, jobs, repositories, files
///
/// Changes nothing, unless --fix is given: then it says what it will do, does it, and looks again. It mends modes of secrets,
/// the note of a killed server, and what killed processes left among the repositories; the rest is for a person to decide.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// The site's directory [default: ./gitgrit-site, or /var/lib/gitgrit]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Mend what can be mended without losing anything
    #[arg(long)]
    fix: bool,

    /// With --fix: say what would be done, and change nothing
    #[arg(long, requires = "fix")]
    dry_run: bool,

    /// The site is tried on one machine: take loopback addresses for a warning
    #[arg(long)]
    lab: bool,

    #[command(flatten)]
    shown: ShownArgs,
}

pub(crate) fn run(args: &DoctorArgs, console: &mut Console) -> Result<Exit, Failure> {
    let dir = args.dir.clone().or_else(found_site).unwrap_or_else(|| DEFAULT_SITE.into());
    let site = installed_at(&dir)?;
    // A large database takes its time: its own check reads every page.
    writeln!(console.err, "looking at the site's data")?;
    let live = Arc::new(look(&site, None)?);
    let mut has_mended = false;
    if args.fix {
        let plan = doctor::plan(&live);
        for mend in &plan {
            writeln!(console.err, "{} {mend}", if args.dry_run { "would" } else { "will" })?;
        }
        if plan.is_empty() {
            writeln!(console.err, "there is nothing to mend")?;
        }
        if args.dry_run {
            let planned: Vec<String> = plan.iter().map(ToString::to_string).collect();
            if console.is_json {
                console.json(&planned)?;
            }
            return Ok(Exit::Ok);
        }
        plan.iter().try_for_each(|mend| apply(mend, &site))?;
        has_mended = !plan.is_empty();
    }
    // What was mended is looked at again: the report is of the site as it is left.
    let live = if has_mended { Arc::new(look(&site, Some(live.data.clone()))?) } else { live };
    let looked = all(&live, args.lab);
    show(Shown { verb: "doctor", settings: &site.env(), looked: &looked }, &args.shown, console)
}

/// What is of the site alone, and then what is of its host.
fn all(live: &Arc<Live>, is_lab: bool) -> Vec<Looked> {
    let question = Question {
        site: live.site.root().to_owned(),
        env_file: live.site.env(),
        purpose: if is_lab { Purpose::Lab } else { Purpose::Site },
        is_embedded: true,
        with_latency: false,
        is_live: true,
        http_port: None,
        ssh_port: None,
        environment: env::environment,
        git_version,
        now: live.now,
    };
    let mut looked = doctor::run(live);
    looked.extend(preflight::of_live_site(question));
    looked
}

/// Everything, but for the data where they were `seen` already: nothing that is mended is in the database.
fn look(site: &SiteDir, seen: Option<Result<Data, String>>) -> Result<Live, Failure> {
    let settings = facts::settings(site);
    let found = facts::look(site);
    let certificate = found.as_ref().ok().and_then(|found| found.certificate.as_ref());
    // Where a part of the installation is lost, what is served is still of the site's own authority, as far as one can see.
    let is_ours =
        certificate.map_or(found.is_err() && site.ca_certificate().exists(), |certificate| certificate.is_ours);
    let given = settings.as_ref().ok().and_then(|settings| settings.custom_authorities.clone());
    let data = match (seen, &settings) {
        (Some(seen), _) => seen,
        (None, Err(_)) => Err("the settings are not read".to_owned()),
        (None, Ok(settings)) => examined(site, settings.clone())?,
    };
    let (left, unseen) = match airgap::live::left_behind(site) {
        Ok(left) => (Ok(left.paths), left.unseen),
        Err(error) => (Err(base::hint::chain(&error)), Vec::new()),
    };
    Ok(Live {
        site: site.clone(),
        refused_settings: settings.as_ref().err().map(|error: &SettingsError| base::hint::chain(error)),
        refused_parts: found.as_ref().err().map(|error| base::hint::chain(error)),
        site_url: settings.as_ref().ok().map(|settings| settings.site_url.clone()),
        serving: airgap::running::serving(site).map(serving),
        version: env!("CARGO_PKG_VERSION"),
        is_paired: certificate.map(|certificate| certificate.is_paired),
        authorities: if is_ours { Some(site.ca_certificate()) } else { given },
        data,
        on_disk: airgap::live::repositories(site).map_err(|error| base::hint::chain(&error)),
        left,
        unseen: unseen.into_iter().map(|(path, error)| (path, base::hint::chain(&error))).collect(),
        now: SystemClock.now(),
    })
}

fn serving(found: airgap::running::Serving) -> Serving {
    Serving { pid: found.pid, http: found.http, ssh: found.ssh, version: found.version }
}

/// What the forge sees of the data. A database that is not there is not made.
fn examined(site: &SiteDir, settings: base::settings::Settings) -> Result<Result<Data, String>, Failure> {
    if settings.database_url.is_none() && !site.database().exists() {
        return Ok(Err(format!("there is no database `{}`", site.database().display())));
    }
    let options = forge_options(site, settings);
    let examined = runtime()?.block_on(Forge::examine(&options));
    Ok(examined.map(data).map_err(|error| base::hint::chain(&error)))
}

fn data(examined: Examined) -> Data {
    let audit = match examined.audit {
        Some(AuditVerdict::Broken { number, fault }) => Err(format!("record {number} {}", broken(fault))),
        Some(AuditVerdict::Whole { records, .. }) => Ok(records),
        None => Ok(0),
    };
    Data {
        pending: examined.pending,
        is_key_known: examined.is_key_known,
        faults: examined.faults,
        audit,
        dead: examined.dead,
        dead_names: examined.dead_names,
        overdue: examined.overdue,
        repositories: examined.repositories,
        loose: examined.loose,
    }
}

const fn broken(fault: AuditFault) -> &'static str {
    match fault {
        AuditFault::Changed => "is not as it was written",
        AuditFault::Missing => "is missing",
        AuditFault::Added => "is behind the end of the log",
    }
}

fn apply(mend: &Mend, site: &SiteDir) -> Result<(), Failure> {
    match mend {
        Mend::Mode { path, mode, owner } => Ok(base::plain::set_mode(path, *mode, *owner)?),
        Mend::Note { path } => empty(path),
        Mend::Sweep { .. } => airgap::live::sweep(site).map_err(|error| Failure::new(Exit::Failure, error)),
    }
}

/// Under its own lock, so that a server that has just started keeps its note. What became a link meanwhile is not followed.
fn empty(path: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::from(FileError::Write { path: path.into(), source });
    let file = base::plain::plain(path, File::options().read(true).write(true)).map_err(failed)?;
    let lock = file.map(|file| Lock::of(file, path)).transpose()?;
    lock.flatten().map_or(Ok(()), |mut lock| lock.note("").map_err(failed))
}
