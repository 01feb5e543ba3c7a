//! Says how a site is.

use std::net::SocketAddr;

use airgap::status::Status;
use base::Clock;
use base::clock::SystemClock;
use base::site::SiteDir;
use clap::Args;
use serde::Serialize;

use super::site::{SiteArgs, runtime};
use super::{Console, Exit, Failure};

/// Show whether a site runs, where, and how long its certificate lasts
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops status /srv/gitgrit --json")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// The documented shape of `status --json`.
#[derive(Serialize)]
struct StatusView {
    site: String,
    site_url: Option<String>,
    running: bool,
    pid: Option<u32>,
    http: Option<SocketAddr>,
    ssh: Option<SocketAddr>,
    /// The version that runs, else the one that was asked.
    version: String,
    schema: Option<u32>,
    certificate_days_left: Option<i64>,
}

pub(crate) fn run(args: &StatusArgs, console: &mut Console) -> Result<Exit, Failure> {
    show(&args.site.installed()?, console)
}

/// Prints how the site is.
pub(crate) fn show(site: &SiteDir, console: &mut Console) -> Result<Exit, Failure> {
    let status = runtime()?.block_on(airgap::status::status(site, SystemClock.now()));
    let view = view(site, status);
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    let address = |address: Option<SocketAddr>| address.map_or_else(|| "-".to_owned(), |found| found.to_string());
    let running = view.pid.map_or_else(|| "no".to_owned(), |pid| format!("yes, process {pid}"));
    let days = view.certificate_days_left.map_or_else(|| "-".to_owned(), |days| format!("{days} days left"));
    let schema = view.schema.map_or_else(|| "-".to_owned(), |schema| schema.to_string());
    for (name, value) in [
        ("site", view.site.as_str()),
        ("address", view.site_url.as_deref().unwrap_or("-")),
        ("running", &running),
        ("http", &address(view.http)),
        ("ssh", &address(view.ssh)),
        ("version", &view.version),
        ("schema", &schema),
        ("certificate", &days),
    ] {
        writeln!(console.out, "{name:12} {value}")?;
    }
    Ok(Exit::Ok)
}

fn view(site: &SiteDir, status: Status) -> StatusView {
    let serving = status.serving;
    StatusView {
        site: site.root().display().to_string(),
        site_url: airgap::facts::settings(site).ok().map(|settings| settings.site_url.to_string()),
        running: serving.is_some(),
        pid: serving.as_ref().map(|found| found.pid),
        http: serving.as_ref().map(|found| found.http),
        ssh: serving.as_ref().map(|found| found.ssh),
        version: serving.map_or_else(|| env!("CARGO_PKG_VERSION").to_owned(), |found| found.version),
        schema: status.schema,
        certificate_days_left: status.certificate_days,
    }
}
