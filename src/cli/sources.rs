//! Where a verb's values come from: the process environment, then `--env-file`, then the site's `.env`.

use std::path::{Path, PathBuf};

use base::settings::Sources;
use base::site::SiteDir;
use clap::Args;

use super::Console;

/// Where a site is looked for, in order.
const PLACES: [&str; 2] = ["gitgrit-site", "/var/lib/gitgrit"];

/// The options of verbs that read settings.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Read settings from this file, after the process environment
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// The site's directory [default: ./gitgrit-site, or /var/lib/gitgrit]
    #[arg(long, value_name = "DIR")]
    pub(crate) site_dir: Option<PathBuf>,
}

impl SourceArgs {
    /// The site that was named, or that is where sites are.
    pub(crate) fn site(&self) -> Option<SiteDir> {
        let found = || PLACES.into_iter().find(|place| SiteDir::new(*place).env().is_file()).map(Path::new);
        self.site_dir.as_deref().or_else(found).map(SiteDir::new)
    }

    /// All sources, in their order.
    pub(crate) fn sources(&self, console: &Console) -> Sources {
        Sources { environment: console.environment.clone(), env_file: self.env_file.clone(), site: self.site() }
    }
}
