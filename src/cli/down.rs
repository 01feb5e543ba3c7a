//! Ends a site's server.

use clap::Args;

use super::site::{SiteArgs, stop};
use super::status::show;
use super::{Console, Exit, Failure};

/// Stop a site's server, once what runs has finished
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops down /srv/gitgrit")]
pub(crate) struct DownArgs {
    #[command(flatten)]
    site: SiteArgs,
}

pub(crate) fn run(args: &DownArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    match stop(&site)? {
        Some(ended) => writeln!(console.err, "stopped (process {})", ended.pid)?,
        None => writeln!(console.err, "no server was running")?,
    }
    show(&site, console)
}
