//! Ends a site's server and starts it again.

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
}

pub(crate) fn run(args: &RestartArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    // Settings that do not parse would keep the server from coming back.
    airgap::facts::settings(&site)?;
    stop(&site)?;
    start(&site)?;
    show(&site, console)
}
