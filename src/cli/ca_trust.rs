//! Gives a bundle's authorities to the host's store and to Docker's, and takes them back.

use std::io::Write;
use std::path::PathBuf;

use base::clock::SystemClock;
use base::{Clock, Severity};
use checks::authority;
use checks::host_store::{self, Change, Place};
use clap::Args;
use serde::Serialize;

use super::console::unless_gone;
use super::{Console, Exit, Failure, findings};

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The bundle: PEM, DER or PKCS#7; only its authorities are taken
    #[arg(required_unless_present = "undo")]
    file: Option<PathBuf>,

    /// Let Docker trust them for this registry as well
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "undo")]
    docker: Option<String>,

    /// Take back what was given before
    #[arg(long, conflicts_with = "file")]
    undo: bool,

    /// Print what would change and change nothing
    #[arg(long)]
    dry_run: bool,

    /// The root of the file system to change
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
}

#[derive(Serialize)]
struct ChangeView {
    change: &'static str,
    path: Option<String>,
}

pub(crate) fn run(args: &TrustArgs, console: &mut Console) -> Result<Exit, Failure> {
    let root = args
        .root
        .canonicalize()
        .map_err(|error| Failure::said(Exit::Usage, format!("`{}` is no directory: {error}", args.root.display())))?;
    let place = Place { root, registry: args.docker.clone() };
    let failed = |error| Failure::new(Exit::Failure, error);
    let changes = match &args.file {
        None => host_store::plan_undo(&place).map_err(failed)?,
        Some(file) => {
            let bundle = authority::check(file, SystemClock.now());
            let errors: Vec<_> =
                bundle.findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
            if bundle.certificates.is_empty() {
                unless_gone(findings::print(&errors, console))?;
                return Ok(Exit::ChecksFailed);
            }
            host_store::plan(&bundle.certificates, &place).map_err(failed)?
        }
    };
    if !args.dry_run && !changes.is_empty() {
        host_store::apply(&changes, &place).map_err(failed)?;
    }
    print(&changes, console)?;
    Ok(Exit::Ok)
}

fn print(changes: &[Change], console: &mut Console) -> Result<(), Failure> {
    let views: Vec<ChangeView> = changes.iter().map(view).collect();
    if console.is_json {
        return Ok(unless_gone(console.json(&views))?);
    }
    if views.is_empty() {
        unless_gone(writeln!(console.out, "nothing to change"))?;
    }
    for view in views {
        unless_gone(writeln!(console.out, "{:<8} {}", view.change, view.path.unwrap_or_default()))?;
    }
    Ok(())
}

fn view(change: &Change) -> ChangeView {
    let (change, path) = match change {
        Change::Write { path, .. } => ("write", Some(path)),
        Change::Remove { path } => ("remove", Some(path)),
        Change::Keep { path } => ("keep", Some(path)),
        Change::Refresh => ("refresh", None),
    };
    ChangeView { change, path: path.map(|path| path.display().to_string()) }
}
