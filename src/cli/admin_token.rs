//! Access tokens from the host's own shell, for accounts of machines that nobody signs in as.

use std::io::Write;
use std::path::PathBuf;

use base::name::RepoPath;
use clap::{Args, Subcommand};
use forge::{NewToken, SCOPE_NAMES, Scopes};
use serde::Serialize;

use super::admin::with_forge;
use super::site::{DEFAULT_SITE, installed_at};
use super::{Console, Exit, Failure};

/// Make access tokens
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    verb: TokenVerb,
}

#[derive(Debug, Subcommand)]
enum TokenVerb {
    /// Make a token of an account; its secret is shown once
    #[command(
        after_help = "Example:\n  gitgrit-ops admin token create ci --user alice --scope read:repository --repo alice/notes --days 90"
    )]
    Create(CreateArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What the token is called
    name: String,

    /// The account that it is of
    #[arg(long)]
    user: String,

    /// What it opens, as in `read:repository`; `all` for everything. Can be given several times
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,

    /// A repository that it is for alone, as in `alice/notes`. Can be given several times
    #[arg(long = "repo", value_name = "OWNER/NAME")]
    repositories: Vec<String>,

    /// Days until it ends; never when not given
    #[arg(long)]
    days: Option<u32>,

    /// The site's directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SITE)]
    site: PathBuf,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The documented shape of `admin token create --json`. Times are microseconds since 1970.
#[derive(Serialize)]
struct TokenJson<'t> {
    user: &'t str,
    name: &'t str,
    scopes: Vec<&'static str>,
    repositories: Option<Vec<String>>,
    expires: Option<i64>,
    /// The secret; `null` in a dry run.
    token: Option<String>,
}

pub(crate) fn run(args: &TokenArgs, console: &mut Console) -> Result<Exit, Failure> {
    let TokenVerb::Create(args) = &args.verb;
    let site = installed_at(&args.site)?;
    let scopes = Scopes::parse(&args.scopes.join(",")).map_err(|name| {
        let known: Vec<_> = SCOPE_NAMES.iter().map(|(name, _)| *name).collect();
        Failure::said(Exit::Usage, format!("there is no scope `{name}`"))
            .hinted(format!("there are all, {}", known.join(", ")))
    })?;
    let paths: Result<Vec<_>, _> = args.repositories.iter().map(|text| RepoPath::parse_joined(text)).collect();
    let paths = paths.map_err(|error| Failure::said(Exit::Usage, error.to_string()))?;
    let repositories = (!paths.is_empty()).then_some(paths);
    let made = with_forge(&site, |forge| async move {
        let actor = forge.acting_as(&args.user).await?;
        if args.dry_run {
            return Ok(None);
        }
        let new = NewToken { name: args.name.clone(), scopes, repositories, days: args.days };
        Ok(Some(forge.create_token(&actor, new).await?))
    })?;
    let secret = made.as_ref().map(|(_, secret)| secret.expose().clone());
    let view = made.map(|(view, _)| view);
    if console.is_json {
        let listed = view.as_ref().and_then(|view| view.repositories.as_ref());
        console.json(&TokenJson {
            user: &args.user,
            name: &args.name,
            scopes: scopes.names(),
            repositories: listed.map(|paths| paths.iter().map(ToString::to_string).collect()),
            expires: view.as_ref().and_then(|view| view.expires).map(|at| at.0),
            token: secret,
        })?;
    } else if let Some(secret) = secret {
        writeln!(console.out, "{secret}")?;
    } else {
        writeln!(console.out, "would make the token `{}` of `{}` for {scopes}", args.name, args.user)?;
    }
    Ok(Exit::Ok)
}
