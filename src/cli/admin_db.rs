//! The database on the host: moved out of the site's own file to a PostgreSQL server. Changes nothing of the site; the
//! line that makes the site use the copy is for the operator to write.

use std::io::Write;

use airgap::running::Held;
use base::Secret;
use clap::{Args, Subcommand};
use forge::{CopiedTable, Forge};
use serde::Serialize;

use super::console::unless_gone;
use super::site::{SiteArgs, forge_options, runtime};
use super::{Console, Exit, Failure};

/// Move the site's database to a PostgreSQL server
#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    verb: DbVerb,
}

#[derive(Debug, Subcommand)]
enum DbVerb {
    Copy(CopyArgs),
}

/// Copy a stopped site's SQLite database into an empty PostgreSQL one, and prove that both hold the same
///
/// The site itself is only read. When the copy fails or is killed, the other database is as empty as before.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gitgrit-ops admin db copy --to postgres://gitgrit:secret@db:5432/gitgrit /srv/gitgrit"
)]
struct CopyArgs {
    #[command(flatten)]
    site: SiteArgs,

    /// The empty database, postgres://user:password@host:5432/name; GITGRIT_COPY_TO when not given, which keeps the
    /// password out of the list of processes
    #[arg(long, value_name = "DATABASE_URL", env = "GITGRIT_COPY_TO", hide_env_values = true)]
    to: String,

    /// Count what would be copied, look whether the other database is empty, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// The documented shape of `admin db copy --json`.
#[derive(Serialize)]
struct CopyView {
    copied: bool,
    tables: Vec<TableView>,
    rows: u64,
}

#[derive(Serialize)]
struct TableView {
    name: String,
    rows: u64,
    digest: String,
}

pub(crate) fn run(args: &DbArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        DbVerb::Copy(args) => copy(args, console),
    }
}

fn copy(args: &CopyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    let settings = airgap::facts::settings(&site)?;
    let _held = Held::take(&site)?;
    let options = forge_options(&site, settings);
    let to = Secret::new(args.to.clone());
    let tables = runtime()?.block_on(Forge::copy_database(&options, &to, args.dry_run))?;
    let view = view(tables, !args.dry_run);
    unless_gone(if console.is_json { console.json(&view) } else { told(&view, console) })?;
    if view.copied {
        let env = site.env();
        writeln!(console.err, "both databases hold the same; nothing of the site was changed")?;
        writeln!(
            console.err,
            "to use the copy, write this line into {}, with the password in place of ***:",
            env.display()
        )?;
        writeln!(console.err, "DATABASE_URL={}", masked(&args.to))?;
    }
    Ok(Exit::Ok)
}

fn view(tables: Vec<CopiedTable>, copied: bool) -> CopyView {
    let rows = tables.iter().map(|table| table.rows).sum();
    let tables = tables.into_iter().map(|CopiedTable { name, rows, digest }| TableView { name, rows, digest });
    CopyView { copied, tables: tables.collect(), rows }
}

fn told(view: &CopyView, console: &mut Console) -> std::io::Result<()> {
    let width = view.tables.iter().map(|table| table.name.len()).max().unwrap_or_default();
    let rows = view.tables.iter().map(|table| table.rows.to_string().len()).max().unwrap_or_default();
    for table in &view.tables {
        writeln!(console.out, "{:width$}  {:>rows$}  sha256:{}", table.name, table.rows, table.digest)?;
    }
    let verb = if view.copied { "copied" } else { "would copy" };
    writeln!(console.out, "{verb} {} rows of {} tables", view.rows, view.tables.len())
}

/// The address without its password.
fn masked(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return "***".into() };
    match rest.split_once('@') {
        Some((user, place)) => {
            let name = user.split(':').next().unwrap_or_default();
            let secret = if user.contains(':') { ":***" } else { "" };
            format!("{scheme}://{name}{secret}@{}", without_secrets(place))
        }
        None => format!("{scheme}://{}", without_secrets(rest)),
    }
}

/// A password may also stand among the options, under a name in disguise: those of TLS alone are shown.
fn without_secrets(place: &str) -> String {
    let (place, options) = place.split_once('?').unwrap_or((place, ""));
    let shown: Vec<_> = options.split('&').filter(|option| option.starts_with("ssl")).collect();
    let mark = if shown.is_empty() { "" } else { "?" };
    format!("{place}{mark}{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn no_password_is_shown() {
        for (address, expected) in [
            ("postgres://u:hunter2@db/x", "postgres://u:***@db/x"),
            ("postgres://u:hunter2@db/x?sslmode=require", "postgres://u:***@db/x?sslmode=require"),
            ("postgres://u@db/x?password=hunter2", "postgres://u@db/x"),
            ("postgres://db/x?pass%77ord=hunter2", "postgres://db/x"),
            ("postgresql://%2Frun%2Fpostgresql/x", "postgresql://%2Frun%2Fpostgresql/x"),
        ] {
            assert_eq!(masked(address), expected);
        }
    }
}
