//! Gives a bundle's authorities to the host's store and to Docker's, and takes them back.

use std::io::Write;
use std::path::PathBuf;

use base::clock::SystemClock;
use base::file::FileError;
use base::{Clock, Finding, Severity};
use checks::authority;
use checks::certificate::Certificate;
use checks::host_store::{self, Change, Held, Place, StoreError};
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

#[derive(Serialize)]
struct TrustView<'f> {
    changes: Vec<ChangeView>,
    findings: &'f [Finding],
}

pub(crate) fn run(args: &TrustArgs, console: &mut Console) -> Result<Exit, Failure> {
    let root = args
        .root
        .canonicalize()
        .map_err(|error| Failure::said(Exit::Usage, format!("`{}` is no directory: {error}", args.root.display())))?;
    let place = Place { root, registry: args.docker.clone() };
    let now = SystemClock.now();
    let bundle = args.file.as_ref().map(|file| authority::check(file, now));
    let findings: Vec<Finding> = bundle
        .iter()
        .flat_map(|bundle| &bundle.findings)
        .filter(|finding| finding.severity != Severity::Ok)
        .cloned()
        .collect();
    let current = bundle.as_ref().map(|bundle| host_store::current(&bundle.certificates, now));
    // What is in the findings is why there is nothing to trust.
    let is_hopeless = current.as_ref().is_some_and(|current| !current.iter().any(Certificate::is_ca));
    if is_hopeless {
        print(&[], &findings, console)?;
        return Ok(Exit::ChecksFailed);
    }
    let held = (!args.dry_run).then(|| Held::take(&place)).transpose().map_err(failed)?;
    let changes = match &current {
        None => host_store::plan_undo(&place),
        Some(current) => host_store::plan(current, &place),
    }
    .map_err(failed)?;
    if let Some(held) = held.filter(|_| !changes.is_empty()) {
        host_store::apply(&changes, &place, &held, &|program| program.run(b"")).map_err(failed)?;
    }
    print(&changes, &findings, console)?;
    Ok(Exit::Ok)
}

fn failed(error: StoreError) -> Failure {
    let exit = match &error {
        StoreError::File { source: FileError::Locked { .. } } => Exit::Locked,
        _ => Exit::Failure,
    };
    Failure::new(exit, error)
}

fn print(changes: &[Change], findings: &[Finding], console: &mut Console) -> Result<(), Failure> {
    let views: Vec<ChangeView> = changes.iter().map(view).collect();
    if console.is_json {
        return Ok(unless_gone(console.json(&TrustView { changes: views, findings }))?);
    }
    unless_gone(findings::print(findings, console))?;
    if views.is_empty() && findings.is_empty() {
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
