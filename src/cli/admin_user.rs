//! Accounts from the host's own shell: for the administrator who has lost the password, and for a look at who is there.

use std::io::Write;
use std::path::PathBuf;

use base::Secret;
use clap::{Args, Subcommand};
use forge::{Error, Openers, UserView};
use serde::Serialize;

use super::admin::with_forge;
use super::site::{DEFAULT_SITE, SiteArgs, installed_at};
use super::{Console, Exit, Failure};

/// Length of a generated password, in letters and digits.
const LENGTH: usize = 24;
/// The largest password file, in bytes.
const PASSWORD_LIMIT: u64 = 4096;

/// List accounts, or give one another password
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    verb: UserVerb,
}

#[derive(Debug, Subcommand)]
enum UserVerb {
    /// List the accounts of a site
    #[command(after_help = "Example:\n  gitgrit-ops admin user list /srv/gitgrit --json")]
    List(SiteArgs),
    /// Give an account another password and end its sessions
    #[command(after_help = "Example:\n  gitgrit-ops admin user password root --site /srv/gitgrit")]
    Password(PasswordArgs),
    SecondFactor(SecondFactorArgs),
}

/// Look after the second factor of an account
#[derive(Debug, Args)]
struct SecondFactorArgs {
    #[command(subcommand)]
    verb: SecondFactorVerb,
}

#[derive(Debug, Subcommand)]
enum SecondFactorVerb {
    /// Take the second factor of an account away and end its sessions
    #[command(after_help = "Example:\n  gitgrit-ops admin user second-factor reset alice --site /srv/gitgrit")]
    Reset(ResetArgs),
}

#[derive(Debug, Args)]
struct ResetArgs {
    /// The account
    name: String,

    /// The site's directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SITE)]
    site: PathBuf,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct PasswordArgs {
    /// The account
    name: String,

    /// The site's directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SITE)]
    site: PathBuf,

    /// A file with the new password; a random one is made and shown once when not given
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Also end all access tokens and remove all SSH keys of the account
    #[arg(long)]
    revoke: bool,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The documented shape of an account in `admin user list --json`. Times are microseconds since 1970.
#[derive(Serialize)]
struct AccountView {
    name: String,
    full_name: String,
    administrator: bool,
    active: bool,
    created: i64,
    seen: Option<i64>,
}

/// The documented shape of `admin user password --json`.
#[derive(Serialize)]
struct PasswordView<'v> {
    user: &'v str,
    /// The random password; `null` when a file gave it, and in a dry run.
    password: Option<&'v str>,
    /// Access tokens and SSH keys that were revoked, with `--revoke`, or that go on opening the account.
    tokens: usize,
    keys: usize,
    revoked: bool,
    dry_run: bool,
}

/// The documented shape of `admin user second-factor reset --json`.
#[derive(Serialize)]
struct ResetView<'v> {
    user: &'v str,
    dry_run: bool,
}

pub(crate) fn run(args: &UserArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        UserVerb::List(site) => list(site, console),
        UserVerb::Password(args) => password(args, console),
        UserVerb::SecondFactor(SecondFactorArgs { verb: SecondFactorVerb::Reset(args) }) => reset(args, console),
    }
}

fn list(site: &SiteArgs, console: &mut Console) -> Result<Exit, Failure> {
    let users = with_forge(&site.installed()?, |forge| async move { Ok(forge.all_users().await?) })?;
    let users: Vec<_> = users.into_iter().map(view).collect();
    if console.is_json {
        console.json(&users)?;
        return Ok(Exit::Ok);
    }
    for AccountView { name, administrator, active, .. } in &users {
        let role = if *administrator { "administrator" } else { "user" };
        let state = if *active { "active" } else { "deactivated" };
        writeln!(console.out, "{name:<24} {role:<13} {state}")?;
    }
    Ok(Exit::Ok)
}

fn view(user: UserView) -> AccountView {
    AccountView {
        name: user.name.to_string(),
        full_name: user.full_name,
        administrator: user.is_admin,
        active: user.is_active,
        created: user.created.0,
        seen: user.seen.map(|at| at.0),
    }
}

fn password(args: &PasswordArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = installed_at(&args.site)?;
    let given = match &args.password_file {
        Some(path) => {
            let text = base::file::read_text(path, PASSWORD_LIMIT)?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        None => None,
    };
    let (name, dry_run, revokes) = (args.name.as_str(), args.dry_run, args.revoke);
    let fresh = given.is_none().then(|| vault::random::text(LENGTH));
    let new = given.as_ref().or(fresh.as_ref());
    let Openers { tokens, keys } = with_forge(&site, |forge| async move {
        let users = forge.all_users().await?;
        if !users.iter().any(|user| user.name.as_str().eq_ignore_ascii_case(name)) {
            return Err(absent(name));
        }
        let openers = forge.openers(&forge.acting_as(name).await?).await?;
        if let Some(new) = new.filter(|_| !dry_run) {
            forge.reset_password(name, new).await.map_err(|error| match error {
                Error::NotFound => absent(name),
                other => other.into(),
            })?;
            if revokes {
                return Ok(forge.revoke_openers_from_shell(name).await?);
            }
        }
        Ok(openers)
    })?;
    let shown = fresh.as_ref().filter(|_| !dry_run).map(Secret::expose);
    if console.is_json {
        let password = shown.map(String::as_str);
        console.json(&PasswordView { user: name, password, tokens, keys, revoked: revokes && !dry_run, dry_run })?;
        return Ok(Exit::Ok);
    }
    if dry_run {
        writeln!(console.out, "would give `{name}` another password and end its sessions")?;
    } else if let Some(shown) = shown {
        writeln!(console.out, "user: {name}\npassword: {shown}")?;
    } else {
        writeln!(console.err, "`{name}` has the password in the file; its sessions have ended")?;
    }
    let what = match (revokes, dry_run) {
        (true, true) => "would be revoked",
        (true, false) => "were revoked",
        (false, _) => "go on opening the account; --revoke ends them",
    };
    writeln!(console.err, "access tokens: {tokens}, SSH keys: {keys}: they {what}")?;
    Ok(Exit::Ok)
}

fn reset(args: &ResetArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (name, dry_run) = (args.name.as_str(), args.dry_run);
    with_forge(&installed_at(&args.site)?, |forge| async move {
        let users = forge.all_users().await?;
        if !users.iter().any(|user| user.name.as_str().eq_ignore_ascii_case(name)) {
            return Err(absent(name));
        }
        if !dry_run {
            forge.reset_second_factor_from_shell(name).await.map_err(|error| match error {
                Error::NotFound => Failure::said(Exit::Failure, format!("`{name}` has no second factor")),
                other => other.into(),
            })?;
        }
        Ok(())
    })?;
    if console.is_json {
        console.json(&ResetView { user: name, dry_run })?;
    } else if dry_run {
        writeln!(console.out, "would take the second factor of `{name}` away and end its sessions")?;
    } else {
        writeln!(console.err, "`{name}` signs in with the password alone; its sessions have ended")?;
    }
    Ok(Exit::Ok)
}

fn absent(name: &str) -> Failure {
    Failure::said(Exit::Failure, format!("there is no user `{name}`"))
        .hinted("`gitgrit-ops admin user list` shows who is there")
}
