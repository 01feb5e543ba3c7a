//! Ends a site's server.

use airgap::running::serving;
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

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &DownArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    if args.dry_run {
        match serving(&site) {
            Some(running) => writeln!(console.err, "would stop process {}", running.pid)?,
            None => writeln!(console.err, "no server is running: there is nothing to stop")?,
        }
        return show(&site, console);
    }
    match stop(&site)? {
        Some(ended) => writeln!(console.err, "stopped (process {})", ended.pid)?,
        None => writeln!(console.err, "no server was running")?,
    }
    show(&site, console)
}
