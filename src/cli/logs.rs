//! Shows what a site's server printed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use base::site::SiteDir;
use clap::Args;

use super::site::SiteArgs;
use super::{Console, Exit, Failure};

/// How often a followed log is looked at, and how many bytes of it are looked through for the last lines.
const PAUSE: Duration = Duration::from_millis(200);
const LOOK_BACK: u64 = 4 << 20;

/// Show what a site's server printed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops logs /srv/gitgrit -n 20 -f")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    site: SiteArgs,

    /// How many lines to show, from the end
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    lines: usize,

    /// Go on with what is printed from now on
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(args: &LogsArgs, console: &mut Console) -> Result<Exit, Failure> {
    let site = args.site.installed()?;
    if !site.serve_log().exists() {
        writeln!(console.err, "the server has printed nothing yet; under systemd see `journalctl -u gitgrit`")?;
        return Ok(Exit::Ok);
    }
    let text = airgap::running::tail(&site, LOOK_BACK)?;
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(args.lines)) {
        writeln!(console.out, "{line}")?;
    }
    if args.follow {
        follow(&site, console)?;
    }
    Ok(Exit::Ok)
}

/// Copies what is appended until the reader goes away; begins again when the file was made anew.
fn follow(site: &SiteDir, console: &mut Console) -> Result<(), Failure> {
    let mut file = File::open(site.serve_log())?;
    let mut at = file.seek(SeekFrom::End(0))?;
    loop {
        console.out.flush()?;
        std::thread::sleep(PAUSE);
        let length = std::fs::metadata(site.serve_log()).map_or(0, |about| about.len());
        if length < at {
            file = File::open(site.serve_log())?;
            at = 0;
        }
        let mut fresh = Vec::new();
        at += Read::by_ref(&mut file).take(LOOK_BACK).read_to_end(&mut fresh)? as u64;
        console.out.write_all(&fresh)?;
    }
}
