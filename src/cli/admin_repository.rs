//! Repositories from the host's own shell: which there are, whoever may read them.

use std::io::Write;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::admin::{Reach, with_forge};
use super::site::SiteArgs;
use super::{Console, Exit, Failure};

/// List repositories
#[derive(Debug, Args)]
pub(crate) struct RepositoryArgs {
    #[command(subcommand)]
    verb: RepositoryVerb,
}

#[derive(Debug, Subcommand)]
enum RepositoryVerb {
    /// List the repositories of a site
    #[command(after_help = "Example:\n  gitgrit-ops admin repo list /srv/gitgrit --json")]
    List(SiteArgs),
}

/// The documented shape of a repository in `admin repo list --json`. Times are microseconds since 1970.
#[derive(Serialize)]
struct RepositoryJson {
    path: String,
    description: String,
    visibility: &'static str,
    created: i64,
    pushed: Option<i64>,
}

pub(crate) fn run(args: &RepositoryArgs, console: &mut Console) -> Result<Exit, Failure> {
    let RepositoryVerb::List(site) = &args.verb;
    let found = with_forge(&site.installed()?, |forge| async move { Ok(forge.all_repos().await?) })?;
    let found: Vec<_> = found
        .into_iter()
        .map(|repo| RepositoryJson {
            path: repo.path.to_string(),
            description: repo.description,
            visibility: Reach::of(repo.visibility),
            created: repo.created.0,
            pushed: repo.pushed.map(|at| at.0),
        })
        .collect();
    if console.is_json {
        console.json(&found)?;
        return Ok(Exit::Ok);
    }
    for RepositoryJson { path, visibility, .. } in &found {
        writeln!(console.out, "{path:<48} {visibility}")?;
    }
    Ok(Exit::Ok)
}
