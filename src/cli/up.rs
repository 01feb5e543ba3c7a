//! Starts a site's server in the background.

use airgap::running::serving;
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

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &UpArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    if args.dry_run {
        match serving(&site) {
            Some(running) => writeln!(console.err, "the server runs already (process {})", running.pid)?,
            None => writeln!(console.err, "would start the server in the background")?,
        }
        return show(&site, console);
    }
    start(&site)?;
    show(&site, console)
}
