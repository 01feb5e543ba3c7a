//! Where a verb's values come from: the process environment, then `--env-file`, then the site's `.env`.

use std::path::PathBuf;

use base::settings::Sources;
use base::site::SiteDir;
use clap::Args;

use super::site::DEFAULT_SITE;
use super::{Console, Failure};

/// Where a site of the system's own is.
const SYSTEM_SITE: &str = "/var/lib/gitgrit";

/// The options of verbs that read settings.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Read settings from this file, after the process environment
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// The site's directory [default: ./gitgrit-site, or /var/lib/gitgrit]
    #[arg(long, value_name = "DIR")]
    site_dir: Option<PathBuf>,
}

impl SourceArgs {
    /// The site that was named, or that is where sites are.
    pub(crate) fn site(&self) -> Result<Option<SiteDir>, Failure> {
        let dir = self.site_dir.clone().or_else(found_site);
        dir.map(|dir| super::site::site_at(&dir)).transpose()
    }

    /// All sources, in their order.
    pub(crate) fn sources(&self, console: &Console) -> Result<Sources, Failure> {
        let environment = console.environment.clone();
        Ok(Sources { environment, env_file: self.env_file.clone(), site: self.site()? })
    }
}

/// The first place with a `.env`.
pub(crate) fn found_site() -> Option<PathBuf> {
    [DEFAULT_SITE, SYSTEM_SITE].into_iter().map(PathBuf::from).find(|place| SiteDir::new(place).env().is_file())
}
