//! Organisations from the host's own shell: who is there, and a new one for an owner who has an account.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use forge::{NewOrganisation, OrganisationView};
use serde::Serialize;

use super::admin::{Reach, with_forge};
use super::site::{DEFAULT_SITE, SiteArgs, installed_at};
use super::{Console, Exit, Failure};

/// List organisations, or make one
#[derive(Debug, Args)]
pub(crate) struct OrganisationArgs {
    #[command(subcommand)]
    verb: OrganisationVerb,
}

#[derive(Debug, Subcommand)]
enum OrganisationVerb {
    /// List the organisations of a site
    #[command(after_help = "Example:\n  gitgrit-ops admin org list /srv/gitgrit --json")]
    List(SiteArgs),
    /// Make an organisation with one owner
    #[command(after_help = "Example:\n  gitgrit-ops admin org create acme --owner alice --site /srv/gitgrit")]
    Create(CreateArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Its name
    name: String,

    /// The account that becomes its owner
    #[arg(long, value_name = "USER")]
    owner: String,

    /// Who may know of it
    #[arg(long, value_enum, default_value_t = Reach::Private)]
    visibility: Reach,

    /// The site's directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SITE)]
    site: PathBuf,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The documented shape of an organisation in `admin org list --json` and `admin org create --json`. Times are
/// microseconds since 1970.
#[derive(Serialize)]
struct OrganisationJson {
    name: String,
    full_name: String,
    visibility: &'static str,
    created: i64,
}

pub(crate) fn run(args: &OrganisationArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        OrganisationVerb::List(site) => list(site, console),
        OrganisationVerb::Create(args) => create(args, console),
    }
}

fn list(site: &SiteArgs, console: &mut Console) -> Result<Exit, Failure> {
    let found = with_forge(&site.installed()?, |forge| async move { Ok(forge.all_organisations().await?) })?;
    let found: Vec<_> = found.into_iter().map(json).collect();
    if console.is_json {
        console.json(&found)?;
        return Ok(Exit::Ok);
    }
    for OrganisationJson { name, visibility, full_name, .. } in &found {
        writeln!(console.out, "{name:<24} {visibility:<9} {full_name}")?;
    }
    Ok(Exit::Ok)
}

fn create(args: &CreateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = installed_at(&args.site)?;
    let CreateArgs { name, owner, visibility, dry_run, .. } = args;
    let made = with_forge(&site, |forge| async move {
        let actor = forge.acting_as(owner).await?;
        if *dry_run {
            return Ok(None);
        }
        let (name, visibility) = (name.clone(), visibility.visibility());
        let new = NewOrganisation { name, full_name: String::new(), description: String::new(), visibility };
        Ok(Some(forge.create_organisation(&actor, new).await?))
    })?;
    match made {
        Some(made) if console.is_json => console.json(&json(made))?,
        Some(made) => writeln!(console.err, "made the organisation `{}`; `{owner}` owns it", made.name)?,
        None => writeln!(console.out, "would make the organisation `{name}`, owned by `{owner}`")?,
    }
    Ok(Exit::Ok)
}

fn json(view: OrganisationView) -> OrganisationJson {
    OrganisationJson {
        name: view.name.to_string(),
        full_name: view.full_name,
        visibility: Reach::of(view.visibility),
        created: view.created.0,
    }
}
