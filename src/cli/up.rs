//! Starts a site's server in the background.

use clap::Args;

use super::site::{SiteArgs, start};
use super::status::show;
use super::{Console, Exit, Failure};

/// Start a site's server
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops up /srv/gitgrit")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    site: SiteArgs,
}

pub(crate) fn run(args: &UpArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    start(&site)?;
    show(&site, console)
}
