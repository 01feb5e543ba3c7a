//! Ends a site's server and starts it again.

use airgap::running::serving;
use clap::Args;

use super::site::{SiteArgs, start, stop};
use super::status::show;
use super::{Console, Exit, Failure};

/// Stop a site's server and start it again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops restart /srv/gitgrit")]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    site: SiteArgs,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &RestartArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    // Settings that do not parse would keep the server from coming back.
    airgap::facts::settings(&site)?;
    if args.dry_run {
        if let Some(running) = serving(&site) {
            writeln!(console.err, "would stop process {}", running.pid)?;
        }
        writeln!(console.err, "would start the server in the background")?;
        return show(&site, console);
    }
    stop(&site)?;
    start(&site)?;
    show(&site, console)
}
